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
            return Err(Problem::new(format!(
                "per_page must be from 1 to {MAX_PER_PAGE}"
            )));
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
    match text.char_indices().nth(MAX_USER_AGENT) {
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
    Evict(u32),
    /// It can't be added.
    Full,
}

/// Whether a user who has `living` sessions may have one more, where `max` (from 1) is the most.
pub fn room(living: i64, max: Option<i32>, on_limit: OnLimit) -> Room {
    let Some(max) = max else { return Room::Free };
    let over = living
        .max(0)
        .saturating_sub(i64::from(max))
        .saturating_add(1);
    if over <= 0 {
        return Room::Free;
    }
    match on_limit {
        OnLimit::Deny => Room::Full,
        // More than u32::MAX at a time: the rest is over the limit at the next creation too.
        OnLimit::EvictOldest => Room::Evict(u32::try_from(over).unwrap_or(u32::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_user_agent_is_cut_between_two_characters() {
        for short in ["", "Firefox", &"é".repeat(MAX_USER_AGENT)] {
            assert_eq!(cut_user_agent(short), short);
        }
        assert_eq!(cut_user_agent(&"é".repeat(1_500)), "é".repeat(1_000));
    }

    #[test]
    fn pages_count_from_one() {
        assert_eq!(
            Page::new(Some(1), Some(10)),
            Ok(Page {
                limit: 10,
                offset: 0
            })
        );
        assert_eq!(
            Page::new(Some(3), Some(20)),
            Ok(Page {
                limit: 20,
                offset: 40
            })
        );
    }

    #[test]
    fn a_null_is_refused() {
        assert!(Page::new(None, Some(10)).is_err());
        assert!(Page::new(Some(1), None).is_err());
    }

    #[test]
    fn the_bounds_hold() {
        assert!(Page::new(Some(1), Some(1000)).is_ok());
        assert!(Page::new(Some(1001), Some(1000)).is_ok());
        for (page, per_page) in [
            (0, 10),
            (-1, 10),
            (1, 0),
            (1, 1001),
            (1002, 1000),
            (i32::MAX, 1000),
            (1, i32::MIN),
        ] {
            assert!(
                Page::new(Some(page), Some(per_page)).is_err(),
                "{page} {per_page}"
            );
        }
    }

    #[test]
    fn without_a_maximum_there_is_always_room() {
        assert_eq!(room(i64::MAX, None, OnLimit::Deny), Room::Free);
    }

    #[test]
    fn below_the_maximum_there_is_room() {
        for on_limit in [OnLimit::Deny, OnLimit::EvictOldest] {
            assert_eq!(room(0, Some(1), on_limit), Room::Free);
            assert_eq!(room(4, Some(5), on_limit), Room::Free);
            assert_eq!(room(i64::MIN, Some(1), on_limit), Room::Free);
        }
    }

    #[test]
    fn at_the_maximum_the_definition_decides() {
        assert_eq!(room(5, Some(5), OnLimit::Deny), Room::Full);
        assert_eq!(room(5, Some(5), OnLimit::EvictOldest), Room::Evict(1));
    }

    #[test]
    fn a_lowered_maximum_evicts_all_that_are_too_many() {
        assert_eq!(room(10, Some(3), OnLimit::EvictOldest), Room::Evict(8));
        assert_eq!(
            room(i64::MAX, Some(1), OnLimit::EvictOldest),
            Room::Evict(u32::MAX)
        );
    }
}
