//! Statements on `sessions` that change no verdict.

use std::cell::Cell;

use crate::pg::trigger_depth;

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
            before: DEPTH.replace(trigger_depth::now() + 1),
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
    DEPTH.get() != 0 && DEPTH.get() == trigger_depth::now()
}
