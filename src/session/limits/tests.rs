use super::*;

#[test]
fn pages_count_from_one() {
    assert_eq!(Page::new(Some(1), Some(10)), Ok(Page { limit: 10, offset: 0 }));
    assert_eq!(Page::new(Some(3), Some(20)), Ok(Page { limit: 20, offset: 40 }));
}

#[test]
fn below_the_maximum_there_is_room() {
    for on_limit in [OnLimit::Deny, OnLimit::EvictOldest] {
        assert_eq!(room(0, 1, on_limit), Room::Free);
        assert_eq!(room(4, 5, on_limit), Room::Free);
    }
}

#[test]
fn at_the_maximum_the_definition_decides() {
    assert_eq!(room(5, 5, OnLimit::Deny), Room::Full);
    assert_eq!(room(5, 5, OnLimit::EvictOldest), Room::Evict(1));
}

#[test]
fn a_lowered_maximum_evicts_all_that_are_too_many() {
    assert_eq!(room(10, 3, OnLimit::EvictOldest), Room::Evict(8));
    assert_eq!(room(usize::MAX, 1, OnLimit::EvictOldest), Room::Evict(usize::MAX));
}
