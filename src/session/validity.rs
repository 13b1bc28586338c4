//! How long an answer about the current session may be used again.

/// What an answer about the current session rests on, beside the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basis {
    /// How often the presented token had been changed.
    pub token_changes: u64,
    /// The epoch of the verdict.
    pub epoch: u64,
    /// The role that asks.
    pub role: u32,
    /// The epoch of what roles may do.
    pub privileges: u64,
}

/// How long an answer about the current session holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// What it rests on.
    pub basis: Basis,
    /// The first moment that the answer holds for, µs.
    pub from: i64,
    /// The first moment that it does not hold for any more, µs.
    pub until: i64,
}

impl Validity {
    /// Holds for nothing.
    pub const NEVER: Validity =
        Validity { basis: Basis { token_changes: 0, epoch: 0, role: 0, privileges: 0 }, from: 0, until: 0 };

    /// Whether the answer may be used on the same basis, at the moment `began`: the later of the statement's and
    /// the transaction's start, so that within a statement the answer is one, and inside a procedure a session
    /// that has expired is over after the next COMMIT.
    pub fn holds(&self, basis: &Basis, began: i64) -> bool {
        self.basis == *basis && self.from <= began && began < self.until
    }
}

#[cfg(test)]
mod tests;
