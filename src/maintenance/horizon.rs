//! Until when maintenance runs, and what is old enough to go.

use crate::pg::clock::{self, Micros};

/// After this a run ends and leaves the rest to the next one. What it has deleted stays locked until
/// then, and a log-in whose user has a session among that waits.
pub const RUN_FOR: Micros = 10 * clock::SECOND;

/// What may go.
pub struct Horizon {
    /// When the run began.
    pub now: Micros,
    /// What died before that has been kept long enough.
    pub sessions_before: Micros,
}

impl Horizon {
    /// Whether the run has lasted long enough.
    pub fn is_late(&self) -> bool {
        clock::now().saturating_sub(self.now) > RUN_FOR
    }
}
