//! The verdicts that this backend remembers, token by token, under one epoch.
//!
//! Two generations: what is found or new goes into the young one; when that is full, it takes the
//! place of the old one. So at most `dialstack_sessions.verdict_cache_size` tokens are kept, and those
//! in use stay.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use zeroize::Zeroizing;

use super::verdict::NamedSession;
use crate::guc;

/// The last characters of a token: of a signature or a MAC, so they tell authentic tokens apart. Far
/// quicker to hash than the whole.
type Tail = [u8; 24];

struct Remembered {
    /// Compared as a whole; wiped when it is forgotten.
    token: Zeroizing<String>,
    session: Rc<NamedSession>,
}

type Generation = HashMap<Tail, Remembered>;

#[derive(Default)]
struct Cache {
    epoch: u64,
    young: Generation,
    old: Generation,
}

impl Cache {
    /// Puts one in, with at most `size` in all afterwards.
    fn insert(&mut self, tail: Tail, remembered: Remembered, size: usize) {
        if self.young.len() >= (size / 2).max(1) {
            self.old = std::mem::take(&mut self.young);
        }
        if self.young.len() + self.old.len() >= size {
            self.old = Generation::new();
        }
        self.young.insert(tail, remembered);
    }
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

fn tail(token: &str) -> Option<Tail> {
    token.as_bytes().last_chunk().copied()
}

/// What is remembered of the token under this epoch.
pub fn find(token: &str, epoch: u64) -> Option<Rc<NamedSession>> {
    let size = guc::verdict_cache_size();
    let tail = tail(token)?;
    CACHE.with_borrow_mut(|cache| {
        if cache.epoch != epoch || size == 0 {
            *cache = Cache {
                epoch,
                ..Cache::default()
            };
        }
        let is_it = |remembered: &&Remembered| *remembered.token == token;
        if let Some(remembered) = cache.young.get(&tail).filter(is_it) {
            return Some(remembered.session.clone());
        }
        cache.old.get(&tail).filter(is_it)?;
        let remembered = cache.old.remove(&tail)?;
        let session = remembered.session.clone();
        cache.insert(tail, remembered, size);
        Some(session)
    })
}

/// Remembers the session that a token names, as it was read under this epoch.
pub fn remember(token: &str, epoch: u64, session: &Rc<NamedSession>) {
    let size = guc::verdict_cache_size();
    let Some(tail) = tail(token) else { return };
    CACHE.with_borrow_mut(|cache| {
        if cache.epoch == epoch && size > 0 {
            let remembered = Remembered {
                token: Zeroizing::new(token.to_owned()),
                session: session.clone(),
            };
            cache.insert(tail, remembered, size);
        }
    });
}
