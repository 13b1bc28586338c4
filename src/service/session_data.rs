//! The data of a session, and its form at rest.
//!
//! What is sealed is the `jsonb` value as the server keeps it, so that verifying copies it and parses nothing.
//! Sealing authenticates with a key that only this instance has, so the bytes are those of a value that this server
//! made.

use uuid::Uuid;

use crate::error::Result;
use crate::pg::datum::jsonb::Jsonb;
use crate::pg::random;
use crate::token::{KeyRing, sealed};

/// The data of a session.
pub type SessionData = Jsonb;

/// Encrypts data for the row of this session; returns the key's number and the sealed data.
///
/// # Errors
/// Those of [`sealed::seal`] and of the random number generator.
pub fn seal(data: &SessionData, ring: &KeyRing, session_id: Uuid) -> Result<(u32, Vec<u8>)> {
    let nonce = random::bytes()?;
    Ok(sealed::seal(ring, session_id, nonce, data.portable())?)
}
