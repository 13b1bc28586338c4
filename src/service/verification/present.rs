//! Presenting a session token to policies, and ending the session that is presented.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::Value as Json;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::guc;
use crate::pg::clock::{self, Micros};
use crate::pg::roles::AsOwner;
use crate::pg::transaction;
use crate::service::required;
use crate::service::revocation::revocations::{self, Which};
use crate::service::verification::verdict::{self, LiveSession, Verdict};
use crate::service::verification::verify::{require, verify_failed};
use crate::session::{Expected, Reason};
use crate::tables::{client_sessions, sessions};
use crate::token::Family;

/// Most bytes of a request's headers, as JSON.
const MAX_HEADERS: usize = 256 * 1024;

/// Presents a token that is good, for the transaction or (not `is_local`) for the connection.
///
/// # Errors
/// `VERIFY_FAILED` for any other token, which is then not presented.
pub fn present(token: Option<&str>, is_local: Option<bool>) -> Result<LiveSession> {
    let is_local = required(is_local, "is_local", Code::VerifyFailed)?;
    let live = require(token, Expected::default())?;
    if is_local {
        transaction::warn_if_alone(warn_of_one_statement);
    }
    guc::set_token(token.unwrap_or_default(), is_local);
    Ok(live)
}

fn warn_of_one_statement() {
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_NO_ACTIVE_SQL_TRANSACTION,
        "the token is presented for this statement only: there is no transaction block",
        "session_use",
    )
    .set_hint("Call it after BEGIN, or with is_local => false.")
    .report(PgLogLevel::WARNING);
}

/// Presents no token any more.
pub fn clear() {
    guc::set_token("", false);
}

/// Revokes the session of the presented token; returns how many sessions that ended, 0 or 1.
///
/// # Errors
/// `VERIFY_FAILED` where no token is presented, or one that is neither good nor of a revoked session; `CONFLICT`.
pub fn end() -> Result<i64> {
    let Some(token) = guc::token() else {
        return Err(
            Error::new(Code::VerifyFailed, "no session token is presented")
                .hint("Present one with dialstack.session_use()."),
        );
    };
    let now = clock::now();
    let live = match verdict::verify(&token, &Expected::default())? {
        Verdict::Live(live) => live,
        // Already ended.
        Verdict::Refused {
            reason: Reason::Revoked | Reason::Reused,
            ..
        } => return Ok(0),
        Verdict::Refused { reason, .. } => return Err(verify_failed(reason)),
    };
    let session = &live.session;
    let (session_id, env_id) = (session.session_id, session.env_id);
    let which = match session.family() {
        Family::Client => Which::Client { session_id, env_id },
        Family::User | Family::Account => Which::One {
            session_id,
            env_id,
            definition_id: session.user().map(|user| user.definition_id),
        },
    };
    let owner = AsOwner::enter()?;
    let revoked = revocations::revoke(&owner, &which, revocations::REVOKED, now)?;
    if revoked == 0 && lives(session.family(), &session_id, now)? {
        return Err(revocations::conflict());
    }
    Ok(i64::try_from(revoked).unwrap_or(i64::MAX))
}

fn lives(family: Family, session_id: &Uuid, now: Micros) -> Result<bool> {
    Ok(match family {
        Family::Client => client_sessions::by_id(session_id)?.is_some_and(|row| row.lives(now)),
        Family::User | Family::Account => {
            sessions::by_id(session_id)?.is_some_and(|row| row.lives(now))
        }
    })
}

/// Presents the session token of the request that PostgREST handles, or none.
///
/// # Errors
/// `VERIFY_FAILED` for a token that is not good, and for headers that are no JSON object or longer than 256 KiB.
pub fn pre_request() -> Result<()> {
    let headers = guc::foreign(c"request.headers", MAX_HEADERS).map_err(|_| {
        let what = "the setting request.headers is too long";
        Error::new(Code::VerifyFailed, what).hint("Send fewer or shorter headers.")
    })?;
    let headers = headers.filter(|headers| !headers.is_empty());
    let token = match &headers {
        Some(headers) => request_token(headers)?,
        None => None,
    };
    // An earlier request may have left one.
    guc::set_token("", true);
    match token {
        Some(token) => present(Some(&token), Some(true)).map(|_| ()),
        None => Ok(()),
    }
}

/// The session token of a request, from its headers as JSON: the header `x-session-token`, beside which
/// `Authorization` may hold a token of another service, or else `Authorization: Bearer` (RFC 6750, section 2.1).
fn request_token(headers: &str) -> Result<Option<Zeroizing<String>>> {
    let Ok(Json::Object(headers)) = serde_json::from_str(headers) else {
        return Err(Error::new(
            Code::VerifyFailed,
            "the setting request.headers is not a JSON object",
        )
        .hint("PostgREST sets it; else set it to an object of header names, in lower case, and values."));
    };
    let header = |name| headers.get(name).and_then(Json::as_str).map(str::trim);
    let token = match header("x-session-token") {
        Some(token) => Some(token).filter(|token| !token.is_empty()),
        None => header("authorization").and_then(bearer_token),
    };
    Ok(token.map(|token| Zeroizing::new(token.to_owned())))
}

fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim_start())
}
