//! The key ring and the identity of this database.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::json;

use super::{pg_uuid, required};
use crate::error::{self, Code, Error};
use crate::pg::clock;
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::service::key_ring;
use crate::service::revocations::{self, Which};
use crate::tables::signing_keys::{self, KeyRow};
use crate::token::{Algorithm, Purpose};

type KeyColumns = (
    String,
    i32,
    String,
    Option<String>,
    String,
    TimestampWithTimeZone,
    Option<TimestampWithTimeZone>,
    Option<TimestampWithTimeZone>,
);

fn columns(key: KeyRow) -> KeyColumns {
    (
        key.kid,
        key.key_number,
        key.purpose,
        key.alg,
        key.state,
        key.created_at,
        key.retired_at,
        key.revoked_at,
    )
}

/// Declares the SQL functions that return keys, all with the same columns.
macro_rules! key_functions {
    ($(
        $(#[$meta:meta])*
        fn $name:ident($($arguments:tt)*) = $rows:expr;
    )*) => { $(
        $(#[$meta])*
        #[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
        fn $name($($arguments)*) -> Result<
            TableIterator<
                'static,
                (
                    name!(kid, String),
                    name!(key_number, i32),
                    name!(purpose, String),
                    name!(alg, Option<String>),
                    name!(state, String),
                    name!(created_at, TimestampWithTimeZone),
                    name!(retired_at, Option<TimestampWithTimeZone>),
                    name!(revoked_at, Option<TimestampWithTimeZone>),
                ),
            >,
            ErrorReport,
        > {
            let rows: Vec<KeyRow> = $rows;
            Ok(TableIterator::new(rows.into_iter().map(columns)))
        }
    )* };
}

key_functions! {
    /// Makes a new active key; the active one retires and goes on verifying.
    fn signing_key_rotate(
        purpose: default!(Option<&str>, "'jwt'"),
        alg: default!(Option<&str>, "NULL"),
    ) = vec![rotate(purpose, alg)?];

    /// The key ring without its secrets, oldest first.
    fn signing_key_list() = signing_keys::list()?;

    /// Revokes a key for good: what it made is refused from the next statement on. An active key gets
    /// a successor first.
    fn signing_key_revoke(kid: Option<&str>) = vec![revoke(kid)?];
}

fn rotate(purpose: Option<&str>, alg: Option<&str>) -> error::Result<KeyRow> {
    let purpose = required(purpose, "purpose", Code::DefineFailed)?;
    let purpose = Purpose::parse(purpose).ok_or_else(|| {
        Error::new(Code::DefineFailed, "the purpose is not known")
            .hint("A key's purpose is jwt, seal or token.")
    })?;
    let alg = match alg {
        None => None,
        Some(_) if purpose != Purpose::Jwt => {
            return Err(
                Error::new(Code::DefineFailed, "only jwt keys have an algorithm")
                    .hint("Leave alg out for the purposes seal and token."),
            );
        }
        Some(alg) => Some(Algorithm::parse(alg).ok_or_else(|| {
            Error::new(Code::DefineFailed, "the algorithm is not known")
                .hint("alg is HS256, EdDSA or ES256.")
        })?),
    };
    key_ring::rotate(purpose, alg)
}

fn revoke(kid: Option<&str>) -> error::Result<KeyRow> {
    let kid = required(kid, "kid", Code::RevokeFailed)?;
    let key = key_ring::revoke(kid)?.ok_or_else(|| {
        Error::new(Code::RevokeFailed, "there is no key with that id")
            .hint("dialstack.signing_key_list() shows the keys.")
    })?;
    if key.purpose == Purpose::Token.as_str() {
        // A token that can't be made again is no token that could be shown: its session is over.
        let which = Which::Key(key.key_number);
        let cause = revocations::KEY_REVOKED;
        revocations::revoke(&AsOwner::enter()?, &which, cause, clock::now())?;
    }
    Ok(key)
}

/// Wraps the key ring with another root key and tells where that key now lies: `row` or `file`.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn root_key_rotate() -> Result<&'static str, ErrorReport> {
    Ok(key_ring::rotate_root()?)
}

/// The public keys that verify tokens, as a JSON Web Key Set (RFC 7517, section 5).
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn jwks() -> Result<JsonText, ErrorReport> {
    Ok(JsonText::of(&json!({ "keys": key_ring::public_keys()? })))
}

/// A new identity and a new key ring: every token of before is dead, every session revoked.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn instance_reset() -> Result<pgrx::Uuid, ErrorReport> {
    Ok(reset()?)
}

fn reset() -> error::Result<pgrx::Uuid> {
    let owner = AsOwner::enter()?;
    let cause = revocations::INSTANCE_RESET;
    revocations::revoke(&owner, &Which::All, cause, clock::now())?;
    Ok(pg_uuid(&key_ring::reset(&owner)?))
}
