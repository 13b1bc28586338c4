//! Tokens and keys: how they are made and how they are recognised. Pure: time and random bytes
//! are passed in, nothing is read or written.
//!
//! | module | what |
//! |---|---|
//! | [`root_key`] | wraps the keys of the ring |
//! | [`key_ring`] | the keys, their subkeys, public JWKs |
//! | [`access`] | access tokens of user sessions, with `jws`, `claims` and [`jwe`] |
//! | [`refresh`] | refresh tokens |
//! | [`opaque`] | client secrets and client session tokens |
//! | [`sealed`] | session data and user_identifier_key at rest |
//! | [`api_key`] | API keys |
//! | [`authenticate`] | a presented token of any family → [`AuthenticToken`] |
//!
//! # Formats
//! Everything that another program needs in order to read or make what this module makes. `‖`
//! joins bytes, `u32` is big endian, `base64url` has no padding (RFC 4648, section 5) and is
//! accepted in its canonical form only. `instance` and `session id` are the 16 bytes of a UUID.
//! HKDF is RFC 5869 with SHA-256, and 32 bytes of output; AES-GCM has a nonce of 12 bytes and a
//! tag of 16.
//!
//! ## Keys
//! | key | made by HKDF from | salt | info (ASCII) |
//! |---|---|---|---|
//! | wrapping key | root key | none | `dialstack_sessions/v1/root/wrap` |
//! | fingerprint (its first 8 bytes) | root key | none | `dialstack_sessions/v1/root/fingerprint` |
//! | key encryption key of `dat` | `seal` material | instance | `dialstack_sessions/v1/seal/dat` |
//! | key of a session's row | `seal` material | instance | `dialstack_sessions/v1/seal/session` ‖ session id |
//! | key of `sealed_key` | `seal` material | instance | `dialstack_sessions/v1/seal/user_identifier_key` |
//! | key of refresh tokens | `token` material | instance | `dialstack_sessions/v1/token/refresh` |
//! | key of opaque tokens | `token` material | instance | `dialstack_sessions/v1/token/opaque` |
//!
//! A `jwt` key's material is used as it is: the HS256 secret, the Ed25519 seed (RFC 8032) or the
//! P-256 private scalar, big endian. All material is 32 bytes.
//!
//! - root key file: 64 hexadecimal digits, or base64 or base64url of 32 bytes.
//! - wrapped key (60 bytes): nonce ‖ AES-256-GCM(wrapping key, nonce, material, aad = `kid`).
//!
//! ## Access token
//! base64url(header) `.` base64url(claims) `.` base64url(signature), the signature over the ASCII
//! text before the second dot (RFC 7515, section 5.1); ES256 signatures are `r ‖ s`, 64 bytes
//! (RFC 7518, section 3.4), of the two true ones that with the lower `s`. At most 8192 bytes, as `tag:jwt` too.
//!
//! - header: `{"alg":…,"typ":"at+jwt","kid":…}`, no other member.
//! - claims, no others, each once: `iss` = `urn:uuid:` + the instance in lower case with hyphens;
//!   `client_id` = product; `aud` = product + `/` + environment (its name when the token was made), a string; `sub` = identifier;
//!   `sid` and `jti`: UUIDs in lower case with hyphens; `tag`; `iat`, `exp`, and optionally `nbf`:
//!   whole Unix seconds without fraction or exponent, from 0 to 253402300799; `dat`; and, where the definition
//!   names `public_claims`, `public`: an object of those parts of the session data, nested as they are there.
//! - `dat`: a compact JWE (RFC 7516, section 7.1) with the header
//!   `{"alg":"A256KW","enc":"A256GCM","kid":…}`, no other member, of the session data, which is
//!   JSON text in UTF-8 of at most 3500 bytes. `kid` is the `seal` key's; the associated data is
//!   the first part as it stands.
//!
//! ## Other tokens
//! - refresh token: `prefix` + base64url(key number as u32 ‖ AES-256-GCM-SIV(key, nonce = 12 zero
//!   bytes, session id ‖ generation as u32, aad = prefix ‖ instance ‖ key number as u32)), the
//!   prefix being `rt_live_` or `rt_test_` (RFC 8452; the tag of 16 bytes comes last).
//! - opaque token: `prefix` + base64url(key number as u32 ‖ session id ‖ HMAC-SHA256(key,
//!   prefix ‖ instance ‖ key number as u32 ‖ session id)), the prefix being `cs_live_` or
//!   `cs_test_` for a client secret, `cst_live_` or `cst_test_` for a client session token.
//! - `sealed_data`: nonce ‖ AES-256-GCM(key of that session's row, nonce, data, aad = session id). The
//!   data is a u32 of the server's own byte order, 1, ‖ the content of the `jsonb` value, which is what
//!   the server keeps of one behind its length.
//! - `sealed_key`: key number as u32 ‖ AES-256-GCM-SIV(key, nonce = 12 zero bytes, `user_identifier_key` in UTF-8,
//!   aad = key number as u32 ‖ `env_id` as u32).
//! - API key: `sk_live_`, `sk_test_`, `pk_live_` or `pk_test_` + base64url(32 random bytes);
//!   stored is the SHA-256 of the whole text.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod access;
pub mod api_key;
mod authentic;
mod claims;
mod error;
mod header;
mod jwe;
mod jws;
pub mod key_ring;
pub mod opaque;
mod primitives;
pub mod refresh;
pub mod root_key;
pub mod sealed;
mod secret;
mod signing_key;
#[cfg(test)]
mod tests;

use uuid::Uuid;

use crate::text_enum::text_enum;

pub use access::AccessClaims;
pub use authentic::{AuthenticToken, Family, authenticate};
pub use claims::{MAX_NAME, is_name};
pub use error::{KeyError, Rejected};
pub use key_ring::{Algorithm, KeyEntry, KeyRing, KeyState, Material, Purpose};
pub use opaque::OpaqueFamily;
pub use secret::Secret;
pub use signing_key::public_jwk;

/// Bytes of the longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 8192;

/// Most bytes of session data, as JSON text: a token that carries it must stay below 8 KiB.
pub const MAX_DATA_BYTES: usize = 3_500;

text_enum! {
    /// The kind of environment that a token belongs to; it shows in the prefix.
    pub enum Mode {
        /// Real use.
        Live = "live",
        /// Trying things out.
        Test = "test",
    }
}

/// The identity of this database. Every token is bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceId(pub [u8; 16]);

impl InstanceId {
    /// `urn:uuid:` and the id in lower case with hyphens (RFC 9562, section 4).
    pub fn issuer(&self) -> String {
        Uuid::from_bytes(self.0).urn().to_string()
    }
}
