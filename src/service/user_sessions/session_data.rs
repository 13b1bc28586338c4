//! The data of a session, and its form at rest.
//!
//! What is sealed is [`FORMAT`] and then the content of the `jsonb` value, byte for byte as the server keeps it:
//! verifying copies it and parses nothing. It stays readable as long as a column of type `jsonb` would: a copy of the
//! files runs on the same architecture, and a logical dump holds no session.

use pgrx::pg_sys;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{Code, Coded, Result};
use crate::pg::datum::json::JsonText;
use crate::pg::datum::jsonb::{self, Bounds, Jsonb};
use crate::pg::datum::uuid::uuid;
use crate::pg::datum::varlena::with_header;
use crate::pg::random;
use crate::service::keys::key_ring;
use crate::session::Problem;
use crate::session::data::{MAX_DATA_BYTES, MAX_DATA_DEPTH, TOO_LARGE_HINT};
use crate::tables::persons::Exported;
use crate::tables::sessions::SessionRow;
use crate::token::{KeyRing, sealed};

/// What the content of a `jsonb` begins with when it is sealed. What a machine of the other byte order
/// sealed begins otherwise.
const FORMAT: [u8; 4] = 1_u32.to_ne_bytes();

/// What a session's data may amount to, whatever its schema says.
const BOUNDS: Bounds =
    Bounds { what: "session data", bytes: MAX_DATA_BYTES, depth: MAX_DATA_DEPTH, hint: TOO_LARGE_HINT };

/// The data of a session: a `jsonb` object within [`BOUNDS`], wiped when it is dropped.
pub struct SessionData {
    /// [`FORMAT`] and the content.
    plaintext: Zeroizing<Vec<u8>>,
}

impl SessionData {
    /// Encrypts it for the row of this session: the key's number, and the sealed data.
    pub fn seal(&self, ring: &KeyRing, session_id: Uuid) -> Result<(u32, Vec<u8>)> {
        let nonce = random::bytes()?;
        Ok(sealed::seal(ring, session_id, nonce, &self.plaintext)?)
    }

    /// The data of a session. `None` where there is none, or its key is gone and so the data.
    pub fn of(row: &SessionRow) -> Result<Option<Self>> {
        match &row.sealed_data {
            Some(sealed) => Self::open(row.session_id, row.key_number, sealed),
            None => Ok(None),
        }
    }

    /// Opens the sealed data of this session. `None` where its key is gone and so the data.
    pub fn open(session_id: Uuid, key_number: u32, sealed: &[u8]) -> Result<Option<Self>> {
        let open = |ring: &KeyRing| sealed::open(ring, key_number, session_id, sealed);
        // Only [`SessionData::seal`] has made what is authentic, but perhaps in another format.
        let plaintext = key_ring::with(open)?.ok().filter(|plaintext| plaintext.starts_with(&FORMAT));
        Ok(plaintext.map(|plaintext| SessionData { plaintext }))
    }

    /// Copies an argument, once it is known to keep the bounds.
    ///
    /// # Errors
    /// `CREATE_FAILED`, naming the bound that is broken, or for anything but an object.
    pub fn of_argument(data: Jsonb<'_>) -> Result<Self> {
        let code = Code::CreateFailed;
        let no_object = || Problem::new("session data must be a JSON object");
        let content = data.object(&BOUNDS).and_then(|object| object.ok_or_else(no_object)).coded(code)?;
        let content = Zeroizing::new(content);
        let plaintext = Zeroizing::new([&FORMAT, content.as_slice()].concat());
        Ok(SessionData { plaintext })
    }

    /// The `jsonb` value, in the current memory context.
    pub fn datum(&self) -> pg_sys::Datum {
        with_header(&self.plaintext[FORMAT.len()..])
    }

    /// Its JSON text, as `jsonb` is shown.
    pub fn text(&self) -> JsonText {
        jsonb::text(&self.plaintext[FORMAT.len()..])
    }
}

/// A session with its data, and the data alone: null where there is none, or its key is gone.
pub fn with_data((shown, session_id, key_number, sealed): &Exported) -> Result<(String, String)> {
    let data = match sealed {
        Some(sealed) => SessionData::open(uuid(*session_id), key_number.unsigned_abs(), sealed)?,
        None => None,
    };
    let data = data.map_or_else(|| "null".to_owned(), |data| data.text().0);
    let shown = shown.strip_suffix('}').unwrap_or("{");
    Ok((format!(r#"{shown}, "data": {data}}}"#), data))
}
