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
//! The formats are in `docs/reference/token-formats.md`.
#![forbid(unsafe_code)]

pub mod access;
pub mod api_key;
mod claims;
mod error;
mod jwe;
mod jws;
pub mod key_ring;
pub mod opaque;
mod primitives;
pub mod refresh;
pub mod root_key;
pub mod sealed;
mod signing_key;
#[cfg(test)]
mod tests;

use uuid::Uuid;

use crate::text_enum::text_enum;

pub use access::AccessClaims;
pub use claims::{MAX_NAME, is_name};
pub use error::{KeyError, Rejected};
pub use key_ring::{KeyEntry, KeyRing, KeyState, Purpose};
pub use opaque::OpaqueFamily;
pub use primitives::Secret;
pub use signing_key::{Algorithm, Material, public_jwk};

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

text_enum! {
    /// The families of sessions.
    pub enum Family {
        /// A user session, by its access token.
        User = "user",
        /// An account session, by its client secret.
        Account = "account",
        /// A client session, by its token.
        Client = "client",
    }
}

/// A token that this instance made. Whether its session lives is for the caller to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticToken {
    pub family: Family,
    /// The session that it belongs to; the session's own family must be compared.
    pub session_id: Uuid,
    /// The number of the key that made it.
    pub key_number: u32,
    /// The claims: of access tokens.
    pub access: Option<AccessClaims>,
}

/// The one way in: decides whether this instance made a token of any family.
///
/// `exp` is not compared with the clock: a revoked token answers `revoked` even after it expired,
/// so the caller compares, in the order of reasons.
pub fn authenticate(presented: &str, ring: &KeyRing) -> Result<AuthenticToken, Rejected> {
    if presented.len() > MAX_TOKEN_BYTES {
        return Err(Rejected::TooLong);
    }
    // No opaque token has a dot, every JWS has two. A prefix would not do: a tag may begin with it.
    if presented.contains('.') {
        return access::authenticate(ring, presented);
    }
    opaque::authenticate(ring, presented)
}
