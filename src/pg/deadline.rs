//! A bound on the time that code of others may take.

use crate::pg::clock::{self, Micros};
use crate::pg::server;

/// While it lives, the current statement is cancelled (57014) when a time is over, if not by its own
/// `statement_timeout` before. That comes back on drop.
pub struct Deadline {
    at: Micros,
    before: Option<Micros>,
}

impl Deadline {
    /// So many microseconds from now.
    pub fn within(time: Micros) -> Self {
        let at = clock::now() + time;
        let earlier = |before: Option<Micros>| Some(before.map_or(at, |before| before.min(at)));
        let before = server::replace_statement_timeout(earlier);
        Deadline { at, before }
    }

    fn is_ours(&self) -> bool {
        self.before.is_none_or(|before| before > self.at)
    }

    /// Whether a cancellation was this one.
    pub fn is_over(&self) -> bool {
        self.is_ours() && clock::now() >= self.at
    }

    /// Ends it at the end of the work. A cancellation that is on its way arrives now.
    pub fn end(&self) {
        if self.is_ours() {
            server::replace_statement_timeout(|_| None);
            pgrx::check_for_interrupts!();
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if self.is_ours() {
            server::replace_statement_timeout(|_| self.before);
        }
    }
}
