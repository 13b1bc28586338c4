//! `jsonb` as the server keeps it, bounded before anything of it is expanded.
//!
//! A number of nine bytes, `1e131071`, takes 131,072 characters as text. So an argument is walked in its binary
//! form, and only what keeps its bounds becomes text. The layout is that of the server's `utils/jsonb.h` and
//! `utils/adt/numeric.c`, which is the same in PostgreSQL 15 to 18.

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
}

/// Why a value is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The bytes are no `jsonb`.
    Malformed,
    /// As text it would be longer than its bound.
    TooLarge,
    /// It is nested deeper than its bound.
    TooDeep,
}

impl Unfit {
    fn problem(self, bounds: &Bounds) -> Problem {
        let Bounds { what, bytes, depth, hint } = bounds;
        match self {
            Unfit::Malformed => Problem::new(format!("{what} is not a jsonb value")),
            Unfit::TooLarge => Problem::new(format!("{what} is larger than {bytes} bytes")).with_hint(*hint),
            Unfit::TooDeep => Problem::new(format!("{what} is nested deeper than {depth} levels")),
        }
    }
}

/// Checks that the bytes are the content of a `jsonb` value, in every entry, and that it keeps its bounds. The cost
/// is at most proportional to the bytes, whatever they are.
///
/// # Errors
/// The first reason that is found against it.
pub fn check(content: &[u8], bounds: &Bounds) -> Result<Kind, Unfit> {
    if content.len() > bounds.binary() {
        return Err(Unfit::TooLarge);
    }
    let mut walk = Walk { left: bounds.bytes };
    let header = word(content)?;
    let is_scalar = header & pg_sys::JB_FSCALAR != 0;
    if is_scalar {
        // Kept as an array of one element.
        if header != (pg_sys::JB_FARRAY | pg_sys::JB_FSCALAR | 1) {
            return Err(Unfit::Malformed);
        }
        walk.members(content, 1, false, bounds.depth)?;
        return Ok(Kind::Scalar);
    }
    walk.container(content, bounds.depth)
}

/// What a value is, outermost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Object,
    Array,
    Scalar,
}

struct Walk {
    /// How many bytes of text are left.
    left: usize,
}

impl Walk {
    fn take(&mut self, bytes: usize) -> Result<(), Unfit> {
        self.left = self.left.checked_sub(bytes).ok_or(Unfit::TooLarge)?;
        Ok(())
    }

    /// An object or array: a header with the number of its members, an entry for each key and value, and then
    /// those one after the other.
    fn container(&mut self, bytes: &[u8], levels: usize) -> Result<Kind, Unfit> {
        let levels = levels.checked_sub(1).ok_or(Unfit::TooDeep)?;
        let header = word(bytes)?;
        let count = (header & pg_sys::JB_CMASK) as usize;
        // The brackets, and the commas between the members.
        self.take(2 + count.saturating_sub(1))?;
        match header & !pg_sys::JB_CMASK {
            pg_sys::JB_FOBJECT => {
                self.take(count)?; // colons
                self.members(bytes, 2 * count, true, levels)?;
                Ok(Kind::Object)
            }
            pg_sys::JB_FARRAY => {
                self.members(bytes, count, false, levels)?;
                Ok(Kind::Array)
            }
            _ => Err(Unfit::Malformed),
        }
    }

    /// The values that follow the entries. The first half of those of an object are keys.
    fn members(
        &mut self,
        container: &[u8],
        count: usize,
        is_object: bool,
        levels: usize,
    ) -> Result<(), Unfit> {
        let (_, rest) = container.split_at_checked(WORD).ok_or(Unfit::Malformed)?;
        let (entries, values) = rest.split_at_checked(count.saturating_mul(WORD)).ok_or(Unfit::Malformed)?;
        let (entries, _) = entries.as_chunks::<WORD>();
        let mut begin = 0_usize;
        for (n, entry) in entries.iter().enumerate() {
            let entry = u32::from_ne_bytes(*entry);
            let number = (entry & pg_sys::JENTRY_OFFLENMASK) as usize;
            // It has the length of its value; now and then, for quick access, where that ends.
            let end = match entry & pg_sys::JENTRY_HAS_OFF {
                0 => begin.saturating_add(number),
                _ => number,
            };
            let value = values.get(begin..end).ok_or(Unfit::Malformed)?;
            let kind = entry & pg_sys::JENTRY_TYPEMASK;
            if is_object && n < count / 2 && kind != pg_sys::JENTRY_ISSTRING {
                return Err(Unfit::Malformed);
            }
            match kind {
                pg_sys::JENTRY_ISSTRING => self.take(value.len() + 2)?,
                pg_sys::JENTRY_ISNUMERIC => self.take(digits(aligned(begin, value)?)?)?,
                pg_sys::JENTRY_ISCONTAINER => {
                    self.container(aligned(begin, value)?, levels)?;
                }
                pg_sys::JENTRY_ISNULL | pg_sys::JENTRY_ISBOOL_TRUE if value.is_empty() => {
                    self.take("null".len())?;
                }
                pg_sys::JENTRY_ISBOOL_FALSE if value.is_empty() => self.take("false".len())?,
                _ => return Err(Unfit::Malformed),
            }
            begin = end;
        }
        Ok(())
    }
}

const WORD: usize = size_of::<u32>();

/// The JSON text of the value with this content, as `jsonb` is shown.
pub fn text(content: &[u8]) -> JsonText {
    let datum = with_header(content);
    // SAFETY: a jsonb that was just made of checked content, which is freed when its text is made.
    unsafe {
        let text = JsonText::from_datum(datum, false);
        pg_sys::pfree(datum.cast_mut_ptr());
        text.expect("jsonb_out never returns NULL")
    }
}

/// The first word.
fn word(bytes: &[u8]) -> Result<u32, Unfit> {
    let word = bytes.first_chunk().ok_or(Unfit::Malformed)?;
    Ok(u32::from_ne_bytes(*word))
}

/// A value without the padding that aligns its first word. Its container is aligned itself.
fn aligned(begin: usize, value: &[u8]) -> Result<&[u8], Unfit> {
    let padding = begin.next_multiple_of(WORD) - begin;
    value.get(padding..).ok_or(Unfit::Malformed)
}

/// How many characters a number takes as text: its digits before and after the point, the point and the sign.
fn digits(numeric: &[u8]) -> Result<usize, Unfit> {
    let length = word(numeric)?;
    let (is_plain, length) = if cfg!(target_endian = "little") {
        (length & 3 == 0, length >> 2)
    } else {
        (length >> 30 == 0, length)
    };
    if !is_plain || length as usize != numeric.len() {
        return Err(Unfit::Malformed);
    }
    let (halves, []) = numeric[WORD..].as_chunks() else {
        return Err(Unfit::Malformed);
    };
    let half = |at: usize| halves.get(at).map(|half| u16::from_ne_bytes(*half));
    let header = half(0).ok_or(Unfit::Malformed)?;
    let (is_negative, scale, weight, begin) = match header & 0xC000 {
        0x8000 => {
            // The weight has seven bits, the highest of them its sign.
            let weight = i32::from(header & 0x3F) - i32::from(header & 0x40);
            (header & 0x2000 != 0, (header & 0x1F80) >> 7, weight, 1)
        }
        // Infinities and NaN, which JSON has not.
        0xC000 => return Err(Unfit::Malformed),
        sign => {
            let weight = half(1).ok_or(Unfit::Malformed)?.cast_signed();
            (sign == 0x4000, header & 0x3FFF, i32::from(weight), 2)
        }
    };
    // Digits of base 10,000.
    let mut of_base = halves[begin..].iter().map(|half| u16::from_ne_bytes(*half));
    if of_base.any(|digit| digit >= 10_000) {
        return Err(Unfit::Malformed);
    }
    let first = half(begin).filter(|_| weight >= 0);
    let whole = match first.and_then(u16::checked_ilog10) {
        Some(zeros) => 4 * weight.unsigned_abs() as usize + zeros as usize + 1,
        None if first.is_some() => return Err(Unfit::Malformed), // a leading zero is never kept
        None => 1,
    };
    let fraction = usize::from(scale) + usize::from(scale > 0);
    Ok(usize::from(is_negative) + whole + fraction)
}

/// A `jsonb` argument, of which nothing was read yet: a caller that may not call is refused before it costs anything.
#[derive(Clone, Copy)]
pub struct Jsonb<'a> {
    datum: pg_sys::Datum,
    lives: PhantomData<&'a [u8]>,
}

impl Jsonb<'_> {
    /// Hands the content to `read` if it keeps its bounds.
    fn bounded<T>(&self, bounds: &Bounds, read: impl FnOnce(Kind, &[u8]) -> T) -> Result<T, Problem> {
        let checked = |content: &[u8]| Ok(read(check(content, bounds)?, content));
        // SAFETY: a jsonb argument that is not NULL, as its constructors promise. Its size is known before it is
        // fetched or decompressed.
        let read = unsafe {
            if pg_sys::toast_raw_datum_size(self.datum) > bounds.binary() + pg_sys::VARHDRSZ {
                Err(Unfit::TooLarge)
            } else {
                with_content(self.datum, checked)
            }
        };
        read.map_err(|unfit| unfit.problem(bounds))
    }

    /// What it is, and its content: all but the length, as the server keeps it.
    ///
    /// # Errors
    /// Names the bound that is broken.
    pub fn content(&self, bounds: &Bounds) -> Result<(Kind, Vec<u8>), Problem> {
        self.bounded(bounds, |kind, content| (kind, content.to_vec()))
    }

    /// Its JSON value.
    ///
    /// # Errors
    /// Names the bound that is broken; for a number beyond 64-bit floats.
    pub fn parse(&self, bounds: &Bounds) -> Result<Value, Problem> {
        self.bounded(bounds, |_, _| ())?;
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

#[cfg(test)]
mod tests;
