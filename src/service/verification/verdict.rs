//! Whether a presented token is good, now: presented → authentic → living.

use std::rc::Rc;

use crate::error::Result;
use crate::pg::cache::read_stable;
use crate::pg::clock::{self, Micros};
use crate::pg::relcache;
use crate::service::keys::key_ring;
use crate::service::reach::Reach;
use crate::service::setup::configuration::Env;
use crate::service::verification::cache;
use crate::service::verification::named_session::NamedSession;
use crate::session::{Expected, Reason};
use crate::tables::{client_sessions, sessions};
use crate::token::{self, AuthenticToken, Family, Rejected, refresh::RefreshToken};

/// A session that lives.
pub struct LiveSession {
    pub session: Rc<NamedSession>,
    pub env: Rc<Env>,
}

/// What is known of a presented token.
pub enum Verdict {
    /// It is good.
    Live(LiveSession),
    /// It is not; of an authentic one the session is known.
    Refused {
        /// What the caller sees.
        reason: Reason,
        /// The session, for the log; the caller does not see it.
        session: Option<Rc<NamedSession>>,
    },
}

impl Verdict {
    /// What is said where no token is given.
    pub const MISSING: Verdict = Verdict::Refused { reason: Reason::Missing, session: None };

    /// What is said of anything that names no session.
    pub const INVALID: Verdict = Verdict::Refused { reason: Reason::Invalid, session: None };

    /// What is said of a session at this time, to a role of this reach.
    pub fn of(session: &Rc<NamedSession>, expected: &Expected<'_>, reach: &Reach, now: Micros) -> Self {
        match (session.judge(expected, reach, now), &session.env) {
            (Ok(()), Some(env)) => Verdict::Live(LiveSession { session: session.clone(), env: env.clone() }),
            (judged, _) => Verdict::Refused {
                reason: judged.err().unwrap_or(Reason::Invalid),
                session: Some(session.clone()),
            },
        }
    }
}

/// Decides whether this instance made the access token or opaque token.
pub fn authenticate(presented: &str) -> Result<std::result::Result<AuthenticToken, Rejected>> {
    key_ring::with(|ring| token::authenticate(presented, ring))
}

/// Decides whether this instance made the refresh token.
pub fn authenticate_refresh(presented: &str) -> Result<std::result::Result<RefreshToken, Rejected>> {
    key_ring::with(|ring| token::refresh::authenticate(ring, presented))
}

/// Decides whether a presented token of any family is good, for a role of this reach. Touches no table for a forged
/// one. Only reads, so it works in READ ONLY transactions and on standbys.
pub fn verify(presented: &str, expected: &Expected<'_>, reach: &Reach) -> Result<Verdict> {
    let now = clock::now();
    Ok(match named_session(presented)? {
        Some(found) => Verdict::of(&found.session, expected, reach, now),
        None => Verdict::INVALID,
    })
}

/// A session that was found by a token.
pub struct Found {
    pub session: Rc<NamedSession>,
    /// The epoch under which it is so.
    pub epoch: u64,
    /// Whether it stays so until the epoch advances. The row that this very transaction made does
    /// not: should it roll back, nothing has changed.
    pub settled: bool,
}

/// The session that a token names, remembered or read. `None` for a token that was not made here, or
/// whose session is gone.
pub fn named_session(presented: &str) -> Result<Option<Found>> {
    let epoch = relcache::epoch();
    if let Some(session) = cache::find(presented, epoch) {
        return Ok(Some(Found { session, epoch, settled: true }));
    }
    let (epoch, read) = read_stable(relcache::epoch, |_| match authenticate(presented)? {
        Ok(token) => look_up(&token),
        Err(_) => Ok(None),
    })?;
    // What is not there is not remembered: a session that appears invalidates nothing.
    let Some((session, settled)) = read else {
        return Ok(None);
    };
    let session = Rc::new(session);
    if settled {
        cache::remember(presented, epoch, &session);
    }
    Ok(Some(Found { session, epoch, settled }))
}

/// What the tables say of an authentic token, and whether others see the same.
fn look_up(token: &AuthenticToken) -> Result<Option<(NamedSession, bool)>> {
    let named = session_of(token)?;
    Ok(named.filter(|(session, _)| session.is_as_claimed()))
}

/// The session of an authentic token, and whether others see the same. `None` where it is gone.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where tables or keys can't be read.
pub fn session_of(token: &AuthenticToken) -> Result<Option<(NamedSession, bool)>> {
    if token.family == Family::Client {
        let Some(row) = client_sessions::by_id(&token.session_id)? else {
            return Ok(None);
        };
        let settled = !row.in_progress;
        return Ok(Some((NamedSession::of_client(row)?, settled)));
    }
    let Some(row) = sessions::by_id(&token.session_id)? else {
        return Ok(None);
    };
    let session = NamedSession::of_session(&row, token.access.as_ref())?;
    Ok((session.family() == token.family).then_some((session, !row.in_progress)))
}
