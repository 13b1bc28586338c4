//! `jsonb` of our own making and of our tables, as text. Arguments come as [`Jsonb`](super::jsonb::Jsonb).
//!
//! pgrx's own type parses on the way in and panics on what serde_json can't hold (numbers like
//! 1e400, nesting beyond 128); an error that we word ourselves needs the text.

use std::ffi::{CStr, CString};

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pgrx_sql_entity_graph::impl_sql_translatable;
use pgrx::{FromDatum, IntoDatum, pg_sys};
use serde_json::Value;

use super::record::Value as Bare;
use crate::session::Problem;

/// The text of a `jsonb` value.
#[derive(Clone)]
pub struct JsonText(pub String);

impl JsonText {
    pub fn of(value: &Value) -> Self {
        JsonText(value.to_string())
    }

    /// The same without the blanks between its parts. The digits of numbers stay as they are.
    pub fn compact(&self) -> String {
        let mut compact = String::with_capacity(self.0.len());
        let (mut kept_from, mut in_string, mut escaped) = (0, false, false);
        for (at, byte) in self.0.bytes().enumerate() {
            if in_string {
                in_string = byte != b'"' || escaped;
                escaped = byte == b'\\' && !escaped;
            } else if byte.is_ascii_whitespace() {
                compact.push_str(&self.0[kept_from..at]);
                kept_from = at + 1;
            } else {
                in_string = byte == b'"';
            }
        }
        compact.push_str(&self.0[kept_from..]);
        compact
    }

    /// The JSON value of the text.
    ///
    /// # Errors
    /// A problem for what can't be held: nesting beyond 128 levels, numbers beyond 64-bit floats.
    pub fn parse(&self) -> Result<Value, Problem> {
        serde_json::from_str(&self.0).map_err(|_| {
            Problem::new("the JSON is nested too deeply or holds a number that is too large")
                .with_hint("Nest at most 64 levels and keep numbers within a 64-bit float.")
        })
    }
}

impl FromDatum for JsonText {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller passes a jsonb datum; jsonb_out detoasts it and returns a palloc'ed
        // C string, which is copied and freed.
        unsafe {
            let text = pgrx::direct_function_call_as_datum(pg_sys::jsonb_out, &[Some(datum)])?;
            let text: *mut std::ffi::c_char = text.cast_mut_ptr();
            let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
            pg_sys::pfree(text.cast());
            Some(JsonText(copy))
        }
    }
}

impl IntoDatum for JsonText {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        // JSON text has no NUL: it is escaped there.
        let text = CString::new(self.0).ok()?;
        // SAFETY: jsonb_in reads the C string and returns a palloc'ed jsonb.
        unsafe {
            pgrx::direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(pg_sys::Datum::from(text.as_ptr()))])
        }
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

impl_sql_translatable!(JsonText, "jsonb");

// SAFETY: returns the datum that IntoDatum made, or NULL.
unsafe impl BoxRet for JsonText {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: a jsonb datum in the function's own memory context.
        unsafe { Bare(self.into_datum()).box_into(fcinfo) }
    }
}

#[cfg(test)]
mod tests;
