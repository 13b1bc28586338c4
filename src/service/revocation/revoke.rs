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

    fn cause(&self) -> Cause<'static> {
        revocations::REVOKED.by(Origin::of_key(self.api_key_id))
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
) -> Result<i64> {
    let place = Place::new(place)?;
    match (session_id, identifier) {
        (Some(session_id), None) => revoke_one(&place, uuid(session_id)),
        (None, Some(identifier)) => revoke_user(&place, identifier, None),
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
) -> Result<i64> {
    let place = Place::new(place)?;
    let identifier = required(identifier, "identifier", CODE)?;
    revoke_user(&place, identifier, except.map(uuid))
}

fn revoke_one(place: &Place, session_id: Uuid) -> Result<i64> {
    let (env_id, definition_id) = (place.env_id, place.definition_id);
    let which = Which::One {
        session_id,
        env_id,
        definition_id: Some(definition_id),
    };
    let now = clock::now();
    let revoked = revocations::revoke(&AsOwner::enter()?, &which, place.cause(), now)?;
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

fn revoke_user(place: &Place, identifier: &str, except: Option<Uuid>) -> Result<i64> {
    check_identifier("identifier", identifier).coded(CODE)?;
    let user = UserKey {
        env_id: place.env_id,
        definition_id: place.definition_id,
        identifier,
    };
    let which = Which::User { user, except };
    let revoked = revocations::revoke(&AsOwner::enter()?, &which, place.cause(), clock::now())?;
    Ok(count(revoked))
}

fn count(revoked: u64) -> i64 {
    i64::try_from(revoked).unwrap_or(i64::MAX)
}
