//! The one way in: a presented token of any family becomes an authentic one or a refusal.

use uuid::Uuid;

use super::access::{self, AccessClaims};
use super::key_ring::KeyRing;
use super::{MAX_TOKEN_BYTES, Rejected, opaque};
use crate::text_enum::text_enum;

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
    /// The family that the token is of.
    pub family: Family,
    /// The session that it belongs to; the session's own family must be compared.
    pub session_id: Uuid,
    /// The number of the key that made it.
    pub key_number: u32,
    /// The claims: of access tokens.
    pub access: Option<AccessClaims>,
}

/// Decides whether this instance made the token. `now_unix` is in seconds.
///
/// `exp` is not compared with the clock: a revoked token answers `revoked` even after it expired,
/// so the caller compares, in the order of reasons.
///
/// # Errors
/// A [`Rejected`] that says why not.
pub fn authenticate(presented: &str, ring: &KeyRing, now_unix: i64) -> Result<AuthenticToken, Rejected> {
    if presented.len() > MAX_TOKEN_BYTES {
        return Err(Rejected::TooLong);
    }
    // No opaque token has a dot, every JWS has two. A prefix would not do: a tag may begin with it.
    if presented.contains('.') {
        return access::authenticate(ring, presented, now_unix);
    }
    opaque::authenticate(ring, presented)
}
