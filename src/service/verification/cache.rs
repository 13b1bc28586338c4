//! The verdicts that this backend remembers, token by token, under one epoch.
//!
//! At most `dialstack_sessions.verdict_cache_size` tokens are kept; one more, and all are forgotten. A token is
//! remembered when it comes the second time: most of those that a pooled connection meets come once, and would cost
//! more than they give back.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use zeroize::Zeroizing;

use crate::guc;
use crate::pg::cache::Remembered;
use crate::service::verification::named_session::NamedSession;

/// The last characters of a token: of a signature or a MAC, so they tell authentic tokens apart. Far
/// quicker to hash than the whole.
type Tail = [u8; 24];

/// A token, compared as a whole and wiped when it is forgotten, and the session that it names.
type Known = Rc<(Zeroizing<String>, Rc<NamedSession>)>;

/// Tokens that came lately, by their tails; a newer one takes the place of an older one.
const SEEN: usize = 1024;

thread_local! {
    static CACHE: RefCell<Remembered<Tail, Known>> = RefCell::default();
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
    if guc::verdict_cache_size() == 0 {
        // Whoever set that wants none of them in memory.
        CACHE.take();
        return None;
    }
    let known = CACHE.with_borrow(|cache| cache.find(&tail(token)?, epoch))?;
    (*known.0 == token).then(|| known.1.clone())
}

/// Remembers the session that a token names, as it was read under this epoch, if the token comes again.
pub fn remember(token: &str, epoch: u64, session: &Rc<NamedSession>) {
    let size = guc::verdict_cache_size();
    if size > 0
        && let Some(tail) = tail(token).filter(came_before)
    {
        let known = Rc::new((Zeroizing::new(token.to_owned()), session.clone()));
        CACHE.with_borrow_mut(|cache| cache.insert_among(size, tail, known, epoch));
    }
}
