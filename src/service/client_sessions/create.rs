//! Creating client sessions.

use pgrx::datum::TimestampWithTimeZone;

use super::{Call, Ids, Place, Session, Sessions, conflict, grants};
use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock::{self, Micros};
use crate::pg::random;
use crate::pg::roles::AsOwner;
use crate::pg::scan::lock_for_writing;
use crate::pg::transaction;
use crate::service::account_sessions::MAX_LIFE;
use crate::service::keys::key_ring;
use crate::service::revocation::revocations::{self, Which};
use crate::session::{Span, check_identifier};
use crate::tables::activity::Origin;
use crate::tables::api_keys;
use crate::tables::client_sessions::change::{self, ClientSession, Grants};
use crate::tables::client_sessions::list;
use crate::tables::session_users::SessionUsers;
use crate::tables::sessions::change::extend;
use crate::token::Family;
use crate::token::api_key::ApiKeyKind;

const CODE: Code = Code::CreateFailed;

/// How long a client session lives unless `expires_at` is given.
const DEFAULT_LIFE: Span = Span { months: 12, days: 0, micros: 0 };

/// What happens to an existing living session of the key.
#[derive(Clone, Copy)]
pub enum IfExists {
    /// Nothing.
    Unmodified,
    /// An expiry that is given replaces its own.
    MoveExpiry,
}

/// Returns the living session of the key, or else creates one: for at most ten years, or for one.
///
/// # Errors
/// `CREATE_FAILED` for bad arguments; `PUBLISHABLE_KEY_MUST_CREATE_EMPTY_SESSION` and `PERMISSION_DENIED` for what a
/// publishable key may not do; those of [`Call::new`]; `CONFLICT` where the transaction's snapshot is too old to show
/// the session of the key.
pub fn create(
    place: Place<'_>,
    user_identifier_key: Option<&str>,
    ids: [Ids<'_>; 3],
    expires_at: Option<TimestampWithTimeZone>,
    if_exists: IfExists,
) -> Result<Sessions> {
    // Deleting an environment keeps creates out by this lock: what is found now stays until this transaction ends.
    lock_for_writing::<SessionUsers>()?;
    let call = Call::new(place, CODE)?;
    let grants = grants(ids)?;
    let wanted = Wanted { key: user_identifier_key, grants, expires_at: end(expires_at, call.now)? };
    check_identifier("user_identifier_key", wanted.key).coded(CODE)?;
    if call.caller.publishable().is_some() {
        wanted.check_publishable()?;
    }
    let session = find_or_insert(&call, &wanted, if_exists)?;
    Ok(call.one(session))
}

/// What was asked for, checked.
struct Wanted<'a> {
    key: Option<&'a str>,
    grants: Grants,
    expires_at: Option<Micros>,
}

impl Wanted<'_> {
    /// Refuses what a publishable key may not ask for.
    fn check_publishable(&self) -> Result<()> {
        if !self.grants.is_empty() {
            return Err(Error::new(
                Code::PublishableKeyMustCreateEmptySession,
                "a publishable key may not grant anything",
            )
            .hint("Grant access from your backend, with a secret key."));
        }
        if self.key.is_none() {
            return Err(Error::new(
                Code::PermissionDenied,
                "a publishable key must name a user_identifier_key",
            )
            .hint("Use a long random value that only this user's client knows."));
        }
        Ok(())
    }
}

/// The end that was asked for, or none.
fn end(expires_at: Option<TimestampWithTimeZone>, now: Micros) -> Result<Option<Micros>> {
    let Some(at) = expires_at.map(clock::micros) else {
        return Ok(None);
    };
    if at <= now || at > clock::add(now, &MAX_LIFE, CODE)? {
        return Err(Error::new(CODE, "expires_at is not a time that a client session can end")
            .hint("Give a time to come within ten years, or leave it out for one year."));
    }
    Ok(Some(at))
}

fn find_or_insert(call: &Call, wanted: &Wanted<'_>, if_exists: IfExists) -> Result<Session> {
    let owner = AsOwner::enter()?;
    // One unrevoked session a key, by a unique index: the second caller finds the session of the first, unless that
    // is gone again by then.
    for attempt in 0.. {
        let forms = match wanted.key {
            Some(key) => call.key_forms(key)?,
            None => Vec::new(),
        };
        if let Some(session) = reuse(&owner, call, wanted, &forms, if_exists)? {
            return Ok(session);
        }
        if let Some(session) = insert(&owner, call, wanted, forms.into_iter().next())? {
            return Ok(session);
        }
        // An old snapshot will never show what stands in the way.
        if attempt > 0 && transaction::has_old_snapshot() {
            break;
        }
        pgrx::check_for_interrupts!();
    }
    Err(conflict())
}

/// The living session of the key. An expired one is revoked, so that the key is free.
fn reuse(
    owner: &AsOwner,
    call: &Call,
    wanted: &Wanted<'_>,
    forms: &[Vec<u8>],
    if_exists: IfExists,
) -> Result<Option<Session>> {
    if forms.is_empty() {
        return Ok(None);
    }
    let Some(mut stored) = list::lock_by_key(owner, call.env.env_id, forms.to_vec())? else {
        return Ok(None);
    };
    let session_id = stored.session_id;
    let now = clock::now();
    if clock::micros(stored.expires_at) <= now {
        change::free_key(owner, &session_id, now)?;
        return Ok(None);
    }
    if call.token(&stored)?.is_none() {
        let cause = revocations::KEY_REVOKED.by(Origin::of_key(call.caller.api_key_id()));
        revocations::revoke(owner, &Which::Client(session_id), cause, now)?;
        return Ok(None);
    }
    let publishable = call.caller.publishable().is_some();
    if publishable {
        check_reach(&stored)?;
    }
    if let (IfExists::MoveExpiry, Some(at)) = (if_exists, wanted.expires_at) {
        if publishable {
            return Err(Error::new(Code::PermissionDenied, "a publishable key does not change an expiry")
                .hint("Leave expires_at out."));
        }
        let before = clock::micros(stored.expires_at);
        if at != before {
            let api_key_id = call.caller.api_key_id();
            extend(owner, Family::Client, &session_id, [before, at], now, api_key_id)?;
            stored.expires_at = clock::timestamptz(at);
        }
    }
    call.session(stored)
}

/// Publishable keys reach only what publishable keys made, and only while it holds no grant.
fn check_reach(session: &ClientSession) -> Result<()> {
    let made_by = match session.api_key_id {
        Some(id) => api_keys::by_id(&id)?.map(|key| key.kind),
        None => None,
    };
    if made_by == Some(ApiKeyKind::Publishable) && session.grants.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::PermissionDenied,
        "a publishable key does not reach the session of this user_identifier_key",
    )
    .hint("Get it from your backend, with a secret key."))
}

/// Stores a new session; `None` where another one has the key.
fn insert(
    owner: &AsOwner,
    call: &Call,
    wanted: &Wanted<'_>,
    sealed_key: Option<Vec<u8>>,
) -> Result<Option<Session>> {
    let expires_at = match wanted.expires_at {
        Some(at) => at,
        None => clock::ceil_to_second(clock::add(call.now, &DEFAULT_LIFE, CODE)?),
    };
    let session = ClientSession {
        session_id: random::uuid()?,
        sealed_key,
        created_at: clock::timestamptz(call.now),
        expires_at: clock::timestamptz(expires_at),
        key_number: key_ring::ring()?.token_key_number()?,
        grants: wanted.grants.clone(),
        api_key_id: call.caller.api_key_id(),
    };
    if !change::insert(owner, call.env.env_id, &session)? {
        return Ok(None);
    }
    call.session(session)?.ok_or_else(conflict).map(Some)
}
