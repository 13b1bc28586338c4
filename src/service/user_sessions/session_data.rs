//! The data of a session, and its form at rest.
//!
//! What is sealed is the `jsonb` value as the server keeps it, so that verifying copies it and parses nothing.
//! Sealing authenticates with a key that only this instance has, so the bytes are those of a value that this server
//! made.

use pgrx::pg_sys;
use uuid::Uuid;

use crate::error::Result;
use crate::pg::datum::json::JsonText;
use crate::pg::datum::jsonb::Jsonb;
use crate::pg::random;
use crate::service::keys::key_ring;
use crate::tables::sessions::SessionRow;
use crate::token::{KeyRing, sealed};

/// The data of a session.
pub struct SessionData(pub Jsonb);

impl SessionData {
    /// Encrypts it for the row of this session: the key's number, and the sealed data.
    ///
    /// # Errors
    /// Those of [`sealed::seal`] and of the random number generator.
    pub fn seal(&self, ring: &KeyRing, session_id: Uuid) -> Result<(u32, Vec<u8>)> {
        let nonce = random::bytes()?;
        Ok(sealed::seal(ring, session_id, nonce, self.0.portable())?)
    }

    /// The data of a session. `None` where there is none, or its key is gone and so the data.
    ///
    /// # Errors
    /// `JWT_NOT_AVAILABLE` where the key ring can't be read.
    pub fn of(row: &SessionRow) -> Result<Option<Self>> {
        match &row.sealed_data {
            Some(sealed) => Self::open(row.session_id, row.key_number, sealed),
            None => Ok(None),
        }
    }

    /// Opens the sealed data of this session. `None` where its key is gone and so the data.
    ///
    /// # Errors
    /// `JWT_NOT_AVAILABLE` where the key ring can't be read.
    pub fn open(session_id: Uuid, key_number: u32, sealed: &[u8]) -> Result<Option<Self>> {
        let open = |ring: &KeyRing| sealed::open(ring, key_number, session_id, sealed);
        let portable = key_ring::with(open)?.ok();
        Ok(portable.and_then(Jsonb::of_portable).map(SessionData))
    }

    /// The `jsonb` value, in the current memory context.
    pub fn datum(&self) -> pg_sys::Datum {
        self.0.datum()
    }

    /// Its JSON text, as `jsonb` is shown.
    pub fn text(&self) -> JsonText {
        self.0.text()
    }
}
