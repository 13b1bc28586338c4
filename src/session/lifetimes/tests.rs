use super::*;

const BOUNDS: Bounds = Bounds {
    token: 900 * SECOND,
    refresh: 3600 * SECOND,
    of_session: false,
    so_far: None,
    idle: None,
    max: None,
};

/// Of these bounds, in seconds: the token's end and the session's.
fn ends(bounds: Bounds) -> (i64, i64) {
    let Lifetimes { token, session } = bounds.lifetimes();
    assert_eq!((token % SECOND, session % SECOND), (0, 0));
    (token / SECOND, session / SECOND)
}

#[test]
fn without_caps_each_lives_its_own_time() {
    assert_eq!(ends(BOUNDS), (900, 3600));
}

#[test]
fn a_token_that_lives_longer_takes_its_session_along() {
    let token = 7200 * SECOND;
    assert_eq!(ends(Bounds { token, ..BOUNDS }), (7200, 7200));
}

#[test]
fn a_token_does_not_outlive_a_session_whose_end_was_asked_for() {
    let token = 7200 * SECOND;
    let bounds = Bounds { token, of_session: true, ..BOUNDS };
    assert_eq!(ends(bounds), (3600, 3600));
}

#[test]
fn an_extended_session_is_not_shortened() {
    let so_far = Some(9000 * SECOND);
    assert_eq!(ends(Bounds { so_far, ..BOUNDS }), (900, 9000));
    let so_far = Some(1800 * SECOND);
    assert_eq!(ends(Bounds { so_far, ..BOUNDS }), (900, 3600));
}

#[test]
fn neither_outlives_a_cap() {
    let so_far = Some(9000 * SECOND);
    for (idle, max, end) in [
        (Some(600), None, 600),
        (None, Some(700), 700),
        (Some(600), Some(700), 600),
        (Some(7200), Some(700), 700),
    ] {
        let bounds = Bounds {
            so_far,
            idle: idle.map(|idle| idle * SECOND),
            max: max.map(|max| max * SECOND),
            ..BOUNDS
        };
        assert_eq!(ends(bounds), (end, end));
    }
}

#[test]
fn parts_of_a_second_are_rounded_up() {
    let (token, refresh) = (900 * SECOND + 1, 3600 * SECOND - 1);
    let bounds = Bounds { token, refresh, ..BOUNDS };
    assert_eq!(ends(bounds), (901, 3600));
    assert_eq!(ceil_to_second(-1), 0);
}
