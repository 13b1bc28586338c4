//! Ending sessions: one of any family, or those of a user.

use uuid::Uuid;

use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock::{self, Micros};
use crate::pg::datum::uuid::uuid;
use crate::pg::roles::AsOwner;
use crate::service::caller;
use crate::service::level::Level;
use crate::service::required;
use crate::service::revocation::revocations::{self, Cause, Which};
use crate::service::setup::configuration;
use crate::session::check_identifier;
use crate::tables::activity::Origin;
use crate::tables::session_sets::{Filter, Matching};
use crate::tables::session_users::UserKey;
use crate::tables::sessions::SessionRow;
use crate::tables::sessions::change::keep_name;
use crate::tables::{client_sessions, definitions, sessions};

const CODE: Code = Code::RevokeFailed;

/// Product, environment and tag, as far as the caller names them.
type Place<'a> = [Option<&'a str>; 3];

/// Revokes one session of any family, or all user sessions of a user; returns how many.
///
/// # Errors
/// `REVOKE_FAILED` where neither `session_id` nor `identifier` is given; `SESSION_NOT_FOUND` for a session that is
/// not of that place and that user; `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`, `DEFINITION_NOT_FOUND`; those of
/// [`caller::narrow`]; `CONFLICT`.
pub fn revoke(
    place: Place<'_>,
    session_id: Option<pgrx::Uuid>,
    identifier: Option<&str>,
    reason: Option<&str>,
) -> Result<i64> {
    check_identifier("identifier", identifier).coded(CODE)?;
    let cause = revocations::because(reason)?;
    match (session_id, identifier) {
        (Some(session_id), _) => revoke_one(place, &uuid(session_id), identifier, cause),
        (None, Some(identifier)) => revoke_user(place, identifier, None, cause),
        (None, None) => Err(Error::new(CODE, "session_id or identifier is required")
            .hint("Name the session to revoke one, or the identifier to revoke all of a user.")),
    }
}

/// Revokes all sessions of a user but the one that is named; returns how many.
///
/// # Errors
/// `REVOKE_FAILED` for what is NULL; those of [`revoke`].
pub fn revoke_all(
    place: Place<'_>,
    identifier: Option<&str>,
    except: Option<pgrx::Uuid>,
    reason: Option<&str>,
) -> Result<i64> {
    for (given, name) in place.into_iter().zip(["product", "env", "tag"]) {
        required(given, name, CODE)?;
    }
    let identifier = required(identifier, "identifier", CODE)?;
    check_identifier("identifier", identifier).coded(CODE)?;
    revoke_user(place, identifier, except.map(uuid), revocations::because(reason)?)
}

/// A session of any family as its table has it, dead or alive.
pub struct Stored {
    pub session_id: Uuid,
    pub env_id: i32,
    pub created_at: Micros,
    /// Whether it is neither revoked nor at its end.
    lives: bool,
    revoked: bool,
    /// Its row; none: a client session.
    row: Option<SessionRow>,
}

impl Stored {
    /// The session with this id.
    pub fn find(session_id: &Uuid) -> Result<Option<Self>> {
        let now = clock::now();
        let (env_id, created_at, lives, revoked, row) = if let Some(row) = sessions::by_id(session_id)? {
            (row.env_id, row.created_at, row.lives(now), row.revoke_reason.is_some(), Some(row))
        } else if let Some(row) = client_sessions::by_id(session_id)? {
            (row.env_id, row.created_at, row.lives(now), row.revoke_reason.is_some(), None)
        } else {
            return Ok(None);
        };
        Ok(Some(Stored { session_id: *session_id, env_id, created_at, lives, revoked, row }))
    }

    /// Revokes it; returns how many sessions that ended: 0 where it is dead already.
    ///
    /// # Errors
    /// `CONFLICT` where the transaction's snapshot does not show it as it is.
    pub fn end(&self, cause: Cause<'_>) -> Result<i64> {
        // Only an end can still move, by a refresh that is not committed yet.
        if self.revoked {
            return Ok(0);
        }
        let session_id = self.session_id;
        let which = if self.row.is_some() { Which::One(session_id) } else { Which::Client(session_id) };
        let revoked = revocations::revoke(&AsOwner::enter()?, &which, cause, clock::now())?;
        if revoked == 0 && Stored::find(&session_id)?.is_some_and(|stored| stored.lives) {
            return Err(revocations::conflict());
        }
        Ok(revoked)
    }
}

fn revoke_one(
    place: Place<'_>,
    session_id: &Uuid,
    identifier: Option<&str>,
    cause: Cause<'_>,
) -> Result<i64> {
    let [product, env, tag] = place;
    if let (Some(product), Some(tag)) = (product, tag) {
        configuration::definition(&configuration::product_id(product)?, tag)?;
    }
    let caller = caller::narrowed(Level::Server)?;
    let not_found = || {
        let error = Error::new(Code::SessionNotFound, "there is no such session");
        if place.iter().chain([&identifier]).all(Option::is_none) {
            return error.hint(
                "It may have been purged, never have existed, or be out of the reach of the role or its API key.",
            );
        }
        error
            .detail("No session has that id and belongs to what else was named.")
            .hint("Name the session alone, or check where it belongs with dialstack.session_info().")
    };
    let stored = Stored::find(session_id)?.ok_or_else(not_found)?;
    let is_there = caller.env_of(stored.env_id, product, env)?.is_some();
    let row = stored.row.as_ref();
    let definition = match row.and_then(|row| row.definition_id) {
        Some(id) => configuration::definition_by_id(id)?,
        None => None,
    };
    let has_tag = tag.is_none_or(|tag| definition.is_some_and(|it| it.definition.tag == tag));
    let is_users = identifier.is_none_or(|named| row.is_some_and(|row| row.user() == Some(named)));
    if is_there && has_tag && is_users {
        stored.end(cause.by(Origin::of_key(caller.api_key_id())))
    } else {
        Err(not_found())
    }
}

/// Revokes the user's sessions in each environment and definition that is meant, in one order, so that two such calls
/// do not wait for each other.
fn revoke_user(place: Place<'_>, identifier: &str, except: Option<Uuid>, cause: Cause<'_>) -> Result<i64> {
    let [product, env, tag] = place;
    let caller = caller::narrowed(Level::Server)?;
    let cause = cause.by(Origin::of_key(caller.api_key_id()));
    let product = product.or(caller.key().map(|key| key.env.product.as_str()));
    let product = required(product, "product", CODE)?;
    let env = env.or(caller.key().map(|key| key.env.env.as_str()));
    let mut env_ids = caller::env_ids(Level::Server, product, env)?;
    env_ids.sort_unstable();
    let product_id = configuration::product_id(product)?;
    let definition_ids = match tag {
        Some(tag) => vec![configuration::definition(&product_id, tag)?.definition_id],
        None => definitions::ids(Some(&product_id), None)?,
    };
    let owner = AsOwner::enter()?;
    let mut revoked = 0;
    for env_id in env_ids {
        for &definition_id in &definition_ids {
            let user = UserKey { env_id, definition_id, identifier };
            let which = Which::User { user, except };
            revoked += revocations::revoke(&owner, &which, cause, clock::now())?;
        }
    }
    Ok(revoked)
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
    let filter = Filter { account: Some(account), ..Filter::default() };
    let of_account = Matching { env_ids: Some(vec![env_id]), filter, ..Matching::default() };
    let owner = AsOwner::enter()?;
    // One that is being created is waited for.
    keep_name(account)?;
    revocations::revoke(&owner, &Which::Matching(&of_account), cause, clock::now())
}
