//! What the fuzz tests share: how long they run, and changes of what is well formed. Each parser of the pure half has
//! one beside its other tests, with examples of what it accepts as seeds. And a test of the whole source.

use std::fs;
use std::path::Path;

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

/// Where the encoding of a client lacks a character, PostgreSQL raises another error instead of the text.
#[test]
fn every_client_can_read_our_texts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["src", "sql"] {
        assert_eq!(foreign_lines(&root.join(folder)), Vec::<String>::new());
    }
}

/// The lines below a folder that are neither comments nor in tests, and hold a character that is not ASCII.
fn foreign_lines(folder: &Path) -> Vec<String> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let lines = paths.filter(|path| path.file_stem().is_some_and(|name| name != "tests")).flat_map(|path| {
        if path.is_dir() {
            return foreign_lines(&path);
        }
        let text = fs::read_to_string(&path).unwrap();
        let is_comment = |line: &str| ["//", "--"].iter().any(|mark| line.trim_start().starts_with(mark));
        let lines = text.lines().filter(|line| !line.is_ascii() && !is_comment(line));
        lines.map(|line| format!("{}: {line}", path.display())).collect()
    });
    lines.collect()
}
