//! What administrators do with signing keys and API keys.

use pgrx::datum::{Interval, TimestampWithTimeZone};

use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock;
use crate::pg::datum::uuid::{pg_uuid, uuid};
use crate::pg::random;
use crate::pg::roles::AsOwner;
use crate::pg::scan::lock_for_writing;
use crate::pg::statements::{FromRow, bind};
use crate::pg::transaction::patience::patiently;
use crate::service::keys::key_ring::{self, KeyRow};
use crate::service::required;
use crate::service::revocation::revocations::{self, Which};
use crate::service::setup::configuration;
use crate::session::{Problem, check_label};
use crate::tables::api_keys::{self, ApiKeyRow, ApiKeys};
use crate::tables::session_sets::{Filter, Matching};
use crate::token::api_key::{self, ApiKeyKind};
use crate::token::{Algorithm, Purpose};

/// Longest display name of an API key, in characters.
const MAX_NAME: usize = 200;

/// Makes a new active key for a purpose; `alg` is the current one's where it is left out. With `publish_first` it is
/// published that long before it signs.
///
/// # Errors
/// `DEFINE_FAILED` for an unknown purpose or algorithm, for an algorithm where none is used, and for a time to publish
/// first that is not positive, or where nothing is published.
pub fn rotate(purpose: Option<&str>, alg: Option<&str>, publish_first: Option<Interval>) -> Result<KeyRow> {
    let purpose = required(purpose, "purpose", Code::DefineFailed)?;
    let purpose = Purpose::parse(purpose)
        .ok_or_else(|| Problem::not_one_of("purpose", Purpose::TEXTS))
        .coded(Code::DefineFailed)?;
    let alg = match alg {
        None => None,
        Some(_) if purpose != Purpose::Jwt => {
            return Err(Error::new(Code::DefineFailed, "only jwt keys have an algorithm")
                .hint("Leave alg out for the purposes seal and token."));
        }
        Some(alg) => Some(
            Algorithm::parse(alg)
                .ok_or_else(|| Problem::not_one_of("alg", Algorithm::TEXTS))
                .coded(Code::DefineFailed)?,
        ),
    };
    let publish_first = publish_first.as_ref().map(clock::span);
    if publish_first.is_some_and(|span| !span.is_positive() || !span.is_within_a_century()) {
        return Err(Error::new(
            Code::DefineFailed,
            "publish_first is not a time before which a key can be published",
        )
        .hint("Give a positive interval, longer than verifiers cache the key set."));
    }
    key_ring::rotate(purpose, alg, publish_first)
}

/// Revokes a key for good, and the sessions whose tokens only it could make or whose data only it could open.
///
/// # Errors
/// `REVOKE_FAILED` for an unknown key id; that of [`patiently`].
pub fn revoke(kid: Option<&str>) -> Result<KeyRow> {
    let kid = required(kid, "kid", Code::RevokeFailed)?;
    let owner = AsOwner::enter()?;
    patiently(&owner, || {
        let key = key_ring::revoke(kid)?.ok_or_else(|| {
            Error::new(Code::RevokeFailed, "there is no key with that id")
                .hint("dialstack.signing_key_list() shows the keys.")
        })?;
        if key.purpose != Purpose::Jwt.as_str() {
            // Opaque tokens are derived from the key anew whenever they are shown, and sealed data is opened with it:
            // without it, their sessions are over. No key of another purpose has its number.
            let filter = Filter { key_number: Some(key.key_number), ..Filter::default() };
            let of_key = Matching { filter, ..Matching::default() };
            revocations::revoke(&owner, &Which::Matching(&of_key), revocations::KEY_REVOKED, clock::now())?;
        }
        Ok(key)
    })
}

/// Gives the database a new identity and new keys, and revokes every session; returns the id.
///
/// # Errors
/// Those of making keys; that of [`patiently`].
pub fn reset() -> Result<pgrx::Uuid> {
    let owner = AsOwner::enter()?;
    patiently(&owner, || {
        let everything = Which::All { env_id: None, definition_id: None };
        revocations::revoke(&owner, &everything, revocations::INSTANCE_RESET, clock::now())?;
        Ok(pg_uuid(&key_ring::reset(&owner)?))
    })
}

/// An API key that was just made, shown this once.
pub struct NewKey {
    pub api_key_id: pgrx::Uuid,
    pub api_key: String,
}

/// Makes an API key for an environment. Only its hash and its last four characters are stored.
///
/// # Errors
/// `DEFINE_FAILED` for an unknown kind, a bad name or a time that has passed; `PRODUCT_NOT_FOUND`,
/// `ENV_NOT_FOUND`.
pub fn create_api_key(
    product: Option<&str>,
    env: Option<&str>,
    kind: Option<&str>,
    name: Option<&str>,
    expires_at: Option<TimestampWithTimeZone>,
) -> Result<NewKey> {
    let code = Code::DefineFailed;
    let product = required(product, "product", code)?;
    let env = required(env, "env", code)?;
    let kind = ApiKeyKind::parse(required(kind, "kind", code)?)
        .ok_or_else(|| Problem::not_one_of("kind", ApiKeyKind::TEXTS))
        .coded(code)?;
    if let Some(name) = name {
        check_label("name", name, MAX_NAME).coded(code)?;
    }
    let now = clock::now();
    if expires_at.is_some_and(|at| clock::micros(at) <= now) {
        return Err(Error::new(code, "expires_at is in the past")
            .hint("Give a time to come, or leave it out for a key that does not expire."));
    }
    // Never is stored as NULL alone: nothing can be subtracted from infinity, and drivers can't read it.
    let expires_at = expires_at.filter(|at| !at.is_infinity());
    // A change of an environment's mode is waited for, or waits.
    lock_for_writing::<ApiKeys>()?;
    let env = configuration::env(product, env)?;
    let text = api_key::make(kind, env.mode, random::bytes()?);
    let api_key_id = random::uuid()?;
    let expires_at = expires_at.map(clock::micros);
    let key = ApiKeyRow { api_key_id, env_id: env.env_id, kind, expires_at, revoked: false };
    api_keys::insert(&AsOwner::enter()?, &key, name, &api_key::hash(&text), api_key::hint(&text), now)?;
    Ok(NewKey { api_key_id: pg_uuid(&api_key_id), api_key: text.as_str().to_owned() })
}

/// The API keys of an environment, each with a hint only.
///
/// # Errors
/// `LIST_FAILED` for NULL; `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`.
pub fn list_api_keys<R: FromRow>(product: Option<&str>, env: Option<&str>) -> Result<Vec<R>> {
    let product = required(product, "product", Code::ListFailed)?;
    let env = required(env, "env", Code::ListFailed)?;
    let env = configuration::env(product, env)?;
    api_keys::LIST.read(&AsOwner::enter()?, &[bind(env.env_id)], R::from_row)
}

/// Revokes an API key for good. Idempotent.
///
/// # Errors
/// `API_KEY_NOT_FOUND`; `REVOKE_FAILED` for NULL; `CONFLICT` where the transaction's snapshot is too old to show the key.
pub fn revoke_api_key(api_key_id: Option<pgrx::Uuid>) -> Result<()> {
    let id = uuid(required(api_key_id, "api_key_id", Code::RevokeFailed)?);
    if api_keys::revoke(&AsOwner::enter()?, &id)? {
        return Ok(());
    }
    if api_keys::by_id(&id)?.is_some() {
        return Err(configuration::too_new());
    }
    Err(Error::new(Code::ApiKeyNotFound, "there is no API key with that id")
        .hint("dialstack.api_key_list() shows the keys of an environment."))
}
