//! What is known of a token of any family that this instance made.

use uuid::Uuid;

use super::claims::AccessClaims;
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
    pub family: Family,
    /// The session that it belongs to; the session's own family must be compared.
    pub session_id: Uuid,
    /// The number of the key that made it.
    pub key_number: u32,
    /// The claims: of access tokens.
    pub access: Option<AccessClaims>,
}
