//! Changing a living session: its data, its end.

use std::rc::Rc;

use pgrx::datum::{Interval, TimestampWithTimeZone};

use crate::error::{Code, Error, Result};
use crate::pg::clock::{self, timestamptz};
use crate::pg::datum::jsonb::Jsonb;
use crate::pg::datum::uuid::{pg_uuid, uuid};
use crate::pg::roles::AsOwner;
use crate::service::caller::{self, Caller};
use crate::service::keys::key_ring;
use crate::service::level::Level;
use crate::service::required;
use crate::service::revocation::revocations;
use crate::service::setup::configuration::{self, StoredDefinition};
use crate::service::user_sessions::session_data::SessionData;
use crate::service::user_sessions::tokens;
use crate::session::period::MAX_SPAN_MICROS;
use crate::tables::sessions::{self, SessionRow, change};
use crate::token::Family;

/// The id of a session that was changed, and when it ends, or when its user proved again who they are.
type Changed = (pgrx::Uuid, TimestampWithTimeZone);

/// A living user session, its row locked, and its definition.
fn lock_living(
    owner: &AsOwner,
    caller: &Caller,
    session_id: Option<pgrx::Uuid>,
    code: Code,
) -> Result<(SessionRow, Rc<StoredDefinition>)> {
    let session_id = uuid(required(session_id, "session_id", code)?);
    change::lock(owner, &session_id)?;
    // By now: a revocation that was waited for has passed over a session that was over.
    let row = sessions::by_id(&session_id)?.filter(|row| row.lives(clock::now()));
    let stored = match row.as_ref().and_then(|row| row.definition_id) {
        Some(id) => configuration::definition_by_id(id)?,
        None => None,
    };
    if let Some(row) = &row {
        caller.check(row.env_id)?;
    }
    let (Some(row), Some(stored)) = (row, stored) else {
        return Err(Error::new(Code::SessionNotFound, "there is no living user session with that id")
            .hint("dialstack.session_info() shows whether it was revoked or has expired."));
    };
    Ok((row, stored))
}

/// Replaces the data of a living session. Access tokens that are out keep the old data.
///
/// # Errors
/// `CREATE_FAILED` for data that the definition does not allow, or of another user; `SESSION_NOT_FOUND`;
/// those of [`caller::narrow`]; `CONFLICT`.
pub fn update_data(session_id: Option<pgrx::Uuid>, data: Option<Jsonb<'_>>) -> Result<Changed> {
    let code = Code::CreateFailed;
    let data = required(data, "data", code)?;
    let caller = caller::narrowed(Level::Server)?;
    let owner = AsOwner::enter()?;
    let (row, stored) = lock_living(&owner, &caller, session_id, code)?;
    let data = SessionData::of_argument(data)?;
    let checked = tokens::check_against(&stored, &data.text())?;
    if row.subject != checked.identifier {
        return Err(Error::new(code, "the data names another user than the session's")
            .detail(format!("The selector is {}.", stored.definition.selector))
            .hint("Keep the identifier, or create a session for the other user."));
    }
    let ring = key_ring::ring()?;
    tokens::check_token_size(&ring, &row, &stored, &checked.text)?;
    let (key_number, sealed_data) = data.seal(&ring, row.session_id)?;
    let number = key_number.cast_signed();
    revocations::check_done(change::set_data(&owner, &row.session_id, sealed_data, number)?)?;
    Ok((pg_uuid(&row.session_id), timestamptz(row.expires_at)))
}

/// Moves the end of a living session, at most to what the definition's `max_lifetime` and `idle_timeout` allow.
///
/// # Errors
/// `REFRESH_FAILED` for an interval that is not positive or ends more than 100 years from now;
/// `SESSION_NOT_FOUND`; those of [`caller::narrow`]; `CONFLICT`.
pub fn extend(session_id: Option<pgrx::Uuid>, by: Option<Interval>) -> Result<Changed> {
    let code = Code::RefreshFailed;
    let by = clock::span(&required(by, "by", code)?);
    if !by.is_positive() || !by.is_within_a_century() {
        return Err(Error::new(code, "by is not a time that a session can be extended by")
            .hint("Give a positive interval of at most 100 years."));
    }
    let now = clock::now();
    let caller = caller::narrowed(Level::Server)?;
    let owner = AsOwner::enter()?;
    let (row, stored) = lock_living(&owner, &caller, session_id, code)?;
    // A session ends on a full second.
    let mut expires_at = clock::ceil_to_second(clock::add(row.expires_at, &by, code)?);
    if expires_at <= row.expires_at {
        return Err(Error::new(code, "by would not make the session last longer")
            .hint("Give an interval whose parts are all positive."));
    }
    if expires_at.saturating_sub(now) > MAX_SPAN_MICROS {
        return Err(
            Error::new(code, "the session would end more than 100 years from now").hint("Extend it by less.")
        );
    }
    let refreshed_at = row.rotated_at.unwrap_or(row.created_at);
    for (from, cap) in
        [(row.created_at, stored.definition.max_lifetime), (refreshed_at, stored.definition.idle_timeout)]
    {
        if let Some(cap) = cap {
            let end = clock::ceil_to_second(clock::add(from, &cap, code)?);
            expires_at = expires_at.min(end.max(row.expires_at));
        }
    }
    let ends = [row.expires_at, expires_at];
    let api_key_id = caller.api_key_id();
    revocations::check_done(change::extend(&owner, Family::User, &row.session_id, ends, now, api_key_id)?)?;
    Ok((pg_uuid(&row.session_id), timestamptz(expires_at)))
}

/// Notes that the user of a living session has proved again who they are, by a password for example.
///
/// # Errors
/// `SESSION_NOT_FOUND`; `REFRESH_FAILED` for NULL; those of [`caller::narrow`]; `CONFLICT`.
pub fn reauthenticate(session_id: Option<pgrx::Uuid>) -> Result<Changed> {
    let now = clock::now();
    let caller = caller::narrowed(Level::Server)?;
    let owner = AsOwner::enter()?;
    let (row, _) = lock_living(&owner, &caller, session_id, Code::RefreshFailed)?;
    revocations::check_done(change::reauthenticate(&owner, &row.session_id, now, caller.api_key_id())?)?;
    Ok((pg_uuid(&row.session_id), timestamptz(now)))
}
