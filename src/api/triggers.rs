//! The trigger function of our own tables.

use pgrx::pg_sys::{self, panic::ErrorReport};
use pgrx::prelude::*;

use crate::error::{Code, Error};
use crate::pg::relcache::{self, Rel};
use crate::pg::without_news;

/// Sends an invalidation to every backend, at commit: what it remembers may have changed.
///
/// Takes the bare call: it needs nothing but the table.
#[pg_extern(
    sql = "CREATE FUNCTION dialstack.invalidate_verdicts() RETURNS trigger \
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn invalidate_verdicts(call: pg_sys::FunctionCallInfo) -> Result<i64, ErrorReport> {
    let table = relcache::of_trigger(call).ok_or_else(not_a_trigger)?;
    let is_of_sessions = relcache::oid(Rel::Sessions)? == table;
    if !(is_of_sessions && without_news::is_without_news()) {
        relcache::invalidate(table)?;
    }
    // A statement trigger returns a null pointer that isn't NULL: nothing, without an error.
    Ok(0)
}

fn not_a_trigger() -> Error {
    Error::new(Code::DefineFailed, "this is a trigger function")
        .hint("The triggers of the extension call it; do not call it yourself.")
}
