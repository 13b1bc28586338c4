//! Values of the server kept outside of its memory, ready to be copied back.

use pgrx::pg_sys;

/// A value of a type of variable length (`jsonb`, an array) in the server's own form.
pub struct Varlena(Box<[u8]>);

impl Varlena {
    /// Copies a value.
    ///
    /// # Safety
    /// The datum must be of a type of variable length, and not NULL.
    pub unsafe fn copy(datum: pg_sys::Datum) -> Self {
        // SAFETY: the caller promises a varlena. Where it was packed or compressed, the plain form is
        // a copy, which is freed.
        unsafe {
            let packed: *mut pg_sys::varlena = datum.cast_mut_ptr();
            let plain = pg_sys::pg_detoast_datum(packed);
            let bytes = std::slice::from_raw_parts(plain.cast::<u8>(), pgrx::varsize_any(plain));
            let kept = Varlena(bytes.into());
            if plain != packed {
                pg_sys::pfree(plain.cast());
            }
            kept
        }
    }

    /// The value in the current memory context.
    pub fn datum(&self) -> pg_sys::Datum {
        // SAFETY: palloc returns aligned memory of the length asked for, or raises an error.
        unsafe {
            let value: *mut u8 = pg_sys::palloc(self.0.len()).cast();
            std::ptr::copy_nonoverlapping(self.0.as_ptr(), value, self.0.len());
            pg_sys::Datum::from(value)
        }
    }
}
