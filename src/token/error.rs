//! Why a token is refused, and why a key cannot be used. No value here holds any part of a token
//! or a key.

use super::key_ring::Purpose;

/// Why a presented token (or sealed value) is refused.
///
/// For an administrator. A caller of the service learns only that the token is invalid: telling
/// forgeries apart would help their maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("the token is longer than 8192 bytes")]
    TooLong,
    /// Not the form of any token, or of the kind of token that is accepted here.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// Names a key that the ring does not hold, or holds for another purpose, or has revoked.
    #[error("the token names a key that is unknown or revoked")]
    UnknownKey,
    /// The signature, MAC or authentication tag is not the one that the key makes.
    #[error("the token's signature or authentication tag does not match")]
    BadSignature,
    /// A header that is not exactly what this service writes.
    #[error("the token's header is refused: {0}")]
    Header(&'static str),
    /// A claim that is absent, unknown, of a wrong type, or contradicts another.
    #[error("the token's claims are refused: {0}")]
    Claim(&'static str),
    /// Authentic, but `iss` names another instance.
    #[error("the token was made by another instance")]
    WrongInstance,
}

/// Why a key, or the ring, cannot do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The ring has no active key of this purpose (or not the key that was asked for).
    #[error("no usable key for purpose {}", .0.as_str())]
    Unavailable(Purpose),
    /// The root key does not open the wrapped key: wrong root, wrong key id or altered bytes.
    #[error("the root key does not open the key ring")]
    Unwrap,
    /// The bytes are no key of the algorithm, or a root key is all zero.
    #[error("the key bytes are not a valid key")]
    Material,
    /// Text that is no key, or claims that cannot be written as a token.
    #[error("the value cannot be encoded or decoded")]
    Encoding,
    /// The data is over [`super::MAX_DATA_BYTES`] or the token over [`super::MAX_TOKEN_BYTES`].
    #[error("the session data or the token would be too long")]
    TooLarge,
}
