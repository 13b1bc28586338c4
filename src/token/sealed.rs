//! Session data at rest: the `sealed_data` column. What its bytes are is not looked at here.

use uuid::Uuid;
use zeroize::Zeroizing;

use super::key_ring::{KeyRing, SealKey};
use super::primitives::{NONCE, expand, gcm_open, gcm_seal};
use super::{KeyError, Rejected, Secret};

const INFO_SESSION: &[u8] = b"dialstack_sessions/v1/seal/session";

/// Encrypts a session's data with the active `seal` key: its number, and nonce (12 bytes) ‖
/// ciphertext ‖ tag (16). `nonce` must be random; each session has a key of its own, so that only
/// the updates of one session share a nonce budget.
///
/// # Errors
/// [`KeyError::Unavailable`] without an active `seal` key; [`KeyError::TooLarge`] past the limit
/// of AES-GCM.
pub fn seal(
    ring: &KeyRing,
    session_id: Uuid,
    nonce: [u8; NONCE],
    plaintext: &[u8],
) -> Result<(u32, Vec<u8>), KeyError> {
    let key = ring.seal.active()?;
    let subkey = session_key(&key.keys, session_id);
    let sealed =
        gcm_seal(&subkey, &nonce, session_id.as_bytes(), plaintext).ok_or(KeyError::TooLarge)?;
    Ok((key.number, sealed))
}

/// Opens what [`seal`] made, with the key of the given number, be it active or retired.
///
/// # Errors
/// [`Rejected::UnknownKey`], or [`Rejected::BadSignature`] for another session or altered bytes.
pub fn open(
    ring: &KeyRing,
    key_number: u32,
    session_id: Uuid,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Rejected> {
    let key = ring
        .seal
        .by_number(key_number)
        .ok_or(Rejected::UnknownKey)?;
    gcm_open(
        &session_key(&key.keys, session_id),
        session_id.as_bytes(),
        sealed,
    )
    .ok_or(Rejected::BadSignature)
}

/// One HKDF-Expand: the extraction, with the instance as its salt, was done when the ring was made.
fn session_key(key: &SealKey, session_id: Uuid) -> Secret<32> {
    expand(&key.prk, &[INFO_SESSION, session_id.as_bytes()])
}
