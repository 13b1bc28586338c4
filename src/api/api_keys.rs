//! API keys.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use uuid::Uuid;

use super::{pg_uuid, required, uuid};
use crate::error::{self, Code, Coded, Error};
use crate::pg::clock;
use crate::pg::random;
use crate::pg::roles::AsOwner;
use crate::service::configuration;
use crate::session::{Problem, check_label};
use crate::tables::api_keys::{self, ListedKey, NewApiKey};
use crate::token::api_key::{self, ApiKeyKind, ApiKeyText};

/// Longest display name of a key, in characters.
const MAX_NAME: usize = 200;

/// Creates an API key. This is the only time that it is shown: only its hash is stored.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn api_key_create(
    product: Option<&str>,
    env: Option<&str>,
    kind: default!(Option<&str>, "'secret'"),
    name: default!(Option<&str>, "NULL"),
    expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
) -> Result<
    TableIterator<'static, (name!(api_key_id, pgrx::Uuid), name!(api_key, String))>,
    ErrorReport,
> {
    let (id, text) = create(product, env, kind, name, expires_at)?;
    Ok(TableIterator::once((
        pg_uuid(&id),
        text.expose().to_owned(),
    )))
}

fn create(
    product: Option<&str>,
    env: Option<&str>,
    kind: Option<&str>,
    name: Option<&str>,
    expires_at: Option<TimestampWithTimeZone>,
) -> error::Result<(Uuid, ApiKeyText)> {
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
    let env = configuration::env(product, env)?;
    let text = api_key::make(kind, env.mode, random::bytes()?);
    // What we made ourselves parses.
    let presented = api_key::parse(text.expose()).ok_or(crate::token::KeyError::Encoding)?;
    let api_key_id = random::uuid()?;
    let key = NewApiKey {
        api_key_id,
        env_id: env.env_id,
        kind,
        name,
        hash: presented.hash,
        hint: api_key::hint(&text),
        expires_at,
    };
    api_keys::insert(&AsOwner::enter()?, key, now)?;
    Ok((api_key_id, text))
}

/// The API keys of an environment, each with a hint only.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn api_key_list(
    product: Option<&str>,
    env: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(api_key_id, pgrx::Uuid),
            name!(kind, String),
            name!(name, Option<String>),
            name!(hint, String),
            name!(created_at, TimestampWithTimeZone),
            name!(expires_at, Option<TimestampWithTimeZone>),
            name!(revoked_at, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let keys = list(product, env)?;
    Ok(TableIterator::new(keys.into_iter().map(|key| {
        (
            key.api_key_id,
            key.kind,
            key.name,
            key.hint,
            key.created_at,
            key.expires_at,
            key.revoked_at,
        )
    })))
}

fn list(product: Option<&str>, env: Option<&str>) -> error::Result<Vec<ListedKey>> {
    let product = required(product, "product", Code::ListFailed)?;
    let env = required(env, "env", Code::ListFailed)?;
    let env = configuration::env(product, env)?;
    api_keys::list(&AsOwner::enter()?, env.env_id)
}

/// Revokes an API key for good; felt by the next statement that presents it. Idempotent.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn api_key_revoke(api_key_id: Option<pgrx::Uuid>) -> Result<(), ErrorReport> {
    Ok(revoke(api_key_id)?)
}

fn revoke(api_key_id: Option<pgrx::Uuid>) -> error::Result<()> {
    let id = uuid(required(api_key_id, "api_key_id", Code::RevokeFailed)?);
    if api_keys::revoke(&AsOwner::enter()?, &id)? {
        return Ok(());
    }
    Err(
        Error::new(Code::ApiKeyNotFound, "there is no API key with that id")
            .hint("dialstack.api_key_list() shows the keys of an environment."),
    )
}
