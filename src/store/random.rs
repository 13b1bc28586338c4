//! Randomness, from the server's own strong source.

use pgrx::pg_sys;
use uuid::Uuid;

use crate::error::{Code, Error, Result};

/// Fresh random bytes.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` when the operating system has none to give.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0u8; N];
    // SAFETY: fills exactly the N bytes that it is given.
    if unsafe { pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), N) } {
        Ok(bytes)
    } else {
        Err(Error::new(
            Code::JwtNotAvailable,
            "the server could not get random bytes",
        )
        .hint("Check that the operating system's random device works."))
    }
}

/// A fresh random UUID (version 4).
pub fn uuid() -> Result<Uuid> {
    Ok(uuid::Builder::from_random_bytes(bytes()?).into_uuid())
}
