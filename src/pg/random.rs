//! Randomness, from the server's own strong source.

use std::cell::RefCell;

use pgrx::pg_sys;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};

/// Bytes that are drawn at once: a draw costs far more than the bytes of it.
const POOL: usize = 512;

/// Random bytes that were drawn and not yet given out. Each is given out once and then wiped.
struct Pool {
    bytes: Zeroizing<[u8; POOL]>,
    used: usize,
}

thread_local! {
    static DRAWN: RefCell<Pool> = RefCell::new(Pool { bytes: Zeroizing::new([0; POOL]), used: POOL });
}

/// Fresh random bytes, at most 512.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` when the operating system has none to give.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    const { assert!(N <= POOL) };
    DRAWN.with_borrow_mut(|pool| {
        if POOL - pool.used < N {
            draw(&mut pool.bytes)?;
            pool.used = 0;
        }
        let mut given = [0; N];
        let taken = &mut pool.bytes[pool.used..pool.used + N];
        given.copy_from_slice(taken);
        taken.fill(0);
        pool.used += N;
        Ok(given)
    })
}

fn draw(into: &mut [u8; POOL]) -> Result<()> {
    // SAFETY: fills exactly the bytes that it is given; it reports failure and raises no error.
    if unsafe { pg_sys::pg_strong_random(into.as_mut_ptr().cast(), POOL) } {
        return Ok(());
    }
    Err(Error::new(Code::JwtNotAvailable, "the server could not get random bytes")
        .hint("Check that the operating system's random device works."))
}

/// A fresh random UUID (version 4).
pub fn uuid() -> Result<Uuid> {
    Ok(uuid::Builder::from_random_bytes(bytes()?).into_uuid())
}
