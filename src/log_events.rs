//! Which events are written to the server log, and how often.

use crate::text_enum::text_enum;

text_enum! {
    /// What `dialstack_sessions.log_events` names.
    pub enum Event {
        Reuse = "reuse",
        Revoke = "revoke",
        Administration = "administration",
        RefusedKey = "refused_key",
    }
}

impl Event {
    /// The events of a list, separated by commas: `reuse, revoke`. None for a list with anything else in it.
    pub fn parse_list(list: &str) -> Option<Vec<Self>> {
        if list.trim().is_empty() {
            return Some(Vec::new());
        }
        list.split(',').map(|name| Event::parse(name.trim())).collect()
    }
}

/// Lines that may be written at once.
pub const BURST: i64 = 100;

/// Microseconds after which one more may be written.
const EACH: i64 = 100_000;

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It is written, and before it how many were left out since the one before.
    Write {
        /// 0: none.
        left_out: u64,
    },
    /// It is left out, the first after one that was written.
    FirstLeftOut,
    /// It is left out.
    LeftOut,
}

/// Limits how often one kind of event is written: [`BURST`] lines at once, then ten a second.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// When the next line could be written if there were no burst; at most [`BURST`] steps ahead of the clock.
    paid_until: i64,
    left_out: u64,
}

impl Limit {
    /// Nothing was written yet.
    pub const NEW: Limit = Limit { paid_until: i64::MIN, left_out: 0 };

    /// Decides about an event at this time, in microseconds. A clock that was set back counts as one that stands still.
    pub fn take(&mut self, now: i64) -> Permit {
        let most = now.saturating_add((BURST - 1) * EACH);
        // More than a burst ahead only where the clock was set back.
        let paid_until = self.paid_until.max(now).min(most.saturating_add(EACH));
        if paid_until > most {
            self.paid_until = paid_until;
            self.left_out += 1;
            return if self.left_out == 1 { Permit::FirstLeftOut } else { Permit::LeftOut };
        }
        self.paid_until = paid_until.saturating_add(EACH);
        Permit::Write { left_out: std::mem::take(&mut self.left_out) }
    }
}

#[cfg(test)]
mod tests;
