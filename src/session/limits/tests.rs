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
    assert_eq!(Page::new(Some(1), Some(10)), Ok(Page { limit: 10, offset: 0 }));
    assert_eq!(Page::new(Some(3), Some(20)), Ok(Page { limit: 20, offset: 40 }));
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
    for (page, per_page) in
        [(0, 10), (-1, 10), (1, 0), (1, 1001), (1002, 1000), (i32::MAX, 1000), (1, i32::MIN)]
    {
        assert!(Page::new(Some(page), Some(per_page)).is_err(), "{page} {per_page}");
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
    assert_eq!(room(i64::MAX, Some(1), OnLimit::EvictOldest), Room::Evict(u32::MAX));
}
