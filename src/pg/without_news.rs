//! Statements on `sessions` that change no verdict.

use std::cell::Cell;

use pgrx::{direct_function_call, pg_sys};

thread_local! {
    /// How deep in triggers our own trigger is when such a statement calls it. 0: none is running.
    static DEPTH: Cell<i32> = const { Cell::new(0) };
}

/// While it lives, the statement that is run changes no verdict that anybody remembers, or whoever runs it
/// sends the news; the invalidation trigger then stays silent. What triggers of others do meanwhile counts
/// as ever.
pub(crate) struct WithoutNews {
    before: i32,
}

impl WithoutNews {
    pub(crate) fn begin() -> Self {
        WithoutNews {
            before: DEPTH.replace(trigger_depth() + 1),
        }
    }
}

impl Drop for WithoutNews {
    fn drop(&mut self) {
        DEPTH.set(self.before);
    }
}

/// Whether the statement that calls a trigger of `sessions` changes no verdict.
pub fn is_without_news() -> bool {
    DEPTH.get() != 0 && DEPTH.get() == trigger_depth()
}

/// How many triggers are running, one fired by what another does.
fn trigger_depth() -> i32 {
    // SAFETY: takes no arguments, and reads a variable of the backend.
    unsafe { direct_function_call(pg_sys::pg_trigger_depth, &[]) }.unwrap_or_default()
}
