//! Issuing tokens, and what sessions and their tokens are made from: checked data, lifetimes, claims.

use pgrx::datum::Interval;
use serde_json::Map;
use uuid::Uuid;

use crate::error::{self, Code, Coded, Error};
use crate::pg::clock::{self, Micros};
use crate::pg::datum::json::JsonText;
use crate::pg::random;
use crate::service::revocation::revocations;
use crate::service::setup::configuration::{self, Env, StoredDefinition};
use crate::session::{Bounds, Definition, Lifetimes, Span, check_data_bytes};
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
    check_data_bytes(text.len()).coded(code)?;
    stored.schema()?.check(&value).coded(code)?;
    let identifier = stored.definition.selector.select(&value).coded(code)?;
    Ok(CheckedData { text, identifier })
}

/// How long a token, and a session without a refresh, live where the definition is not to say that.
#[derive(Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The access token that is made now.
    pub token: Option<&'a Interval>,
    pub session: Option<&'a Interval>,
}

/// When the tokens of a session that is created or refreshed now expire, and the session. `before` is the row of
/// one that is refreshed.
///
/// # Errors
/// `code` for times beyond what a timestamp can hold, and for a token that would be dead at once.
pub fn lifetimes(
    definition: &Definition,
    now: Micros,
    before: Option<&SessionRow>,
    asked: Asked<'_>,
    code: Code,
) -> error::Result<Lifetimes> {
    let after = |at, span: Span| clock::add(at, &span, code);
    let token = match asked.token {
        None => after(now, definition.access_span().coded(code)?)?,
        Some(interval) => after(now, expiry_span(interval, "expires_in")?)?,
    };
    let refresh = match asked.session {
        None => after(now, definition.refresh_span().coded(code)?)?,
        Some(interval) => after(now, expiry_span(interval, "session_expires_in")?)?,
    };
    if token.min(refresh) <= now {
        return Err(Error::new(code, "the token would be dead before it is used")
            .hint("Give an interval whose parts are all positive."));
    }
    let created_at = before.map_or(now, |row| row.created_at);
    let cap = |from, span: Option<Span>| span.map(|span| after(from, span)).transpose();
    let bounds = Bounds {
        token,
        refresh,
        of_session: asked.session.is_some(),
        so_far: before.map(|row| row.expires_at),
        idle: cap(now, definition.idle_timeout)?,
        max: cap(created_at, definition.max_lifetime)?,
    };
    Ok(bounds.lifetimes())
}

/// An argument as a span that makes sense for a token or a session.
fn expiry_span(interval: &Interval, name: &'static str) -> error::Result<Span> {
    let span = clock::span(interval);
    if span.is_positive() && span.is_within_a_century() {
        return Ok(span);
    }
    Err(Error::new(Code::CreateFailed, format!("{name} is not a time that a token can live"))
        .hint("Give a positive interval of at most 100 years, or leave it out."))
}

/// A session's tokens.
pub struct Tokens {
    pub token: String,
    pub refresh_token: String,
    /// When the access token expires.
    pub expires_at: Micros,
    pub session_id: Uuid,
    /// When the session ends unless it is refreshed.
    pub session_expires_at: Micros,
}

/// What tokens are made of.
pub struct Issue<'a> {
    pub ring: &'a KeyRing,
    pub env: &'a Env,
    pub definition: &'a Definition,
    pub row: &'a SessionRow,
    pub generation: u32,
    /// The session's data, as JSON text.
    pub data: &'a str,
    /// When the access token is issued.
    pub now: Micros,
    /// When the access token and the session expire, on full seconds.
    pub ends: Lifetimes,
}

/// Makes an access token and a refresh token.
pub fn issue(of: &Issue<'_>) -> error::Result<Tokens> {
    let public = match &of.definition.public_claims[..] {
        [] => Map::new(),
        _ => {
            let data = serde_json::from_str(of.data).unwrap_or_default();
            of.definition.public_claims(&data)
        }
    };
    let claims = AccessClaims {
        product: of.env.product.clone(),
        env: of.env.env.clone(),
        tag: of.definition.tag.clone(),
        subject: of.row.subject.clone(),
        session_id: of.row.session_id,
        issued_at: clock::unix_seconds(of.now),
        expires_at: clock::unix_seconds(of.ends.token),
        token_id: random::uuid()?,
        public,
    };
    Ok(Tokens {
        token: access::issue(of.ring, &claims, of.data.as_bytes(), &random::bytes()?)?,
        refresh_token: refresh::issue(of.ring, of.env.mode, of.row.session_id, of.generation)?,
        expires_at: of.ends.token,
        session_id: of.row.session_id,
        session_expires_at: of.ends.session,
    })
}

/// Checks that the next refresh of a session with this data can make its token.
pub fn check_token_size(
    ring: &KeyRing,
    row: &SessionRow,
    stored: &StoredDefinition,
    data: &str,
) -> error::Result<()> {
    let Some(env) = configuration::env_by_id(row.env_id)? else {
        return Err(revocations::conflict());
    };
    issue(&Issue {
        ring,
        env: &env,
        definition: &stored.definition,
        row,
        generation: row.generation,
        data,
        now: row.created_at,
        ends: Lifetimes { token: row.expires_at, session: row.expires_at },
    })
    .map(|_| ())
}
