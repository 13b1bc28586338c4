//! `jsonb` values outside of the server's memory, in a form that can be stored.
//!
//! The form is [`FORMAT`] and then the content of the value, byte for byte as the server keeps it. It stays readable as
//! long as a column of type `jsonb` would: a copy of the files runs on the same architecture.

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, pg_sys};
use zeroize::Zeroizing;

use crate::pg::datum::json::JsonText;
use crate::pg::datum::varlena::{with_content, with_header};

/// What the portable form begins with. On a machine of the other byte order it begins otherwise.
const FORMAT: [u8; 4] = 1_u32.to_ne_bytes();

/// A `jsonb` value, wiped when it is dropped.
pub struct Jsonb {
    portable: Zeroizing<Vec<u8>>,
}

impl Jsonb {
    /// The portable form.
    pub fn portable(&self) -> &[u8] {
        &self.portable
    }

    /// The value of a portable form that this server made; `None` where it is none of an object.
    pub fn of_portable(portable: Zeroizing<Vec<u8>>) -> Option<Self> {
        let is_object = portable.strip_prefix(&FORMAT).is_some_and(is_object);
        is_object.then_some(Jsonb { portable })
    }

    /// Copies a value.
    ///
    /// # Safety
    /// The datum must be a `jsonb`, and not NULL.
    unsafe fn copy(datum: pg_sys::Datum) -> Self {
        // SAFETY: jsonb is a type of variable length; the rest is the caller's promise.
        let portable = unsafe { with_content(datum, |content| [&FORMAT, content].concat()) };
        Jsonb {
            portable: Zeroizing::new(portable),
        }
    }

    /// The `jsonb` value, in the current memory context.
    pub fn datum(&self) -> pg_sys::Datum {
        with_header(&self.portable[FORMAT.len()..])
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

impl FromDatum for Jsonb {
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
unsafe impl SqlTranslatable for Jsonb {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Jsonb);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}

// SAFETY: converts through FromDatum, as pgrx does for its own types.
unsafe impl<'fcx> ArgAbi<'fcx> for Jsonb {
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
