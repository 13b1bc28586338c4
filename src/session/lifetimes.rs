//! When access tokens and sessions end. Times are microseconds since 2000-01-01 00:00 UTC.

use super::period::SECOND;

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
        Lifetimes { token: ceil_to_second(self.token).min(session), session }
    }
}

#[cfg(test)]
mod tests;
