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

/// The epochs of one backend, which is one thread.
pub struct Epochs {
    received: AtomicU64,
    verdicts: AtomicU64,
    configuration: AtomicU64,
    privileges: AtomicU64,
}

impl Epochs {
    pub const fn new() -> Self {
        Epochs {
            received: AtomicU64::new(1),
            verdicts: AtomicU64::new(1),
            configuration: AtomicU64::new(1),
            privileges: AtomicU64::new(1),
        }
    }

    pub fn advance(&self, received: Received) {
        let advance = |epoch: &AtomicU64| epoch.store(epoch.load(Relaxed) + 1, Relaxed);
        advance(&self.received);
        // The invalidations of one transaction can arrive in parts. A verdict that was read between them,
        // from configuration of before, must not stay: so configuration advances both.
        match received {
            Received::Other => {}
            Received::Verdict => advance(&self.verdicts),
            Received::Configuration => {
                advance(&self.configuration);
                advance(&self.verdicts);
            }
            Received::Privileges => advance(&self.privileges),
        }
    }

    /// How many invalidations of any kind were received.
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    pub fn verdicts(&self) -> u64 {
        self.verdicts.load(Relaxed)
    }

    pub fn configuration(&self) -> u64 {
        self.configuration.load(Relaxed)
    }

    pub fn privileges(&self) -> u64 {
        self.privileges.load(Relaxed)
    }
}

#[cfg(test)]
mod tests;
