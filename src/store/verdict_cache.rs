//! The verdicts that this backend remembers, token by token, under one epoch.
//!
//! Two generations: what is found or new goes into the young one; when that is full, it takes the
//! place of the old one. So at most `dialstack_sessions.verdict_cache_size` tokens are kept, and those
//! in use stay.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use zeroize::Zeroizing;

use super::verdict::NamedSession;
use crate::guc;

/// A token, wiped when it is forgotten.
#[derive(PartialEq, Eq)]
struct Token(Zeroizing<String>);

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

impl Borrow<str> for Token {
    fn borrow(&self) -> &str {
        &self.0
    }
}

type Generation = HashMap<Token, Rc<NamedSession>>;

#[derive(Default)]
struct Remembered {
    epoch: u64,
    young: Generation,
    old: Generation,
}

impl Remembered {
    /// Makes room for one, with at most `size` in all afterwards.
    fn make_room(&mut self, size: usize) {
        if self.young.len() >= (size / 2).max(1) {
            self.old = std::mem::take(&mut self.young);
        }
        if self.young.len() + self.old.len() >= size {
            self.old = Generation::new();
        }
    }
}

thread_local! {
    static REMEMBERED: RefCell<Remembered> = RefCell::default();
}

/// What is remembered of the token under this epoch.
pub fn find(token: &str, epoch: u64) -> Option<Rc<NamedSession>> {
    let size = guc::verdict_cache_size();
    REMEMBERED.with_borrow_mut(|remembered| {
        if remembered.epoch != epoch || size == 0 {
            *remembered = Remembered {
                epoch,
                ..Remembered::default()
            };
        }
        if let Some(session) = remembered.young.get(token) {
            return Some(session.clone());
        }
        let (token, session) = remembered.old.remove_entry(token)?;
        remembered.make_room(size);
        remembered.young.insert(token, session.clone());
        Some(session)
    })
}

/// Remembers the session that a token names, as it was read under this epoch.
pub fn remember(token: &str, epoch: u64, session: &Rc<NamedSession>) {
    let size = guc::verdict_cache_size();
    REMEMBERED.with_borrow_mut(|remembered| {
        if remembered.epoch == epoch && size > 0 {
            remembered.make_room(size);
            let token = Token(Zeroizing::new(token.to_owned()));
            remembered.young.insert(token, session.clone());
        }
    });
}
