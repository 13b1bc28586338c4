//! Randomness, from the server's own strong source.

use pgrx::pg_sys;
use uuid::Uuid;

use crate::error::{Code, Error, Result};

/// Fresh random bytes.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` when the operating system has none to give.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    // SAFETY: fills exactly the bytes that it is given; it reports failure and raises no error.
    if unsafe { pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), N) } {
        return Ok(bytes);
    }
    Err(Error::new(Code::JwtNotAvailable, "the server could not get random bytes")
        .hint("Check that the operating system's random device works."))
}

/// A fresh random UUID (version 4).
pub fn uuid() -> Result<Uuid> {
    Ok(uuid::Builder::from_random_bytes(bytes()?).into_uuid())
}
