//! Trigger functions.

use pgrx::pg_sys::{self, panic::ErrorReport};
use pgrx::prelude::*;

use crate::error::{Code, Error};
use crate::store::{relations, session_writes};

/// Tells every backend, at commit, that what it remembers may have changed.
///
/// Takes the bare call: every refresh fires it, and it needs nothing but the table.
#[pg_extern(
    sql = "CREATE FUNCTION dialstack.invalidate_verdicts() RETURNS trigger \
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn invalidate_verdicts(call: pg_sys::FunctionCallInfo) -> Result<i64, ErrorReport> {
    let table = relations::of_trigger(call).ok_or_else(|| {
        Error::new(Code::DefineFailed, "this is a trigger function")
            .hint("The triggers of the extension call it; nobody else needs to.")
    })?;
    if !session_writes::is_plain_refresh() {
        relations::invalidate(table)?;
    }
    // A statement trigger returns a null pointer that isn't NULL: nothing, without an error.
    Ok(0)
}
