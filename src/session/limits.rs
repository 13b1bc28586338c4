//! Pages of lists, room for one more session, and how much of a user agent is kept.

use super::definition::OnLimit;
use super::problem::Problem;

/// Most rows of one page.
pub const MAX_PER_PAGE: i32 = 1_000;
/// Furthest row that a page may start at.
pub const MAX_OFFSET: i64 = 1_000_000;

/// A page as SQL takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Rows at most, 1–1000.
    pub limit: i64,
    /// Rows to skip, 0–1,000,000.
    pub offset: i64,
}

impl Page {
    /// The page number `page`, from 1, of `per_page` rows each.
    ///
    /// # Errors
    /// For a NULL, a number out of range, or a page that starts after row 1,000,000.
    pub fn new(page: Option<i32>, per_page: Option<i32>) -> Result<Self, Problem> {
        let page = page.ok_or_else(|| Problem::new("page must not be null"))?;
        let per_page = per_page.ok_or_else(|| Problem::new("per_page must not be null"))?;
        if page < 1 {
            return Err(Problem::new("page must be at least 1"));
        }
        if !(1..=MAX_PER_PAGE).contains(&per_page) {
            return Err(Problem::new(format!("per_page must be from 1 to {MAX_PER_PAGE}")));
        }
        let limit = i64::from(per_page);
        // At most 2^31 * 1000.
        let offset = (i64::from(page) - 1) * limit;
        if offset > MAX_OFFSET {
            return Err(Problem::new(format!("page starts after row {MAX_OFFSET}"))
                .with_hint("Narrow the list with its filters instead of paging so far."));
        }
        Ok(Self { limit, offset })
    }
}

/// Longest user agent that is kept, in characters.
const MAX_USER_AGENT: usize = 1_000;

/// The part of a user agent that is kept: its first 1,000 characters. A browser's header refuses no call.
pub fn cut_user_agent(text: &str) -> &str {
    cut(text, MAX_USER_AGENT)
}

/// The first characters of a text, at most so many.
pub fn cut(text: &str, most: usize) -> &str {
    match text.char_indices().nth(most) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// What has to happen before one session is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Nothing.
    Free,
    /// So many of the oldest sessions, at least one, have to go.
    Evict(usize),
    /// It can't be added.
    Full,
}

/// Whether a user who has `living` sessions may have one more, where `max` (from 1) is the most.
pub fn room(living: usize, max: i32, on_limit: OnLimit) -> Room {
    let max = usize::try_from(max).unwrap_or(0);
    match on_limit {
        _ if living < max => Room::Free,
        OnLimit::Deny => Room::Full,
        OnLimit::EvictOldest => Room::Evict(living - max + 1),
    }
}

#[cfg(test)]
mod tests;
