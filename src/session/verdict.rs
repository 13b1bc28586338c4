//! Whether an authentic token's session may be used here and now.

use super::name::check_label;
use super::problem::Problem;
use crate::text_enum::text_enum;

/// The `revoke_reason` of a session that was revoked because a used-up refresh token came back.
pub const REVOKED_FOR_REUSE: &str = "reused";

/// The `revoke_reason` of a session that had expired when its key was given to a new one.
pub const REVOKED_AS_EXPIRED: &str = "expired";

/// Longest reason of a revocation, in characters.
const MAX_REASON: usize = 200;

/// Accepts the reason that a caller gives for a revocation: one line of 1 to 200 characters, and none of those that
/// make a verdict say something else than `revoked`.
pub fn check_reason(reason: &str) -> Result<(), Problem> {
    check_label("reason", reason, MAX_REASON)?;
    if matches!(reason, REVOKED_FOR_REUSE | REVOKED_AS_EXPIRED) {
        return Err(Problem::new(format!("the reason {reason:?} is the service's own"))
            .with_hint("Say in other words why the sessions are revoked."));
    }
    Ok(())
}

text_enum! {
    /// Why a token is refused, as the column `reason` says it. The order is the order in which they
    /// are checked.
    pub enum Reason {
        /// No token was given: NULL or an empty text.
        Missing = "missing",
        /// Malformed, forged, of an unknown key or session: indistinguishable on purpose.
        Invalid = "invalid",
        /// Of another product, environment or tag than was asked for.
        Mismatch = "mismatch",
        /// The session was revoked.
        Revoked = "revoked",
        /// The session was revoked because a used-up refresh token came back.
        Reused = "reused",
        /// The session or the token has ended.
        Expired = "expired",
        /// The session does not have the scope that was asked for.
        ScopeDisabled = "scope_disabled",
        /// The user has not proved lately enough who they are.
        Stale = "stale",
    }
}

/// What is known of the session that an authentic token names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    pub product: Option<&'a str>,
    pub env: Option<&'a str>,
    /// Tag of its definition; only user sessions have one.
    pub tag: Option<&'a str>,
    /// Its `revoke_reason`, where it is revoked.
    pub revoked: Option<&'a str>,
    /// End of the session, µs.
    pub expires_at: i64,
    /// End of the presented token, µs, where it has one of its own.
    pub token_expires_at: Option<i64>,
    /// Its scopes; a session without any list has none of them.
    pub scopes: Option<&'a [String]>,
    /// When the user proved last who they are, µs.
    pub authenticated_at: i64,
}

/// What the caller asks for; a `None` asks for nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected<'a> {
    pub product: Option<&'a str>,
    pub env: Option<&'a str>,
    pub tag: Option<&'a str>,
    pub scope: Option<&'a str>,
    /// Since when the user must have proved who they are, µs.
    pub authenticated_since: Option<i64>,
}

/// Judges the session of an authentic token at the time `now` (µs).
///
/// # Errors
/// The first reason in the order of [`Reason`]; never [`Reason::Missing`] or [`Reason::Invalid`], which are for
/// what names no session.
pub fn judge(facts: &Facts<'_>, expected: &Expected<'_>, now: i64) -> Result<(), Reason> {
    let belongs = [(expected.product, facts.product), (expected.env, facts.env), (expected.tag, facts.tag)]
        .iter()
        .all(|(wanted, actual)| wanted.is_none() || wanted == actual);
    if !belongs {
        return Err(Reason::Mismatch);
    }
    match facts.revoked {
        Some(REVOKED_FOR_REUSE) => return Err(Reason::Reused),
        Some(REVOKED_AS_EXPIRED) => return Err(Reason::Expired),
        Some(_) => return Err(Reason::Revoked),
        None => {}
    }
    if now >= facts.expires_at || facts.token_expires_at.is_some_and(|end| now >= end) {
        return Err(Reason::Expired);
    }
    match expected.scope {
        Some(scope) if !facts.scopes.is_some_and(|all| all.iter().any(|s| s == scope)) => {
            Err(Reason::ScopeDisabled)
        }
        _ if expected.authenticated_since.is_some_and(|since| facts.authenticated_at < since) => {
            Err(Reason::Stale)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
