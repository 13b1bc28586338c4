//! Verifying a presented token, and noting it where its definition asks for that.

use pgrx::datum::Interval;

use crate::error::{Code, Error, Result};
use crate::pg::clock::{self, Micros};
use crate::pg::transaction;
use crate::service::level::Level;
use crate::service::reach;
use crate::service::verification::verdict::{self, LiveSession, Verdict};
use crate::session::{Expected, Reason, Span};
use crate::tables::activity::{self, Origin};

/// The verdict on a token, for the caller of a function of this level.
pub fn verify(token: Option<&str>, expected: Expected<'_>, level: Level) -> Result<Verdict> {
    let began = clock::now();
    let verdict = match token {
        Some(token) if !token.is_empty() => verdict::verify(token, &expected, &*reach::of_caller(level)?)?,
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
