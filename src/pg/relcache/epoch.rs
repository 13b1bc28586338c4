//! Counters that invalidations advance: what was read under one count is good as long as it stands.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What an invalidation is about; of several at once the last of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Received {
    /// Some relation of no concern.
    Other,
    /// A session, or something else that a verdict depends on.
    Verdict,
    /// Keys, products, environments or definitions: every verdict rests on these.
    Configuration,
    /// Roles, their memberships, or privileges on functions.
    Privileges,
}

/// The epochs of one backend, which is one thread, by what they are about.
pub struct Epochs([AtomicU64; 4]);

impl Epochs {
    pub const fn new() -> Self {
        Epochs([const { AtomicU64::new(1) }; 4])
    }

    pub fn advance(&self, received: Received) {
        let advance = |about| {
            let epoch = &self.0[about as usize];
            epoch.store(epoch.load(Relaxed) + 1, Relaxed);
        };
        if received != Received::Other {
            advance(received);
        }
        // The invalidations of one transaction can arrive in parts. A verdict that was read between them,
        // from configuration of before, must not stay: so configuration advances both.
        if received == Received::Configuration {
            advance(Received::Verdict);
        }
        advance(Received::Other);
    }

    /// How many invalidations about this were received; of [`Received::Other`]: of all kinds.
    pub fn of(&self, about: Received) -> u64 {
        self.0[about as usize].load(Relaxed)
    }
}

#[cfg(test)]
mod tests;
