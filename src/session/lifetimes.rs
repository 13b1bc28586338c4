//! When access tokens and sessions end. Times are microseconds since 2000-01-01 00:00 UTC.

const SECOND: i64 = 1_000_000;

/// The next whole second, so that a token's `exp` and the time that is returned are the same. Saturates.
pub fn ceil_to_second(at: i64) -> i64 {
    at.saturating_add(SECOND - 1).div_euclid(SECOND) * SECOND
}

/// The moments that bound a session which is created or refreshed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// When the access token's own time is over.
    pub token: i64,
    /// When the refresh token's own time is over.
    pub refresh: i64,
    /// Whether that was asked for of this very session: then no token lives longer.
    pub of_session: bool,
    /// The end that the session has already; none for a new one.
    pub so_far: Option<i64>,
    /// `idle_timeout` from now.
    pub idle: Option<i64>,
    /// `max_lifetime` from the session's creation.
    pub max: Option<i64>,
}

/// When an access token and its session expire, both on a full second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// The access token's end, not after the session's.
    pub token: i64,
    /// The session's end.
    pub session: i64,
}

impl Bounds {
    /// A token that was asked to live longer than the refresh token takes its session along, and a session
    /// that was extended stays so; but neither goes beyond `idle` and `max`.
    pub fn lifetimes(&self) -> Lifetimes {
        let mut session = self.refresh;
        if !self.of_session {
            session = session.max(self.token);
        }
        session = session.max(self.so_far.unwrap_or(session));
        for cap in [self.idle, self.max].into_iter().flatten() {
            session = session.min(cap);
        }
        let session = ceil_to_second(session);
        Lifetimes {
            token: ceil_to_second(self.token).min(session),
            session,
        }
    }
}

#[cfg(test)]
mod tests {
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
        let bounds = Bounds {
            token,
            of_session: true,
            ..BOUNDS
        };
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
        let bounds = Bounds {
            token,
            refresh,
            ..BOUNDS
        };
        assert_eq!(ends(bounds), (901, 3600));
        assert_eq!(ceil_to_second(-1), 0);
    }
}
