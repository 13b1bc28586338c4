//! Reading and remembering what invalidations make stale.

use std::collections::HashMap;
use std::hash::Hash;

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::relcache;

/// Reads until no invalidation arrives while it reads, and returns the epoch under which the answer holds. A
/// failure counts only if it is one of a single epoch too.
pub fn read_stable<T>(epoch: impl Fn() -> u64, mut read: impl FnMut(u64) -> Result<T>) -> Result<(u64, T)> {
    // Looked up first: from here on only invalidations that matter advance the epoch.
    relcache::watch()?;
    loop {
        let before = epoch();
        let answer = read(before);
        if epoch() == before {
            return answer.map(|answer| (before, answer));
        }
        pg_sys::check_for_interrupts!();
    }
}

/// What was read under one epoch, by key; bounded.
pub struct Remembered<K, V> {
    epoch: u64,
    values: HashMap<K, V>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Remembered { epoch: 0, values: HashMap::new() }
    }
}

impl<K: Hash + Eq, V: Clone> Remembered<K, V> {
    /// How many are remembered; one more, and all are forgotten.
    const MOST: usize = 4096;

    /// What is remembered of this key under this epoch.
    pub fn find(&self, key: &K, epoch: u64) -> Option<V> {
        self.values.get(key).filter(|_| self.epoch == epoch).cloned()
    }

    /// Remembers a value that was read under this epoch, and forgets what was read under another.
    pub fn insert(&mut self, key: K, value: V, epoch: u64) {
        self.insert_among(Self::MOST, key, value, epoch);
    }

    /// The same where another number than usual may be remembered.
    pub fn insert_among(&mut self, most: usize, key: K, value: V, epoch: u64) {
        if self.epoch != epoch || self.values.len() >= most {
            self.values.clear();
            self.epoch = epoch;
        }
        self.values.insert(key, value);
    }
}

#[cfg(test)]
mod tests;
