//! Values of the server kept outside of its memory, ready to be copied back.

use pgrx::{FromDatum, pg_sys};

/// A `uuid[]`: its content in the server's own form.
pub struct Varlena(Box<[u8]>);

impl Varlena {
    /// The value in the current memory context.
    pub fn datum(&self) -> pg_sys::Datum {
        with_header(&self.0)
    }
}

impl FromDatum for Varlena {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        // SAFETY: the caller passes a datum of a type of variable length, and this one is not NULL.
        (!is_null).then(|| unsafe { with_content(datum, |content| Varlena(content.into())) })
    }
}

/// Reads the content of a value: its bytes without the header, neither packed nor compressed.
///
/// # Safety
/// The datum must be of a type of variable length, and not NULL.
pub unsafe fn with_content<T>(datum: pg_sys::Datum, read: impl FnOnce(&[u8]) -> T) -> T {
    // SAFETY: the caller promises a varlena. Where it was packed or compressed, the plain form is
    // a copy, which is freed.
    unsafe {
        let packed: *mut pg_sys::varlena = datum.cast_mut_ptr();
        let plain = pg_sys::pg_detoast_datum(packed);
        let answer = read(pgrx::varlena::varlena_to_byte_slice(plain));
        if plain != packed {
            pg_sys::pfree(plain.cast());
        }
        answer
    }
}

/// The value with this content, in the current memory context.
pub fn with_header(content: &[u8]) -> pg_sys::Datum {
    // The server refuses what the header could not hold.
    let length = i32::try_from(content.len()).unwrap_or(i32::MAX);
    // SAFETY: copies so many bytes behind a header. A text differs from others of variable length by nothing else
    // than its type.
    unsafe { pg_sys::Datum::from(pg_sys::cstring_to_text_with_len(content.as_ptr().cast(), length)) }
}
