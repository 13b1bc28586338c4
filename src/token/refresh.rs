//! Refresh tokens: `rt_<mode>_` + base64url(key number ‖ AES-256-GCM-SIV(session id ‖ generation)).

use uuid::Uuid;

use super::key_ring::KeyRing;
use super::primitives::{TAG, fixed_from_base64url, prefix, siv_open, siv_seal, split_prefix, to_base64url};
use super::{InstanceId, KeyError, Mode, Purpose, Rejected};

/// Session id and generation.
const PLAIN: usize = 16 + 4;
/// Key number, ciphertext and tag.
const BODY: usize = 4 + PLAIN + TAG;

/// What an authentic refresh token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// The kind of environment that it was made for.
    pub mode: Mode,
    pub session_id: Uuid,
    /// How often the session had rotated when the token was made.
    pub generation: u32,
}

/// What the prefix begins with.
const NAME: &str = "rt";

/// The same token for the same arguments and active key, always: parallel callers get one string.
///
/// # Errors
/// [`KeyError::Unavailable`] without an active `token` key.
pub fn issue(ring: &KeyRing, mode: Mode, session_id: Uuid, generation: u32) -> Result<String, KeyError> {
    let key = ring.token.active()?;
    let mut plain = [0; PLAIN];
    plain[..16].copy_from_slice(session_id.as_bytes());
    plain[16..].copy_from_slice(&generation.to_be_bytes());
    let aad = associated_data(mode, ring.instance(), key.number);
    let body = siv_seal(&key.keys.refresh, &aad, &plain).ok_or(KeyError::Unavailable(Purpose::Token))?;
    Ok(prefix(NAME, mode) + &to_base64url([&key.number.to_be_bytes(), body.as_slice()].concat()))
}

/// Opens a token that [`issue`] made with a key that is active or retired.
///
/// # Errors
/// [`Rejected::Malformed`] for another form, [`Rejected::UnknownKey`], or
/// [`Rejected::BadSignature`] for anything that is not authentic here, as another mode or instance.
pub fn authenticate(ring: &KeyRing, presented: &str) -> Result<RefreshToken, Rejected> {
    let (_, mode, text) = split_prefix(presented)
        .filter(|(name, ..)| *name == NAME)
        .ok_or(Rejected::Malformed("not a refresh token"))?;
    let body: [u8; BODY] = fixed_from_base64url(text)
        .ok_or(Rejected::Malformed("not base64url of the length of a refresh token"))?;
    let [n0, n1, n2, n3, sealed @ ..] = &body;
    let number = u32::from_be_bytes([*n0, *n1, *n2, *n3]);
    let key = ring.token.by_number(number).ok_or(Rejected::UnknownKey)?;

    let aad = associated_data(mode, ring.instance(), number);
    let plain = siv_open(&key.keys.refresh, &aad, sealed).ok_or(Rejected::BadSignature)?;
    let (session_id, generation) = plain.split_first_chunk().ok_or(Rejected::Malformed("too short"))?;
    let generation = generation.try_into().map_err(|_| Rejected::Malformed("too short"))?;
    Ok(RefreshToken {
        mode,
        session_id: Uuid::from_bytes(*session_id),
        generation: u32::from_be_bytes(generation),
    })
}

fn associated_data(mode: Mode, instance: InstanceId, key_number: u32) -> Vec<u8> {
    [prefix(NAME, mode).as_bytes(), &instance.0, &key_number.to_be_bytes()].concat()
}
