//! What is encrypted at rest: session data in the column `sealed_data`, whose bytes are not looked at here, and the
//! `user_identifier_key` of client sessions in the column `sealed_key`.

use uuid::Uuid;
use zeroize::Zeroizing;

use super::key_ring::{KeyRing, RingKey, SealKey};
use super::primitives::{NONCE, expand, gcm_open, gcm_seal, siv_open, siv_seal};
use super::{KeyError, Purpose, Rejected, Secret};

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
    let sealed = gcm_seal(&subkey, &nonce, session_id.as_bytes(), plaintext).ok_or(KeyError::TooLarge)?;
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
    let key = ring.seal.by_number(key_number).ok_or(Rejected::UnknownKey)?;
    gcm_open(&session_key(&key.keys, session_id), session_id.as_bytes(), sealed).ok_or(Rejected::BadSignature)
}

/// All forms in which a `user_identifier_key` of this environment may be stored: one for each `seal` key of the ring.
/// The first is by the active key: that is what a new row gets. Each is always the same for the same arguments, so
/// that the row is found by it.
///
/// # Errors
/// [`KeyError::Unavailable`] without an active `seal` key.
pub fn identifier_key_forms(
    ring: &KeyRing,
    env_id: i32,
    user_identifier_key: &str,
) -> Result<Vec<Vec<u8>>, KeyError> {
    let form = |key: &RingKey<SealKey>| {
        let aad = associated_data(key.number, env_id);
        let sealed = siv_seal(&key.keys.identifier_key, &aad, user_identifier_key.as_bytes())
            .ok_or(KeyError::Unavailable(Purpose::Seal))?;
        Ok([key.number.to_be_bytes().as_slice(), &sealed].concat())
    };
    ring.seal.active_first()?.map(form).collect()
}

/// Opens one of the [`identifier_key_forms`], with the key that it names, be it active or retired.
///
/// # Errors
/// [`Rejected::Malformed`] for less than a key number, [`Rejected::UnknownKey`], or [`Rejected::BadSignature`] for
/// another environment or altered bytes.
pub fn open_identifier_key(ring: &KeyRing, env_id: i32, form: &[u8]) -> Result<Zeroizing<String>, Rejected> {
    let (number, sealed) = form.split_first_chunk().ok_or(Rejected::Malformed("too short"))?;
    let number = u32::from_be_bytes(*number);
    let key = ring.seal.by_number(number).ok_or(Rejected::UnknownKey)?;
    let aad = associated_data(number, env_id);
    let opened = siv_open(&key.keys.identifier_key, &aad, sealed).ok_or(Rejected::BadSignature)?;
    let text = std::str::from_utf8(&opened).map_err(|_| Rejected::BadSignature)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn associated_data(key_number: u32, env_id: i32) -> Vec<u8> {
    [key_number.to_be_bytes(), env_id.to_be_bytes()].concat()
}

/// One HKDF-Expand: the extraction, with the instance as its salt, was done when the ring was made.
fn session_key(key: &SealKey, session_id: Uuid) -> Secret<32> {
    expand(&key.prk, &[INFO_SESSION, session_id.as_bytes()])
}
