//! Trigger functions.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::store::{relations, session_writes};

/// Tells every backend, at commit, that what it remembers may have changed.
#[pg_trigger(
    sql = "CREATE FUNCTION dialstack.invalidate_verdicts() RETURNS trigger \
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn invalidate_verdicts<'a>(
    _trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, ErrorReport> {
    if !session_writes::is_plain_refresh() {
        relations::invalidate()?;
    }
    // An AFTER STATEMENT trigger returns no row.
    Ok(None::<PgHeapTuple<'a, AllocatedByPostgres>>)
}
