//! The data of a session, and its form at rest.
//!
//! What is sealed is [`FORMAT`] and then the content of the `jsonb` value, byte for byte as the server
//! keeps it: to verify copies it and parses nothing. Sealing authenticates, with a key that this
//! instance alone has, so the bytes are some that this server made. They stay readable as long as a
//! column of type `jsonb` would: a copy of the files runs on the same architecture, and a logical dump
//! holds no session.

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, pg_sys};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::Result;
use crate::pg::datum::json::JsonText;
use crate::pg::datum::varlena::{with_content, with_header};
use crate::pg::random;
use crate::service::key_ring;
use crate::tables::sessions::SessionRow;
use crate::token::{KeyRing, sealed};

/// What the content of a `jsonb` begins with when it is sealed. What a machine of the other byte order
/// sealed begins otherwise.
const FORMAT: [u8; 4] = 1_u32.to_ne_bytes();

/// The data of a session: a `jsonb` value, wiped when it is dropped.
pub struct SessionData {
    /// [`FORMAT`] and the content: of a value that the server made, here or before it was sealed.
    plaintext: Zeroizing<Vec<u8>>,
}

impl SessionData {
    /// Encrypts it for the row of this session: the key's number, and the sealed data.
    ///
    /// # Errors
    /// Those of [`sealed::seal`] and of the random number generator.
    pub fn seal(&self, ring: &KeyRing, session_id: Uuid) -> Result<(u32, Vec<u8>)> {
        let nonce = random::bytes()?;
        Ok(sealed::seal(ring, session_id, nonce, &self.plaintext)?)
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
        Ok(key_ring::with(open)?.ok().and_then(Self::of_plaintext))
    }

    /// Takes what [`sealed::open`] opened. `None` where that is no session data.
    pub fn of_plaintext(plaintext: Zeroizing<Vec<u8>>) -> Option<Self> {
        let is_data = plaintext.strip_prefix(&FORMAT).is_some_and(is_object);
        is_data.then_some(SessionData { plaintext })
    }

    /// Copies a value.
    ///
    /// # Safety
    /// The datum must be a `jsonb`, and not NULL.
    unsafe fn copy(datum: pg_sys::Datum) -> Self {
        // SAFETY: jsonb is a type of variable length; the rest is the caller's promise.
        let plaintext = unsafe { with_content(datum, |content| [&FORMAT, content].concat()) };
        SessionData {
            plaintext: Zeroizing::new(plaintext),
        }
    }

    /// The `jsonb` value, in the current memory context.
    pub fn datum(&self) -> pg_sys::Datum {
        with_header(&self.plaintext[FORMAT.len()..])
    }

    /// Its JSON text, as `jsonb` is shown.
    pub fn text(&self) -> JsonText {
        let datum = self.datum();
        // SAFETY: a jsonb that was just made, which is freed when its text is made.
        unsafe {
            let text = JsonText::from_datum(datum, false);
            pg_sys::pfree(datum.cast_mut_ptr());
            text.expect("jsonb_out never returns NULL")
        }
    }
}

/// Whether this is the content of a `jsonb` object, as far as its outermost level tells: a header with
/// the number of its members, two entries for each, and the values that those delimit, one after the
/// other and none beyond the end.
fn is_object(content: &[u8]) -> bool {
    let Some((header, rest)) = content.split_first_chunk() else {
        return false;
    };
    let header = u32::from_ne_bytes(*header);
    let count = 2 * (header & pg_sys::JB_CMASK) as usize;
    let Some((entries, values)) = rest.split_at_checked(count * size_of::<u32>()) else {
        return false;
    };
    let mut end = 0_usize;
    let fits = |entry: &[u8; 4]| {
        let entry = u32::from_ne_bytes(*entry);
        let number = (entry & pg_sys::JENTRY_OFFLENMASK) as usize;
        let begin = end;
        // It has the length of its value; now and then, for quick access, where that ends.
        end = match entry & pg_sys::JENTRY_HAS_OFF {
            0 => begin.saturating_add(number),
            _ => number,
        };
        (begin..=values.len()).contains(&end)
    };
    let (entries, _) = entries.as_chunks();
    header & !pg_sys::JB_CMASK == pg_sys::JB_FOBJECT && entries.iter().all(fits)
}

impl FromDatum for SessionData {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _: pg_sys::Oid,
    ) -> Option<Self> {
        // SAFETY: the caller passes a jsonb datum, and this one is not NULL.
        (!is_null).then(|| unsafe { Self::copy(datum) })
    }
}

// SAFETY: the SQL type is jsonb, and the conversion above is from jsonb datums.
unsafe impl SqlTranslatable for SessionData {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(SessionData);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: std::result::Result<SqlMappingRef, ArgumentError> =
        Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: std::result::Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}

// SAFETY: converts through FromDatum, as pgrx does for its own types.
unsafe impl<'fcx> ArgAbi<'fcx> for SessionData {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller promises a jsonb argument that is not NULL.
        unsafe { arg.unbox_arg_using_from_datum() }.expect("the argument is not NULL")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: u32 = pg_sys::JB_FOBJECT;

    /// Words of the server's byte order, and bytes after them.
    fn content(words: &[u32], bytes: &[u8]) -> Vec<u8> {
        let words = words.iter().flat_map(|word| word.to_ne_bytes());
        words.chain(bytes.iter().copied()).collect()
    }

    #[test]
    fn an_object_is_one() {
        assert!(is_object(&content(&[OBJECT], b"")));
        // {"a": "bc"}
        let has_off = pg_sys::JENTRY_HAS_OFF;
        assert!(is_object(&content(&[OBJECT | 1, has_off | 1, 2], b"abc")));
        assert!(is_object(&content(&[OBJECT | 1, 1, has_off | 3], b"abc")));
    }

    #[test]
    fn any_other_value_is_not() {
        for flags in [0, pg_sys::JB_FARRAY, pg_sys::JB_FARRAY | pg_sys::JB_FSCALAR] {
            assert!(!is_object(&content(&[flags], b"")), "{flags:x}");
        }
    }

    #[test]
    fn an_object_that_refers_beyond_its_end_is_not() {
        let whole = content(&[OBJECT | 1, 1, 2], b"abc");
        assert!(is_object(&whole));
        for length in 0..whole.len() {
            assert!(!is_object(&whole[..length]), "{length}");
        }
        assert!(!is_object(&content(&[OBJECT | pg_sys::JB_CMASK], b"abc")));
        let (most, has_off) = (pg_sys::JENTRY_OFFLENMASK, pg_sys::JENTRY_HAS_OFF);
        for entries in [
            [has_off | most, most],
            [most, has_off | 3],
            // The second would end before it begins.
            [2, has_off | 1],
        ] {
            let [key, value] = entries;
            assert!(!is_object(&content(&[OBJECT | 1, key, value], b"abc")));
        }
    }
}
