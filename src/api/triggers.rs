//! Trigger functions.

use pgrx::datum::{TimestampWithTimeZone, UnboxDatum};
use pgrx::pg_sys::{self, panic::ErrorReport};
use pgrx::prelude::*;

use crate::error::{Code, Error};
use crate::pg::relcache;
use crate::pg::roles;
use crate::pg::triggers;
use crate::pg::without_news;
use crate::tables::by_hand::{self, Changed};

/// Tells every backend, at commit, that what it remembers may have changed.
///
/// Takes the bare call: it needs nothing but the table.
#[pg_extern(
    sql = "CREATE FUNCTION dialstack.invalidate_verdicts() RETURNS trigger \
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn invalidate_verdicts(call: pg_sys::FunctionCallInfo) -> Result<i64, ErrorReport> {
    let table = triggers::table_of(call).ok_or_else(not_a_trigger)?;
    relcache::invalidate(table)?;
    // A statement trigger returns a null pointer that isn't NULL: nothing, without an error.
    Ok(0)
}

/// Whether sessions are being changed by hand. The condition of the trigger that notes it.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn by_hand() -> bool {
    !roles::is_at_work()
}

/// Notes a revocation, or an end that moved, that no function of ours made.
#[pg_extern(sql = "CREATE FUNCTION dialstack.note_by_hand() RETURNS trigger \
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';")]
fn note_by_hand(call: pg_sys::FunctionCallInfo) -> Result<i64, ErrorReport> {
    triggers::table_of(call).ok_or_else(not_a_trigger)?;
    // SAFETY: the server's own call, by a trigger.
    let trigger = unsafe { PgTrigger::from_fcinfo(&*call) };
    let trigger = trigger.map_err(|_| not_a_trigger())?;
    if let (Some(old), Some(new)) = (trigger.old(), trigger.new()) {
        by_hand::note(Changed {
            session_id: column(&new, "session_id"),
            env_id: column(&new, "env_id"),
            definition_id: column(&new, "definition_id"),
            kind: column(&new, "kind"),
            subject: column(&new, "subject"),
            created_at: column(&old, "created_at"),
            ended_at: column(&old, "expires_at"),
            expires_at: column(&new, "expires_at"),
            was_revoked: column::<TimestampWithTimeZone>(&old, "revoked_at").is_some(),
            revoked_at: column(&new, "revoked_at"),
            reason: column(&new, "revoke_reason"),
        })?;
    }
    // An AFTER trigger's answer is not looked at.
    Ok(0)
}

fn not_a_trigger() -> Error {
    Error::new(Code::DefineFailed, "this is a trigger function")
        .hint("The triggers of the extension call it; nobody else needs to.")
}

/// The value of a column; `None` for NULL, and for a column that somebody dropped.
fn column<'t, T>(row: &'t PgHeapTuple<'_, impl WhoAllocated>, name: &str) -> Option<T>
where
    T: FromDatum + IntoDatum + UnboxDatum<As<'t> = T> + 't,
{
    row.get_by_name(name).ok().flatten()
}
