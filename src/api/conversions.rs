//! What policies convert accounts and identifiers with: NULL, never an error, for a text that is no
//! value of the column's type.

use pgrx::prelude::*;

use crate::session::conversion;

/// The UUID that the text is; NULL if it is none.
#[pg_extern(schema = "dialstack", immutable, parallel_safe, strict)]
fn uuid_or_null(text: &str) -> Option<pgrx::Uuid> {
    conversion::uuid(text).map(pgrx::Uuid::from_bytes)
}

/// The bigint that the text is; NULL if it is none.
#[pg_extern(schema = "dialstack", immutable, parallel_safe, strict)]
fn bigint_or_null(text: &str) -> Option<i64> {
    conversion::bigint(text)
}

/// The integer that the text is; NULL if it is none.
#[pg_extern(schema = "dialstack", immutable, parallel_safe, strict)]
fn integer_or_null(text: &str) -> Option<i32> {
    conversion::integer(text)
}
