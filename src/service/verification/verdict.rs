//! Whether a presented token is good, now: presented → authentic → living; and noting it where its definition asks for
//! that.

use std::rc::Rc;

use pgrx::datum::Interval;

use crate::error::{Code, Error, Result};
use crate::pg::cache::read_stable;
use crate::pg::clock::{self, Micros};
use crate::pg::{relcache, transaction};
use crate::service::keys::key_ring;
use crate::service::level::Level;
use crate::service::reach::{self, Reach};
use crate::service::setup::configuration::Env;
use crate::service::verification::cache;
use crate::service::verification::named_session::NamedSession;
use crate::session::{Expected, Reason, Span};
use crate::tables::activity::{self, Origin};
use crate::tables::{client_sessions, sessions};
use crate::token::{self, AuthenticToken, Family, Rejected, refresh::RefreshToken};

/// A session that lives.
pub struct LiveSession {
    pub session: Rc<NamedSession>,
    pub env: Rc<Env>,
}

/// What is known of a presented token.
pub enum Verdict {
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
    /// The session, where the token is good.
    pub fn live(&self) -> Option<&LiveSession> {
        match self {
            Verdict::Live(live) => Some(live),
            Verdict::Refused { .. } => None,
        }
    }

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
pub fn judge(presented: &str, expected: &Expected<'_>, reach: &Reach) -> Result<Verdict> {
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
        Ok(token) => Ok(session_of(&token)?.filter(|(session, _)| session.is_as_claimed())),
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

/// The session of an authentic token, and whether others see the same. `None` where it is gone.
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

/// The verdict on a token, for the caller of a function of this level.
pub fn verify(token: Option<&str>, expected: Expected<'_>, level: Level) -> Result<Verdict> {
    let began = clock::now();
    let verdict = match token {
        Some(token) if !token.is_empty() => judge(token, &expected, &*reach::of_caller(level)?)?,
        _ => Verdict::MISSING,
    };
    log(&verdict, began)?;
    Ok(verdict)
}

/// The moment since which the user must have proved who they are, where `max_age` is how long ago that may be.
///
/// # Errors
/// `VERIFY_FAILED` for an interval that is not positive or longer than 100 years.
pub fn since(max_age: Option<&Interval>) -> Result<Option<Micros>> {
    let Some(max_age) = max_age else {
        return Ok(None);
    };
    let span = clock::span(max_age);
    if !span.is_positive() || !span.is_within_a_century() {
        return Err(Error::new(
            Code::VerifyFailed,
            "max_age is not a time that may have passed since the user signed in",
        )
        .hint("Give a positive interval of at most 100 years."));
    }
    let ago = Span { months: -span.months, days: -span.days, micros: -span.micros };
    clock::add(clock::now(), &ago, Code::VerifyFailed).map(Some)
}

/// Adds an activity row where the definition asks for it and writing is possible.
fn log(verdict: &Verdict, began: Micros) -> Result<()> {
    let (session, refused) = match verdict {
        Verdict::Live(live) => (&live.session, None),
        Verdict::Refused { reason, session: Some(session) } => (session, Some(reason.as_str())),
        Verdict::Refused { session: None, .. } => return Ok(()),
    };
    let (Some(stored), Some(user)) = (session.definition(), session.user()) else {
        return Ok(());
    };
    if !stored.definition.log_verify || !transaction::can_write() {
        return Ok(());
    }
    let id = &session.session_id;
    activity::note(id, user, "verify", refused, began, Origin::default())
}

/// The session of a token that must be good.
///
/// # Errors
/// `VERIFY_FAILED` with the reason; `JWT_NOT_AVAILABLE` when no token can be verified at all.
pub fn require(token: Option<&str>, expected: Expected<'_>, level: Level) -> Result<LiveSession> {
    match verify(token, expected, level)? {
        Verdict::Live(live) => Ok(live),
        Verdict::Refused { reason, .. } => Err(verify_failed(reason)),
    }
}

/// The error for a token that is refused.
pub fn verify_failed(reason: Reason) -> Error {
    let (message, hint) = match reason {
        Reason::Missing => ("there is no token", "Sign in, and present the token."),
        Reason::Invalid => ("the token is not valid", "Sign in again."),
        Reason::Mismatch => (
            "the token belongs to another product, environment or definition",
            "Present the token that was made for this one.",
        ),
        Reason::Revoked => ("the session was revoked", "Sign in again."),
        Reason::Reused => (
            "the session was revoked because an old refresh token was presented",
            "Sign in again; somebody may have copied a refresh token.",
        ),
        Reason::Expired => ("the token has expired", "Refresh it or sign in again."),
        Reason::ScopeDisabled => {
            ("the session does not hold the scope", "Create the session with that scope enabled.")
        }
        Reason::Stale => (
            "the user has not signed in lately enough",
            "Ask for the password again, and call dialstack.session_reauthenticate().",
        ),
    };
    Error::new(Code::VerifyFailed, message).detail(format!("reason: {}", reason.as_str())).hint(hint)
}
