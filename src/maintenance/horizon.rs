//! Until when maintenance runs, and what is old enough to go.

use pgrx::pg_sys;

use crate::error::Result;
use crate::guc;
use crate::pg::clock::{self, Micros};
use crate::pg::server;

/// After this a run ends and leaves the rest to the next one. What it has deleted stays locked until
/// then, and a log-in whose user has a session among that waits.
const RUN_FOR: Micros = 10 * clock::SECOND;

/// What may go, and the time that there is for it.
pub struct Horizon {
    /// When the run began.
    pub now: Micros,
    /// When the run before it began, or `now`, whichever is earlier. Nothing goes whose time had not come by
    /// then: where the clock has jumped ahead, one run deletes nothing that lives.
    pub seen: Micros,
    /// What died before that has been kept long enough.
    pub sessions_before: Micros,
    /// When to end: half of what the timeouts in force leave is kept for the last statement and the commit.
    until: Micros,
}

impl Horizon {
    /// The horizon of a run that begins now.
    pub fn new(ran_at: Micros) -> Self {
        let now = clock::now();
        let left = server::cancelled_at().map(|at| at.saturating_sub(now) / 2);
        Horizon {
            now,
            seen: now.min(ran_at),
            sessions_before: now.saturating_sub(guc::session_retention_micros()),
            until: now.saturating_add(left.unwrap_or(RUN_FOR).min(RUN_FOR)),
        }
    }

    /// What died, or was revoked, before that may go.
    pub fn dead_before(&self) -> Micros {
        self.sessions_before.min(self.seen)
    }

    /// Whether the run has lasted long enough.
    pub fn is_late(&self) -> bool {
        clock::now() >= self.until
    }

    /// Whether half of the time is over.
    pub fn is_half_over(&self) -> bool {
        clock::now() >= self.now + (self.until - self.now) / 2
    }

    /// Whether there is time for a statement that reads whole tables.
    pub fn has_seconds(&self) -> bool {
        self.until.saturating_sub(clock::now()) >= RUN_FOR / 4
    }
}

/// Repeats a step that does at most `batch` rows until one does fewer; returns how many they did, and whether `is_over`
/// ended that before.
pub fn repeat(batch: u32, is_over: impl Fn() -> bool, step: impl Fn() -> Result<u64>) -> Result<(u64, bool)> {
    let mut rows = 0;
    loop {
        let done = step()?;
        rows += done;
        if done < u64::from(batch) {
            return Ok((rows, false));
        }
        if is_over() {
            return Ok((rows, true));
        }
        pg_sys::check_for_interrupts!();
    }
}
