//! What the fuzz tests share: how long they run, and changes of what is well formed. Each parser of the pure half has
//! one beside its other tests, with examples of what it accepts as seeds.

use proptest::prelude::*;

/// As many cases as `DSS_FUZZ_CASES` says, else some that take a second or so. Longer runs begin elsewhere each time.
pub fn config() -> ProptestConfig {
    let cases = std::env::var("DSS_FUZZ_CASES").ok();
    ProptestConfig {
        cases: cases.and_then(|cases| cases.parse().ok()).unwrap_or(128),
        failure_persistence: None,
        max_shrink_iters: 10_000,
        ..ProptestConfig::default()
    }
}

/// Changes of bytes, in order.
#[derive(Debug, Clone)]
pub struct Changes(Vec<(Change, prop::sample::Index, u8)>);

#[derive(Debug, Clone, Copy)]
enum Change {
    Flip,
    Set,
    Insert,
    Remove,
    Cut,
    Repeat,
}

/// Up to six changes.
pub fn mutated() -> impl Strategy<Value = Changes> {
    let change = prop::sample::select(vec![
        Change::Flip,
        Change::Set,
        Change::Insert,
        Change::Remove,
        Change::Cut,
        Change::Repeat,
    ]);
    prop::collection::vec((change, any::<prop::sample::Index>(), any::<u8>()), 0..6).prop_map(Changes)
}

impl Changes {
    /// What the changes make of the bytes.
    pub fn apply(&self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for (change, at, byte) in &self.0 {
            let at = at.index(bytes.len() + 1);
            match change {
                Change::Insert => bytes.insert(at, *byte),
                Change::Cut => bytes.truncate(at),
                Change::Repeat => {
                    let end = bytes.len().min(at + usize::from(*byte));
                    bytes.extend_from_within(at..end);
                }
                Change::Flip if at < bytes.len() => bytes[at] ^= 1 << (byte % 8),
                Change::Set if at < bytes.len() => bytes[at] = *byte,
                Change::Remove if at < bytes.len() => {
                    bytes.remove(at);
                }
                Change::Flip | Change::Set | Change::Remove => {}
            }
        }
        bytes
    }

    /// What the changes make of a text.
    pub fn apply_to(&self, seed: &str) -> String {
        String::from_utf8_lossy(&self.apply(seed.as_bytes())).into_owned()
    }
}
