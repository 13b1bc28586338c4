//! Trigger functions.

use std::cmp::Ordering;

use pgrx::datum::{TimestampWithTimeZone, UnboxDatum};
use pgrx::pg_sys::{self, panic::ErrorReport};
use pgrx::prelude::*;

use crate::error::{Code, Error};
use crate::pg::relcache;
use crate::pg::roles;
use crate::pg::triggers::{Change, Event};
use crate::tables::by_hand::{self, Changed};

/// Sends an invalidation to every backend, at commit: what it remembers may have changed. As a row trigger on
/// `sessions`, only where the session's end moved otherwise than a refresh moves it.
///
/// Takes the bare call: it needs nothing but the table and the row.
#[pg_extern(
    sql = "CREATE FUNCTION dialstack.invalidate_verdicts() RETURNS trigger \
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn invalidate_verdicts(call: pg_sys::FunctionCallInfo) -> Result<i64, ErrorReport> {
    let table = relcache::of_trigger(call).ok_or_else(not_a_trigger)?;
    let change = Change::of(call).ok_or_else(not_a_trigger)?;
    if change.event() != Event::UpdateRow || end_counts(&change) {
        relcache::invalidate(table)?;
    }
    // An AFTER trigger answers with a null pointer that isn't NULL: nothing, without an error.
    Ok(0)
}

/// Whether verdicts depend on how the end of a session moved. A refresh, which alone changes the generation,
/// moves it away: a backend that remembers the earlier end reads again when that has come.
fn end_counts(change: &Change<'_>) -> bool {
    match change.moved("expires_at") {
        Some(Ordering::Equal) => false,
        Some(Ordering::Greater) => !change.has_changed("generation"),
        Some(Ordering::Less) | None => true,
    }
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
    relcache::of_trigger(call).ok_or_else(not_a_trigger)?;
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
