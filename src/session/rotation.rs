//! Refresh token rotation: what a presented generation leads to.

/// The last generation: the column that stores it is a PostgreSQL `integer`.
pub const MAX_GENERATION: u32 = i32::MAX as u32;

/// One use of an authentic refresh token. Times are microseconds of one clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    pub presented: u32,
    pub stored: u32,
    /// When the stored generation came to be; none before the first refresh.
    pub rotated_at: Option<i64>,
    /// Now, read before any lock was waited for, so it may be a little earlier than `rotated_at`.
    pub now: i64,
    /// How long after a rotation the previous token still gives the current one; 0 turns it off.
    pub reuse_interval: i64,
    /// Whether the caller tried to write the row and another call did first.
    pub waited: bool,
}

/// What to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Store this generation and hand out its token.
    Rotate { next: u32 },
    /// Hand out the token of the stored generation again; change nothing.
    Repeat,
    /// The token was used up before: revoke the session.
    Reused,
    /// There is no next generation to rotate to; the user has to log in again.
    Exhausted,
}

/// Decides what a refresh token leads to.
///
/// The current generation rotates. So does one ahead of the stored one: it is authentic, and a
/// failover or a rollback lost the step that made it. The previous one repeats within the reuse
/// interval of the rotation that superseded it, on either side: a clock that was set back opens no longer
/// interval. A caller that waited for that very rotation is not late. All older ones are reuse.
pub fn decide(r: &Rotation) -> Decision {
    if r.presented >= r.stored {
        return match r.presented.checked_add(1) {
            Some(next) if next <= MAX_GENERATION => Decision::Rotate { next },
            _ => Decision::Exhausted,
        };
    }
    // presented < stored, so the difference is at least 1.
    let is_previous = r.stored - r.presented == 1;
    let in_time = r.waited
        || r.rotated_at.is_some_and(|at| r.now.abs_diff(at) < r.reuse_interval.max(0).unsigned_abs());
    if is_previous && r.reuse_interval > 0 && in_time { Decision::Repeat } else { Decision::Reused }
}

#[cfg(test)]
mod tests;
