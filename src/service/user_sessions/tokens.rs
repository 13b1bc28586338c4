//! Issuing tokens, and what sessions and their tokens are made from: checked data, lifetimes, claims.

use pgrx::datum::Interval;
use uuid::Uuid;

use crate::error::{self, Code, Coded, Error};
use crate::pg::clock::{self, Micros};
use crate::pg::datum::json::JsonText;
use crate::pg::random;
use crate::service::revocation::revocations;
use crate::service::setup::configuration::{self, Env, StoredDefinition};
use crate::session::{Bounds, Definition, Lifetimes, Span, check_data};
use crate::tables::sessions::SessionRow;
use crate::token::{AccessClaims, KeyRing, access, refresh};

/// Session data that satisfies its definition.
pub struct CheckedData {
    /// As JSON text.
    pub text: String,
    /// The identifier that the selector picks.
    pub identifier: String,
}

/// Checks data against its definition and picks the identifier.
///
/// # Errors
/// `CREATE_FAILED` for data that does not fit.
pub fn check_against(stored: &StoredDefinition, data: &JsonText) -> error::Result<CheckedData> {
    let code = Code::CreateFailed;
    let text = data.compact();
    let value = data.parse().coded(code)?;
    check_data(&value, text.len()).coded(code)?;
    stored.schema()?.check(&value).coded(code)?;
    let identifier = stored.definition.selector.select(&value).coded(code)?;
    Ok(CheckedData { text, identifier })
}

/// When the tokens of a session that is created or refreshed now expire, and the session. `before` is the row of
/// one that is refreshed; `expires_in` takes the place of the definition's expiry.
///
/// # Errors
/// `code` for times beyond what a timestamp can hold, and for a token that would be dead at once.
pub fn lifetimes(
    definition: &Definition,
    now: Micros,
    before: Option<&SessionRow>,
    expires_in: Option<&Interval>,
    code: Code,
) -> error::Result<Lifetimes> {
    let after = |at, span: Span| clock::add(at, &span, code);
    let token = match expires_in {
        None => after(now, definition.access_span().coded(code)?)?,
        Some(interval) => after(now, expiry_span(interval)?)?,
    };
    if token <= now {
        return Err(
            Error::new(code, "the token would be dead before it is used")
                .hint("Give an interval whose parts are all positive."),
        );
    }
    let created_at = before.map_or(now, |row| row.created_at);
    let cap = |from, span: Option<Span>| span.map(|span| after(from, span)).transpose();
    let bounds = Bounds {
        token,
        refresh: after(now, definition.refresh_span().coded(code)?)?,
        so_far: before.map(|row| row.expires_at),
        idle: cap(now, definition.idle_timeout)?,
        max: cap(created_at, definition.max_lifetime)?,
    };
    Ok(bounds.lifetimes())
}

/// `expires_in` as a span that makes sense for a token.
fn expiry_span(interval: &Interval) -> error::Result<Span> {
    let span = clock::span(interval);
    if span.is_positive() && span.is_within_a_century() {
        return Ok(span);
    }
    Err(Error::new(
        Code::CreateFailed,
        "expires_in is not a time that a token can live",
    )
    .hint("Give a positive interval of at most 100 years, or leave it out."))
}

/// A session's tokens.
pub struct Tokens {
    /// The access token.
    pub token: String,
    /// The refresh token.
    pub refresh_token: String,
    /// When the access token expires.
    pub expires_at: Micros,
    /// The session.
    pub session_id: Uuid,
}

/// What tokens are made of.
pub struct Issue<'a> {
    /// The keys.
    pub ring: &'a KeyRing,
    /// The session's environment.
    pub env: &'a Env,
    /// The tag of its definition.
    pub tag: &'a str,
    /// The user.
    pub identifier: &'a str,
    /// The session.
    pub session_id: Uuid,
    /// The generation of the refresh token.
    pub generation: u32,
    /// The session's data, as JSON text.
    pub data: &'a str,
    /// When the access token is issued.
    pub now: Micros,
    /// When the access token expires, on a full second.
    pub expires_at: Micros,
}

/// Makes an access token and a refresh token.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` without an active key.
pub fn issue(of: &Issue<'_>) -> error::Result<Tokens> {
    let claims = AccessClaims {
        product: of.env.product.clone(),
        env: of.env.env.clone(),
        tag: of.tag.to_owned(),
        subject: of.identifier.to_owned(),
        session_id: of.session_id,
        issued_at: clock::unix_seconds(of.now),
        expires_at: clock::unix_seconds(of.expires_at),
        token_id: random::uuid()?,
    };
    Ok(Tokens {
        token: access::issue(of.ring, &claims, of.data.as_bytes(), &random::bytes()?)?,
        refresh_token: refresh::issue(of.ring, of.env.mode, of.session_id, of.generation)?,
        expires_at: of.expires_at,
        session_id: of.session_id,
    })
}

/// Checks that the next refresh of a session with this data can make its token.
pub fn check_token_size(
    ring: &KeyRing,
    row: &SessionRow,
    stored: &StoredDefinition,
    data: &CheckedData,
) -> error::Result<()> {
    let Some(env) = configuration::env_by_id(row.env_id)? else {
        return Err(revocations::conflict());
    };
    issue(&Issue {
        ring,
        env: &env,
        tag: &stored.definition.tag,
        identifier: &data.identifier,
        session_id: row.session_id,
        generation: row.generation,
        data: &data.text,
        now: row.created_at,
        expires_at: row.expires_at,
    })
    .map(|_| ())
}
