//! Who is there: the session of the token in `dialstack_sessions.token`.
//!
//! Policies ask for every row, so the answer is kept beside the verdict cache: as long as the token is
//! not set anew, no news has arrived and the statement began before the expiry, it is the same.

use std::cell::RefCell;

use super::clock::{self, Micros};
use super::relations;
use super::verdict::{self, Found, LiveSession, Verdict};
use crate::error::Result;
use crate::guc;
use crate::session::{Expected, Reason};

/// What the current token makes of the caller.
pub enum Standing {
    /// No token is set.
    Nobody,
    /// The token is not good.
    Refused(Reason),
    /// The token is good.
    Live(LiveSession),
}

/// A standing, and how long it holds.
struct Known {
    token_changes: u64,
    epoch: u64,
    /// The statements that it holds for: those that began at or after `from`, and before `until`.
    from: Micros,
    until: Micros,
    standing: Standing,
}

impl Known {
    fn holds(&self, token_changes: u64, epoch: u64, statement: Micros) -> bool {
        self.token_changes == token_changes
            && self.epoch == epoch
            && (self.from..self.until).contains(&statement)
    }
}

thread_local! {
    static KNOWN: RefCell<Known> = const {
        RefCell::new(Known {
            token_changes: u64::MAX,
            epoch: 0,
            from: 0,
            until: 0,
            standing: Standing::Nobody,
        })
    };
}

/// Answers by the current standing.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` when no token can be verified at all.
pub fn with<T>(answer: impl FnOnce(&Standing) -> T) -> Result<T> {
    let token_changes = guc::token_changes();
    let epoch = relations::epoch();
    let statement = clock::statement();
    if !KNOWN.with_borrow(|known| known.holds(token_changes, epoch, statement)) {
        let known = read(token_changes, epoch, statement)?;
        KNOWN.set(known);
    }
    Ok(KNOWN.with_borrow(|known| answer(&known.standing)))
}

/// Answers by the session of the current token; `None` without a good one.
///
/// # Errors
/// As [`with`].
pub fn with_live<T>(answer: impl FnOnce(&LiveSession) -> Option<T>) -> Result<Option<T>> {
    with(|standing| match standing {
        Standing::Live(live) => answer(live),
        _ => None,
    })
}

fn read(token_changes: u64, epoch: u64, statement: Micros) -> Result<Known> {
    let Some(token) = guc::token() else {
        return Ok(Known {
            token_changes,
            epoch,
            from: Micros::MIN,
            until: Micros::MAX,
            standing: Standing::Nobody,
        });
    };
    let found = verdict::named_session(&token, clock::now())?;
    let epoch = found.as_ref().map_or(epoch, |found| found.epoch);
    let verdict = match &found {
        Some(found) => Verdict::of(&found.session, &Expected::default(), statement),
        None => Verdict::INVALID,
    };
    // For this statement alone, unless more is known.
    let (from, until) = match (&verdict, &found) {
        (Verdict::Live(live), Some(Found { settled: true, .. })) => {
            (Micros::MIN, live.session.expires_at())
        }
        _ => (statement, statement.saturating_add(1)),
    };
    Ok(Known {
        token_changes,
        epoch,
        from,
        until,
        standing: match verdict {
            Verdict::Live(live) => Standing::Live(live),
            Verdict::Refused { reason, .. } => Standing::Refused(reason),
        },
    })
}
