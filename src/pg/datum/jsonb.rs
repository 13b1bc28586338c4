//! `jsonb` as the server keeps it, bounded before anything of it is expanded.
//!
//! A number of nine bytes, `1e131071`, takes 131,072 characters as text. So an argument is walked in its binary
//! form, and only what keeps its bounds becomes text.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::pgrx_sql_entity_graph::impl_sql_translatable;
use pgrx::{FromDatum, pg_sys};
use serde_json::Value;

use super::json::JsonText;
use super::varlena::{with_content, with_header};
use crate::pg::server::ensure_memory;
use crate::session::Problem;

/// What a value may amount to.
pub struct Bounds {
    /// What it is, for messages.
    pub what: &'static str,
    /// Most bytes as JSON text without blanks.
    pub bytes: usize,
    /// Deepest nesting of objects and arrays; the outermost is level 1.
    pub depth: usize,
    /// What to do about one that is too large.
    pub hint: &'static str,
}

impl Bounds {
    /// Most bytes in binary form. An entry of an array takes at least two bytes as text, and at most 12 in binary
    /// form (a small number), and so does a number alone, with its header.
    const fn binary(&self) -> usize {
        self.bytes.saturating_mul(8).saturating_add(16)
    }

    fn too_large(&self) -> Problem {
        Problem::new(format!("{} is larger than {} bytes", self.what, self.bytes)).with_hint(self.hint)
    }
}

/// Checks that a value keeps its bounds as text, walking it by the server's own iterator. A number is written out by
/// itself, and none any more once the bytes are used up.
///
/// # Safety
/// The content of a `jsonb` value that the server made, as aligned as that.
unsafe fn check(content: &[u8], bounds: &Bounds) -> Result<(), Problem> {
    use pg_sys::JsonbIteratorToken::{
        WJB_BEGIN_ARRAY, WJB_BEGIN_OBJECT, WJB_DONE, WJB_END_ARRAY, WJB_END_OBJECT,
    };
    let count = |number: i32| usize::try_from(number).unwrap_or(usize::MAX);
    let (mut left, mut depth) = (bounds.bytes, 0_usize);
    let mut value = pg_sys::JsonbValue::default();
    // SAFETY: the caller's promise. The iterator tells by the token, and the value by its type, which of its fields it
    // has set.
    unsafe {
        let mut iterator = pg_sys::JsonbIteratorInit(content.as_ptr().cast_mut().cast());
        loop {
            let bytes = match pg_sys::JsonbIteratorNext(&mut iterator, &mut value, false) {
                WJB_DONE => return Ok(()),
                // A scalar is kept as an array of one element.
                WJB_BEGIN_ARRAY if value.val.array.rawScalar => 0,
                // The brackets, the commas between the members, and the colons.
                WJB_BEGIN_ARRAY => {
                    depth += 1;
                    2 + count(value.val.array.nElems).saturating_sub(1)
                }
                WJB_BEGIN_OBJECT => {
                    depth += 1;
                    let pairs = count(value.val.object.nPairs);
                    2 + pairs.saturating_sub(1) + pairs
                }
                WJB_END_ARRAY | WJB_END_OBJECT => {
                    depth = depth.saturating_sub(1);
                    0
                }
                _ => length(&value),
            };
            if depth > bounds.depth {
                let Bounds { what, depth, .. } = bounds;
                return Err(Problem::new(format!("{what} is nested deeper than {depth} levels")));
            }
            left = left.checked_sub(bytes).ok_or_else(|| bounds.too_large())?;
        }
    }
}

/// How many bytes a key or a scalar takes as text, without what is escaped in it.
///
/// # Safety
/// A value by the server's iterator.
unsafe fn length(value: &pg_sys::JsonbValue) -> usize {
    use pg_sys::jbvType;
    // SAFETY: the type says which field is set. numeric_out returns a C string, which is freed once it is measured.
    unsafe {
        match value.type_ {
            jbvType::jbvString => {
                usize::try_from(value.val.string.len).unwrap_or(usize::MAX).saturating_add(2)
            }
            jbvType::jbvNumeric => {
                let number = Some(pg_sys::Datum::from(value.val.numeric));
                let text = pgrx::direct_function_call_as_datum(pg_sys::numeric_out, &[number]);
                let text: *mut c_char = text.expect("numeric_out never returns NULL").cast_mut_ptr();
                let length = CStr::from_ptr(text).count_bytes();
                pg_sys::pfree(text.cast());
                length
            }
            jbvType::jbvBool if !value.val.boolean => "false".len(),
            _ => "null".len(),
        }
    }
}

/// The JSON text of the value with this content, as `jsonb` is shown.
pub fn text(content: &[u8]) -> JsonText {
    let datum = with_header(content);
    // SAFETY: a jsonb that was just made of the content of one, and is freed when its text is made.
    unsafe {
        let text = JsonText::from_datum(datum, false);
        pg_sys::pfree(datum.cast_mut_ptr());
        text.expect("jsonb_out never returns NULL")
    }
}

/// A `jsonb` argument, of which nothing was read yet: a caller that may not call is refused before it costs anything.
#[derive(Clone, Copy)]
pub struct Jsonb<'a> {
    datum: pg_sys::Datum,
    lives: PhantomData<&'a [u8]>,
}

impl Jsonb<'_> {
    /// Hands the content to `read` if it keeps its bounds.
    fn bounded<T>(&self, bounds: &Bounds, read: impl FnOnce(&[u8]) -> T) -> Result<T, Problem> {
        // SAFETY: a jsonb argument that is not NULL, as its constructors promise. Its size is known before it is
        // fetched or decompressed.
        unsafe {
            if pg_sys::toast_raw_datum_size(self.datum) > bounds.binary() + pg_sys::VARHDRSZ {
                return Err(bounds.too_large());
            }
            with_content(self.datum, |content| check(content, bounds).map(|()| read(content)))
        }
    }

    /// Its content, if it is an object: all but the length, as the server keeps it.
    pub fn object(&self, bounds: &Bounds) -> Result<Option<Vec<u8>>, Problem> {
        self.bounded(bounds, |content| {
            let header = content.first_chunk().map_or(0, |word| u32::from_ne_bytes(*word));
            (header & pg_sys::JB_FOBJECT != 0).then(|| content.to_vec())
        })
    }

    /// Its JSON value.
    ///
    /// # Errors
    /// Names the bound that is broken; for a number beyond 64-bit floats.
    pub fn parse(&self, bounds: &Bounds) -> Result<Value, Problem> {
        self.bounded(bounds, |_| ())?;
        // Three bytes of text, `[],`, take 32 as a value, and a vector grows by doubling.
        ensure_memory(bounds.bytes.saturating_mul(32));
        // SAFETY: a jsonb argument that is not NULL.
        let text = unsafe { JsonText::from_datum(self.datum, false) };
        text.expect("jsonb_out never returns NULL").parse()
    }
}

impl_sql_translatable!(Jsonb<'_>, "jsonb");

impl FromDatum for Jsonb<'_> {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        let lives = PhantomData;
        (!is_null).then_some(Jsonb { datum, lives })
    }
}

// SAFETY: keeps the datum for as long as the call lives, in which the argument stays what it is.
unsafe impl<'fcx> ArgAbi<'fcx> for Jsonb<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller promises a jsonb argument that is not NULL.
        unsafe { arg.unbox_arg_using_from_datum() }.expect("the argument is not NULL")
    }
}
