//! Ending, changing and extending sessions.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use uuid::Uuid;

use super::{pg_uuid, required, uuid};
use crate::error::{self, Code, Coded, Error};
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::roles::AsOwner;
use crate::service::caller;
use crate::service::configuration::{self, StoredDefinition};
use crate::service::key_ring;
use crate::service::revocations::{self, Cause, Which};
use crate::service::session_data::SessionData;
use crate::service::tokens::{check_against, check_token_size};
use crate::session::check_identifier;
use crate::session::period::MAX_SPAN_MICROS;
use crate::tables::activity::Origin;
use crate::tables::session_users::UserKey;
use crate::tables::sessions::{self, SessionRow, change};

/// An environment and a definition, by their numbers, and the API key that the caller presents.
#[derive(Clone, Copy)]
struct Place {
    env_id: i32,
    definition_id: i32,
    api_key_id: Option<Uuid>,
}

impl Place {
    fn cause(&self) -> Cause<'static> {
        revocations::REVOKED.by(Origin::of_key(self.api_key_id))
    }
}

fn place(product: Option<&str>, env: Option<&str>, tag: Option<&str>) -> error::Result<Place> {
    let code = Code::RevokeFailed;
    let product = required(product, "product", code)?;
    let env = required(env, "env", code)?;
    let tag = required(tag, "tag", code)?;
    let env = configuration::env(product, env)?;
    let api_key_id = caller::narrow(env.env_id)?;
    let definition_id = configuration::definition(&env.product_id, tag)?.definition_id;
    Ok(Place {
        env_id: env.env_id,
        definition_id,
        api_key_id,
    })
}

fn count(revoked: u64) -> i64 {
    i64::try_from(revoked).unwrap_or(i64::MAX)
}

fn revoke_one(place: Place, session_id: Uuid) -> error::Result<i64> {
    let Place {
        env_id,
        definition_id,
        ..
    } = place;
    let now = clock::now();
    let which = Which::One {
        session_id,
        env_id,
        definition_id,
    };
    let owner = AsOwner::enter()?;
    let revoked = revocations::revoke(&owner, &which, place.cause(), now)?;
    if revoked == 0 {
        let ours =
            |row: &SessionRow| row.env_id == env_id && row.definition_id == Some(definition_id);
        let row = sessions::by_id(&session_id)?.filter(ours);
        if row.is_some_and(|row| row.lives(now)) {
            return Err(revocations::conflict());
        }
    }
    Ok(count(revoked))
}

fn revoke_user(place: Place, identifier: &str, except: Option<Uuid>) -> error::Result<i64> {
    check_identifier("identifier", identifier).coded(Code::RevokeFailed)?;
    let user = UserKey {
        env_id: place.env_id,
        definition_id: place.definition_id,
        identifier,
    };
    let which = Which::User { user, except };
    let owner = AsOwner::enter()?;
    let revoked = revocations::revoke(&owner, &which, place.cause(), clock::now())?;
    Ok(count(revoked))
}

/// Revokes one session, or all of a user. Idempotent; tells how many it revoked.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn session_revoke(
    product: Option<&str>,
    env: Option<&str>,
    tag: Option<&str>,
    session_id: default!(Option<pgrx::Uuid>, "NULL"),
    identifier: default!(Option<&str>, "NULL"),
) -> Result<i64, ErrorReport> {
    let place = place(product, env, tag)?;
    Ok(match (session_id, identifier) {
        (Some(session_id), None) => revoke_one(place, uuid(session_id))?,
        (None, Some(identifier)) => revoke_user(place, identifier, None)?,
        (given, _) => {
            let which = if given.is_some() {
                "both are given"
            } else {
                "neither is given"
            };
            return Err(Error::new(
                Code::RevokeFailed,
                "exactly one of session_id and identifier is required",
            )
            .detail(format!("Here {which}."))
            .hint("Name the session to revoke one, or the identifier to revoke all of a user.")
            .into());
        }
    })
}

/// Revokes all living sessions of a user, but for one.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn session_revoke_all(
    product: Option<&str>,
    env: Option<&str>,
    tag: Option<&str>,
    identifier: Option<&str>,
    except_session_id: default!(Option<pgrx::Uuid>, "NULL"),
) -> Result<i64, ErrorReport> {
    let place = place(product, env, tag)?;
    let identifier = required(identifier, "identifier", Code::RevokeFailed)?;
    Ok(revoke_user(place, identifier, except_session_id.map(uuid))?)
}

/// A living user session, its row locked, and its definition.
fn lock_living(
    owner: &AsOwner,
    session_id: Option<pgrx::Uuid>,
    now: Micros,
    code: Code,
) -> error::Result<(SessionRow, std::rc::Rc<StoredDefinition>)> {
    let session_id = uuid(required(session_id, "session_id", code)?);
    change::lock(owner, &session_id)?;
    let row = sessions::by_id(&session_id)?.filter(|row| row.lives(now));
    let stored = match row.as_ref().and_then(|row| row.definition_id) {
        Some(id) => configuration::definition_by_id(id)?,
        None => None,
    };
    if let Some(row) = &row {
        caller::narrow(row.env_id)?;
    }
    row.zip(stored).ok_or_else(|| {
        Error::new(
            Code::SessionNotFound,
            "there is no living user session with that id",
        )
        .hint("dialstack.session_info() shows whether it was revoked or has expired.")
    })
}

struct Changed {
    session_id: Uuid,
    expires_at: Micros,
}

fn update_data(
    session_id: Option<pgrx::Uuid>,
    data: Option<SessionData>,
) -> error::Result<Changed> {
    let code = Code::CreateFailed;
    let data = required(data, "data", code)?;
    let owner = AsOwner::enter()?;
    let (row, stored) = lock_living(&owner, session_id, clock::now(), code)?;
    let checked = check_against(&stored, &data.text())?;
    if row.subject.as_deref() != Some(&checked.identifier) {
        return Err(
            Error::new(code, "the data names another user than the session's")
                .detail(format!("The selector is {}.", stored.definition.selector))
                .hint("Keep the identifier, or create a session for the other user."),
        );
    }
    let ring = key_ring::ring()?;
    check_token_size(&ring, &row, &stored, &checked)?;
    let (key_number, sealed_data) = data.seal(&ring, row.session_id)?;
    let number = key_number.cast_signed();
    if !change::set_data(&owner, &row.session_id, sealed_data, number)? {
        return Err(revocations::conflict());
    }
    Ok(Changed {
        session_id: row.session_id,
        expires_at: row.expires_at,
    })
}

fn extend(session_id: Option<pgrx::Uuid>, by: Option<Interval>) -> error::Result<Changed> {
    let code = Code::RefreshFailed;
    let by = clock::span(&required(by, "by", code)?);
    if !by.is_positive() || !by.is_within_a_century() {
        return Err(
            Error::new(code, "by is not a time that a session can be extended by")
                .hint("Give a positive interval of at most 100 years."),
        );
    }
    let now = clock::now();
    let owner = AsOwner::enter()?;
    let (row, stored) = lock_living(&owner, session_id, now, code)?;
    // A session ends on a full second.
    let mut expires_at = clock::ceil_to_second(clock::add(row.expires_at, &by, code)?);
    if expires_at <= row.expires_at {
        return Err(
            Error::new(code, "by would not make the session last longer")
                .hint("Give an interval whose parts are all positive."),
        );
    }
    if expires_at.saturating_sub(now) > MAX_SPAN_MICROS {
        return Err(
            Error::new(code, "the session would end more than 100 years from now")
                .hint("Extend it by less."),
        );
    }
    let refreshed_at = row.rotated_at.unwrap_or(row.created_at);
    for (from, cap) in [
        (row.created_at, stored.definition.max_lifetime),
        (refreshed_at, stored.definition.idle_timeout),
    ] {
        if let Some(cap) = cap {
            let end = clock::ceil_to_second(clock::add(from, &cap, code)?);
            expires_at = expires_at.min(end.max(row.expires_at));
        }
    }
    if !change::extend(&owner, &row, expires_at, now)? {
        return Err(revocations::conflict());
    }
    Ok(Changed {
        session_id: row.session_id,
        expires_at,
    })
}

/// Declares functions that change a session and tell when it ends.
macro_rules! change_functions {
    ($(
        $(#[$meta:meta])*
        fn $name:ident($($arguments:tt)*) = $change:expr;
    )*) => { $(
        $(#[$meta])*
        #[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
        fn $name($($arguments)*) -> Result<
            TableIterator<
                'static,
                (name!(session_id, pgrx::Uuid), name!(expires_at, TimestampWithTimeZone)),
            >,
            ErrorReport,
        > {
            let changed: Changed = $change;
            Ok(TableIterator::once((
                pg_uuid(&changed.session_id),
                timestamptz(changed.expires_at),
            )))
        }
    )* };
}

change_functions! {
    /// Replaces a living session's data. What is in access tokens that are out stays as it was;
    /// `session_verify` returns the new data at once.
    fn session_update_data(session_id: Option<pgrx::Uuid>, data: Option<SessionData>) =
        update_data(session_id, data)?;

    /// Moves a living session's end, at most to what the definition's `max_lifetime` and
    /// `idle_timeout` allow. Access tokens that are out keep their own expiry.
    fn session_extend(session_id: Option<pgrx::Uuid>, by: Option<Interval>) =
        extend(session_id, by)?;
}
