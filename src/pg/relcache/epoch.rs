//! Counters that invalidations advance: what was read under one count is good as long as it stands.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What an invalidation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Some relation of no concern.
    Other,
    /// A session, or something else that a verdict depends on.
    Verdict,
    /// Keys, products, environments or definitions: every verdict rests on these.
    Configuration,
}

/// The epochs of one backend, which is one thread.
pub struct Epochs {
    received: AtomicU64,
    verdicts: AtomicU64,
    configuration: AtomicU64,
}

impl Epochs {
    /// Nothing was received yet.
    pub const fn new() -> Self {
        Epochs {
            received: AtomicU64::new(1),
            verdicts: AtomicU64::new(1),
            configuration: AtomicU64::new(1),
        }
    }

    /// Counts an invalidation.
    pub fn advance(&self, received: Received) {
        let advance = |epoch: &AtomicU64| epoch.store(epoch.load(Relaxed) + 1, Relaxed);
        advance(&self.received);
        if received == Received::Configuration {
            advance(&self.configuration);
        }
        // The invalidations of one transaction can arrive in parts. A verdict that was read between them,
        // from configuration of before, must not stay: so configuration advances both.
        if received != Received::Other {
            advance(&self.verdicts);
        }
    }

    /// How many invalidations of any kind were received.
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// The epoch of verdicts.
    pub fn verdicts(&self) -> u64 {
        self.verdicts.load(Relaxed)
    }

    /// The epoch of keys and configuration.
    pub fn configuration(&self) -> u64 {
        self.configuration.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(epochs: &Epochs) -> (u64, u64, u64) {
        (epochs.received(), epochs.verdicts(), epochs.configuration())
    }

    #[test]
    fn an_invalidation_of_no_concern_leaves_verdicts_and_configuration() {
        let epochs = Epochs::new();
        epochs.advance(Received::Other);
        assert_eq!(state(&epochs), (2, 1, 1));
    }

    #[test]
    fn a_revocation_leaves_the_configuration() {
        let epochs = Epochs::new();
        epochs.advance(Received::Verdict);
        assert_eq!(state(&epochs), (2, 2, 1));
    }

    #[test]
    fn a_change_of_the_configuration_makes_verdicts_be_read_again() {
        let epochs = Epochs::new();
        epochs.advance(Received::Configuration);
        assert_eq!(state(&epochs), (2, 2, 2));
    }
}
