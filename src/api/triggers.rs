//! The trigger function of our own tables.

use std::cmp::Ordering;

use pgrx::prelude::*;

use super::{Result, functions};
use crate::error::{Code, Error};
use crate::pg::datum::sql_type::Trigger;
use crate::pg::relcache;
use crate::pg::table::Table;
use crate::pg::triggers::{Change, Event};
use crate::service::keys::key_ring;
use crate::tables::client_sessions::ClientSessions;
use crate::tables::sessions::Sessions;

functions! { FUNCTIONS;
    /// Trigger function of our own tables: sends every connection an invalidation, because what it remembers has
    /// changed.
    ///
    /// It is sent at commit. As a row trigger on `sessions`, only where the session's end moved otherwise than a
    /// refresh moves it. Takes the bare call: it needs nothing but the table and the row.
    #[level(Internal)]
    fn invalidate_verdicts(call: pg_sys::FunctionCallInfo) -> Result<Trigger> {
        let change = Change::of(call).ok_or_else(not_a_trigger)?;
        if change.event() != Event::UpdateRow || end_counts(&change) {
            let of_sessions = [Sessions::relation().oid()?, ClientSessions::relation().oid()?];
            relcache::invalidate(Some(change.table()).filter(|table| !of_sessions.contains(table)))?;
        }
        Ok(Trigger::done())
    }

    /// Trigger function of our own tables: makes a key for the configured signing algorithm, unless there is one.
    #[level(Internal)]
    fn follow_signing_algorithm(call: pg_sys::FunctionCallInfo) -> Result<Trigger> {
        Change::of(call).ok_or_else(not_a_trigger)?;
        key_ring::follow_configured()?;
        Ok(Trigger::done())
    }
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

fn not_a_trigger() -> Error {
    Error::new(Code::DefineFailed, "this is a trigger function")
        .hint("The triggers of the extension call it; do not call it yourself.")
}
