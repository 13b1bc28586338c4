//! Signing keys, API keys, and the identity of this database.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;
use serde_json::json;

use super::{Result, functions};
use crate::pg::datum::json::JsonText;
use crate::service::keys::key_ring;
use crate::service::keys::manage;

functions! { FUNCTIONS;
    rows {
        kid: String,
        key_number: i32,
        purpose: String,
        alg: Option<String>,
        state: String,
        created_at: TimestampWithTimeZone,
        active_at: TimestampWithTimeZone,
        retired_at: Option<TimestampWithTimeZone>,
        revoked_at: Option<TimestampWithTimeZone>,
    }

    /// Makes a new active key for a purpose; the old one goes on verifying.
    ///
    /// With `publish_first` the new key is in jwks() that long before it signs: verifiers that cache the key set see it
    /// first.
    #[level(Admin; audit(purpose, alg, publish_first => kid))]
    fn signing_key_rotate(
        purpose: default!(Option<&str>, "'jwt'"),
        alg: default!(Option<&str>, "NULL"),
        publish_first: default!(Option<Interval>, "NULL"),
    ) => rows shared {
        vec![manage::rotate(purpose, alg, publish_first)?]
    }

    /// The key ring without its secrets, oldest first.
    #[level(Monitor)]
    fn signing_key_list() => rows shared {
        key_ring::list()?
    }

    /// Revokes a key for good: what it made is refused from the next statement on.
    ///
    /// An active key gets a successor first.
    #[level(Admin; audit(kid))]
    fn signing_key_revoke(kid: Option<&str>) => rows shared {
        vec![manage::revoke(kid)?]
    }

    /// Wraps the key ring with another root key; returns where that lies: row or file.
    #[level(Admin; audit(=> root_key))]
    fn root_key_rotate() -> Result<&'static str> {
        Ok(key_ring::rotate_root()?)
    }

    /// The public keys that verify tokens, as a JSON Web Key Set (RFC 7517).
    #[level(Client)]
    fn jwks() -> Result<JsonText> {
        Ok(JsonText::of(&json!({ "keys": key_ring::public_keys()? })))
    }

    /// What access tokens name as their issuer, in the claim iss.
    #[level(Client)]
    #[pg_extern(stable, parallel_safe)]
    fn issuer() -> Result<String> {
        Ok(key_ring::ring()?.instance().issuer())
    }

    /// Makes a new identity and new keys: all earlier tokens are dead, every session revoked; returns its id.
    #[level(Admin; audit(=> instance_id))]
    fn instance_reset() -> Result<pgrx::Uuid> {
        Ok(manage::reset()?)
    }

    /// Creates an API key and returns it, this one time.
    #[level(Admin; audit(product, env, kind, expires_at => api_key_id))]
    fn api_key_create(
        product: Option<&str>,
        env: Option<&str>,
        kind: default!(Option<&str>, "'secret'"),
        name: default!(Option<&str>, "NULL"),
        expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    ) => rows { api_key_id: pgrx::Uuid, api_key: String } {
        vec![manage::create_api_key(product, env, kind, name, expires_at)?]
    }

    /// The API keys of an environment, each with a hint only.
    #[level(Admin; unrecorded)]
    fn api_key_list(product: Option<&str>, env: Option<&str>) => table {
        api_key_id: pgrx::Uuid,
        kind: String,
        name: Option<String>,
        hint: String,
        created_at: TimestampWithTimeZone,
        expires_at: Option<TimestampWithTimeZone>,
        revoked_at: Option<TimestampWithTimeZone>,
    } {
        manage::list_api_keys(product, env)?
    }

    /// Revokes an API key for good, from the next statement on that presents it.
    #[level(Admin; audit(api_key_id))]
    fn api_key_revoke(api_key_id: Option<pgrx::Uuid>) -> Result<()> {
        Ok(manage::revoke_api_key(api_key_id)?)
    }
}
