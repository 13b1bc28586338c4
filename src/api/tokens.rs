//! What sessions and their tokens are made from: checked data, lifetimes, claims.

use pgrx::datum::Interval;
use uuid::Uuid;

use crate::error::{self, Code, Coded, Error};
use crate::pg::clock::{self, Micros};
use crate::pg::datum::json::JsonText;
use crate::pg::random;
use crate::service::configuration::{self, Env, StoredDefinition};
use crate::service::revocations;
use crate::session::{Definition, check_data, check_text};
use crate::tables::activity::Origin;
use crate::tables::sessions::SessionRow;
use crate::token::{AccessClaims, KeyRing, access, refresh};

/// Longest user agent that is kept, in characters.
const MAX_USER_AGENT: usize = 1000;

pub(super) fn check_origin(origin: &Origin<'_>, code: Code) -> error::Result<()> {
    origin
        .user_agent
        .map_or(Ok(()), |text| {
            check_text("user_agent", text, MAX_USER_AGENT)
        })
        .coded(code)
}

/// Session data that satisfies its definition.
pub(super) struct CheckedData {
    /// As JSON text.
    pub text: String,
    /// The identifier that the selector picks.
    pub identifier: String,
}

/// Checks data against its definition and picks the identifier.
pub(super) fn check_against(
    stored: &StoredDefinition,
    data: &JsonText,
) -> error::Result<CheckedData> {
    let code = Code::CreateFailed;
    let text = data.compact();
    let value = data.parse().coded(code)?;
    check_data(&value, text.len()).coded(code)?;
    stored.schema()?.check(&value).coded(code)?;
    let identifier = stored.definition.selector.select(&value).coded(code)?;
    Ok(CheckedData { text, identifier })
}

/// When an access token and its session expire.
pub(super) struct Lifetimes {
    pub(super) token: Micros,
    pub(super) session: Micros,
}

impl Lifetimes {
    /// Of a session that is created or refreshed now. A token never outlives its session; both end
    /// on a full second, so that `exp` and what we tell are the same.
    pub(super) fn new(
        definition: &Definition,
        now: Micros,
        before: Option<&SessionRow>,
        expires_in: Option<&Interval>,
        code: Code,
    ) -> error::Result<Self> {
        let after = |at, span| clock::add(at, &span, code);
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
        // A token that was asked to live longer takes its session along, and what was extended
        // stays extended; but nothing goes beyond the caps.
        let mut session = after(now, definition.refresh_span().coded(code)?)?
            .max(token)
            .max(before.map_or(token, |row| row.expires_at));
        if let Some(idle) = definition.idle_timeout {
            session = session.min(after(now, idle)?);
        }
        if let Some(max) = definition.max_lifetime {
            session = session.min(after(before.map_or(now, |row| row.created_at), max)?);
        }
        let session = clock::ceil_to_second(session);
        Ok(Lifetimes {
            token: clock::ceil_to_second(token).min(session),
            session,
        })
    }
}

/// `expires_in` as a span that makes sense for a token.
fn expiry_span(interval: &Interval) -> error::Result<crate::session::Span> {
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
pub(super) struct Tokens {
    pub(super) token: String,
    pub(super) refresh_token: String,
    pub(super) expires_at: Micros,
    pub(super) session_id: Uuid,
}

/// What tokens are made of.
pub(super) struct Issue<'a> {
    pub(super) ring: &'a KeyRing,
    pub(super) env: &'a Env,
    pub(super) tag: &'a str,
    pub(super) identifier: &'a str,
    pub(super) session_id: Uuid,
    pub(super) generation: u32,
    pub(super) data: &'a str,
    pub(super) now: Micros,
    pub(super) expires_at: Micros,
}

pub(super) fn issue(of: &Issue<'_>) -> error::Result<Tokens> {
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
pub(super) fn check_token_size(
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
