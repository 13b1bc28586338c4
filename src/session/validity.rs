//! How long an answer about the current session may be used again.

/// What an answer about the current session rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// How often the presented token had been changed.
    pub token_changes: u64,
    /// The epoch of the verdict.
    pub epoch: u64,
    /// The first moment that the answer holds for, µs.
    pub from: i64,
    /// The first moment that it does not hold for any more, µs.
    pub until: i64,
}

impl Validity {
    /// Holds for nothing.
    pub const NEVER: Validity = Validity { token_changes: 0, epoch: 0, from: 0, until: 0 };

    /// Whether the answer may be used under the same token and epoch, at the moment `began`: the later of the
    /// statement's and the transaction's start, so that within a statement the answer is one, and inside a
    /// procedure a session that has expired is over after the next COMMIT.
    pub const fn holds(&self, token_changes: u64, epoch: u64, began: i64) -> bool {
        self.token_changes == token_changes && self.epoch == epoch && self.from <= began && began < self.until
    }
}

#[cfg(test)]
mod tests;
