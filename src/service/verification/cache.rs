//! The verdicts that this backend remembers, token by token, under one epoch.
//!
//! Two generations: what is found or new goes into the young one; when that is full, it takes the
//! place of the old one. So at most `dialstack_sessions.verdict_cache_size` tokens are kept, and those
//! in use stay. A token is remembered when it comes the second time: most of those that a pooled
//! connection meets come once, and would cost more than they give back.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use zeroize::Zeroizing;

use crate::guc;
use crate::service::verification::named_session::NamedSession;

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

/// Tokens that came lately, by their tails; a newer one takes the place of an older one.
const SEEN: usize = 1024;

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
    static SEEN_TAILS: [Cell<u64>; SEEN] = const { [const { Cell::new(0) }; SEEN] };
}

/// Whether a token came before, as far as is remembered. A mistake only costs or saves a little work.
fn came_before(tail: &Tail) -> bool {
    let [.., a, b, c, d, e, f, g, h] = *tail;
    let mark = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    // Characters of base64url: the low bits of two of them spread well enough.
    let slot = usize::from(g & 31) << 5 | usize::from(f & 31);
    SEEN_TAILS.with(|seen| seen[slot].replace(mark) == mark)
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
            *cache = Cache { epoch, ..Cache::default() };
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

/// Remembers the session that a token names, as it was read under this epoch, if the token comes again.
pub fn remember(token: &str, epoch: u64, session: &Rc<NamedSession>) {
    let size = guc::verdict_cache_size();
    let Some(tail) = tail(token).filter(came_before) else {
        return;
    };
    CACHE.with_borrow_mut(|cache| {
        if cache.epoch == epoch && size > 0 {
            let remembered = Remembered { token: Zeroizing::new(token.to_owned()), session: session.clone() };
            cache.insert(tail, remembered, size);
        }
    });
}
