//! Ending user sessions: one, or those of a user.

use uuid::Uuid;

use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock;
use crate::pg::datum::uuid::uuid;
use crate::pg::roles::AsOwner;
use crate::service::revocation::revocations::{self, Cause, Which};
use crate::service::setup::configuration;
use crate::service::{caller, required};
use crate::session::check_identifier;
use crate::tables::activity::Origin;
use crate::tables::session_users::UserKey;
use crate::tables::sessions;

const CODE: Code = Code::RevokeFailed;

/// The definition in one environment whose sessions are meant, and the API key that the caller presents.
struct Place {
    env_id: i32,
    definition_id: i32,
    api_key_id: Option<Uuid>,
}

impl Place {
    fn new([product, env, tag]: [Option<&str>; 3]) -> Result<Self> {
        let product = required(product, "product", CODE)?;
        let env = required(env, "env", CODE)?;
        let tag = required(tag, "tag", CODE)?;
        let env = configuration::env(product, env)?;
        Ok(Place {
            env_id: env.env_id,
            api_key_id: caller::narrow(env.env_id)?,
            definition_id: configuration::definition(&env.product_id, tag)?.definition_id,
        })
    }

    fn cause<'a>(&self, reason: Option<&'a str>) -> Result<Cause<'a>> {
        Ok(revocations::because(reason)?.by(Origin::of_key(self.api_key_id)))
    }
}

/// Revokes one session, or all of a user; returns how many.
///
/// # Errors
/// `REVOKE_FAILED` unless exactly one of `session_id` and `identifier` is given; `PRODUCT_NOT_FOUND`,
/// `ENV_NOT_FOUND`, `DEFINITION_NOT_FOUND`; those of [`caller::narrow`]; `CONFLICT`.
pub fn revoke(
    place: [Option<&str>; 3],
    session_id: Option<pgrx::Uuid>,
    identifier: Option<&str>,
    reason: Option<&str>,
) -> Result<i64> {
    let place = Place::new(place)?;
    let cause = place.cause(reason)?;
    match (session_id, identifier) {
        (Some(session_id), None) => revoke_one(&place, uuid(session_id), cause),
        (None, Some(identifier)) => revoke_user(&place, identifier, None, cause),
        (given, _) => {
            let which = if given.is_some() {
                "both are given"
            } else {
                "neither is given"
            };
            Err(Error::new(
                CODE,
                "exactly one of session_id and identifier is required",
            )
            .detail(format!("Here {which}."))
            .hint("Name the session to revoke one, or the identifier to revoke all of a user."))
        }
    }
}

/// Revokes all sessions of a user but the one that is named; returns how many.
///
/// # Errors
/// As [`revoke`].
pub fn revoke_all(
    place: [Option<&str>; 3],
    identifier: Option<&str>,
    except: Option<pgrx::Uuid>,
    reason: Option<&str>,
) -> Result<i64> {
    let place = Place::new(place)?;
    let cause = place.cause(reason)?;
    let identifier = required(identifier, "identifier", CODE)?;
    revoke_user(&place, identifier, except.map(uuid), cause)
}

fn revoke_one(place: &Place, session_id: Uuid, cause: Cause<'_>) -> Result<i64> {
    let (env_id, definition_id) = (place.env_id, place.definition_id);
    let which = Which::One {
        session_id,
        env_id,
        definition_id: Some(definition_id),
    };
    let now = clock::now();
    let revoked = revocations::revoke(&AsOwner::enter()?, &which, cause, now)?;
    if revoked == 0 {
        // The statement's snapshot may be older than the session.
        let still_lives = sessions::by_id(&session_id)?.is_some_and(|row| {
            row.env_id == env_id && row.definition_id == Some(definition_id) && row.lives(now)
        });
        if still_lives {
            return Err(revocations::conflict());
        }
    }
    Ok(count(revoked))
}

fn revoke_user(
    place: &Place,
    identifier: &str,
    except: Option<Uuid>,
    cause: Cause<'_>,
) -> Result<i64> {
    check_identifier("identifier", identifier).coded(CODE)?;
    let user = UserKey {
        env_id: place.env_id,
        definition_id: place.definition_id,
        identifier,
    };
    let which = Which::User { user, except };
    let revoked = revocations::revoke(&AsOwner::enter()?, &which, cause, clock::now())?;
    Ok(count(revoked))
}

/// Revokes all sessions of an account, in the environment meant or in that of the API key; returns how many.
///
/// # Errors
/// `REVOKE_FAILED` for an account or a reason that is not valid, and where several environments are meant; those of
/// [`caller::Caller::env`]; `PERMISSION_DENIED` for a publishable key.
pub fn revoke_account(
    account: Option<&str>,
    product: Option<&str>,
    env: Option<&str>,
    reason: Option<&str>,
) -> Result<i64> {
    let caller = caller::caller()?;
    caller.full()?;
    let account = required(account, "account", CODE)?;
    check_identifier("account", account).coded(CODE)?;
    let cause = revocations::because(reason)?.by(Origin::of_key(caller.api_key_id()));
    let env_id = caller.env(product, env, CODE)?.env_id;
    let which = Which::Account { account, env_id };
    let revoked = revocations::revoke(&AsOwner::enter()?, &which, cause, clock::now())?;
    Ok(count(revoked))
}

pub(super) fn count(revoked: u64) -> i64 {
    i64::try_from(revoked).unwrap_or(i64::MAX)
}
