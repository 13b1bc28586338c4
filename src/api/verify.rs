//! Verifying tokens of any family, and explaining verdicts.

use std::rc::Rc;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::{Value, json};

use super::pg_uuid;
use crate::error::{self, Code, Error};
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::datum::record::Record;
use crate::pg::transaction;
use crate::service::configuration::{self, StoredDefinition};
use crate::service::key_ring;
use crate::service::session_data::SessionData;
use crate::service::verdict::{self, LiveSession, Verdict};
use crate::session::{Expected, Reason};
use crate::tables::activity::{self, Origin};
use crate::tables::sessions;
use crate::token::{AuthenticToken, Rejected};

/// The columns of `dialstack.session_verdict`.
pub(super) type VerdictRow = Record<12>;

pub(super) fn live_row(live: &LiveSession) -> VerdictRow {
    let session = &live.session;
    let row = &session.row;
    Record([
        true.into_datum(),
        None,
        row.kind.as_str().into_datum(),
        pg_uuid(&row.session_id).into_datum(),
        session.identifier().into_datum(),
        session.account().into_datum(),
        session.data.as_ref().map(SessionData::datum),
        row.scopes.clone().into_datum(),
        timestamptz(session.expires_at()).into_datum(),
        live.env.product.as_str().into_datum(),
        live.env.env.as_str().into_datum(),
        session.tag().into_datum(),
    ])
}

fn refused_row(reason: Reason) -> VerdictRow {
    let mut columns = [None; 12];
    columns[0] = false.into_datum();
    columns[1] = reason.as_str().into_datum();
    Record(columns)
}

pub(super) fn verify(token: Option<&str>, expected: Expected<'_>) -> error::Result<Verdict> {
    let began = clock::now();
    let verdict = match token {
        Some(token) => verdict::verify(token, &expected)?,
        None => Verdict::INVALID,
    };
    log(&verdict, began)?;
    Ok(verdict)
}

/// Adds an activity row where the definition asks for it and writing is possible.
fn log(verdict: &Verdict, began: Micros) -> error::Result<()> {
    let (session, refused) = match verdict {
        Verdict::Live(live) => (&live.session, None),
        Verdict::Refused {
            reason,
            session: Some(session),
        } => (session, Some(reason.as_str())),
        Verdict::Refused { session: None, .. } => return Ok(()),
    };
    let asked = |stored: &Rc<StoredDefinition>| stored.definition.log_verify;
    if !session.definition.as_ref().is_some_and(asked) || !transaction::can_write() {
        return Ok(());
    }
    activity::note(&session.row, "verify", refused, began, Origin::default())
}

/// Tells whether a token is good and whose it is. A bad token is an answer, not an error.
/// Declared in sql/60_verdict.sql.
#[pg_extern(sql = false)]
fn session_verify(
    token: Option<&str>,
    product: Option<&str>,
    env: Option<&str>,
    tag: Option<&str>,
    scope: Option<&str>,
) -> Result<VerdictRow, ErrorReport> {
    Ok(
        match verify(
            token,
            Expected {
                product,
                env,
                tag,
                scope,
            },
        )? {
            Verdict::Live(live) => live_row(&live),
            Verdict::Refused { reason, .. } => refused_row(reason),
        },
    )
}

/// The same row for a good token; an error for any other. Declared in sql/60_verdict.sql.
#[pg_extern(sql = false)]
fn session_require(
    token: Option<&str>,
    product: Option<&str>,
    env: Option<&str>,
    tag: Option<&str>,
    scope: Option<&str>,
) -> Result<VerdictRow, ErrorReport> {
    match verify(
        token,
        Expected {
            product,
            env,
            tag,
            scope,
        },
    )? {
        Verdict::Live(live) => Ok(live_row(&live)),
        Verdict::Refused { reason, .. } => Err(verify_failed(reason).into()),
    }
}

pub(super) fn verify_failed(reason: Reason) -> Error {
    let (message, hint) = match reason {
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
        Reason::ScopeDisabled => (
            "the session does not hold the scope",
            "Create the session with that scope enabled.",
        ),
    };
    Error::new(Code::VerifyFailed, message)
        .detail(format!("reason: {}", reason.as_str()))
        .hint(hint)
}

/// What an authentic token says when it is asked by a resource server (RFC 7662, section 2.2). For
/// any other token `{"active": false}` and nothing else.
#[pg_extern(schema = "dialstack", volatile, parallel_restricted)]
fn token_introspect(token: Option<&str>) -> Result<JsonText, ErrorReport> {
    Ok(JsonText::of(&introspect(token)?))
}

fn introspect(token: Option<&str>) -> error::Result<Value> {
    let inactive = json!({ "active": false });
    let Some(token) = token else {
        return Ok(inactive);
    };
    let Verdict::Live(live) = verdict::verify(token, &Expected::default())? else {
        return Ok(inactive);
    };
    let session = &live.session;
    let row = &session.row;
    let mut answer = json!({
        "active": true,
        "client_id": live.env.product,
        "aud": format!("{}/{}", live.env.product, live.env.env),
        "iss": key_ring::ring()?.instance().issuer(),
        "sid": row.session_id.to_string(),
        "token_type": "Bearer",
        "exp": clock::unix_seconds(session.expires_at()),
        "iat": clock::unix_seconds(row.created_at),
    });
    if let Some(subject) = &row.subject {
        answer["sub"] = json!(subject);
    }
    if let Some(tag) = session.tag() {
        answer["tag"] = json!(tag);
        answer["username"] = json!(row.subject);
    }
    if let Some(scopes) = &row.scopes {
        answer["scope"] = json!(scopes.join(" "));
    }
    if let Ok(AuthenticToken {
        access: Some(claims),
        ..
    }) = verdict::authenticate(token, clock::now())?
    {
        answer["iat"] = json!(claims.issued_at);
        answer["jti"] = json!(claims.token_id.to_string());
    }
    Ok(answer)
}

/// One step of an explanation.
type Explained = (i32, &'static str, bool, String);

/// Tells an administrator, step by step, why a token is accepted or refused. Shows no secret and
/// no session data.
#[pg_extern(schema = "dialstack", volatile, parallel_restricted)]
fn session_explain(
    token: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(step, i32),
            name!(checked, &'static str),
            name!(passed, bool),
            name!(detail, String),
        ),
    >,
    ErrorReport,
> {
    let steps = explain(token)?;
    Ok(TableIterator::new(steps.into_iter().zip(1..).map(
        |((check, passed, detail), step)| -> Explained { (step, check, passed, detail) },
    )))
}

fn explain(token: Option<&str>) -> error::Result<Vec<(&'static str, bool, String)>> {
    let mut steps = Vec::new();
    let Some(token) = token else {
        return Ok(vec![(
            "form",
            false,
            "no token was given (NULL)".to_owned(),
        )]);
    };
    let now = clock::now();
    let authentic = match verdict::authenticate(token, now)? {
        Ok(authentic) => authentic,
        Err(rejected) => {
            steps.push((rejected_check(rejected), false, rejected.to_string()));
            return Ok(steps);
        }
    };
    let family = sessions::kind_of(authentic.family);
    steps.push((
        "form",
        true,
        format!("a token of the {family} session family"),
    ));
    steps.push((
        "signature",
        true,
        format!("made here with key number {}", authentic.key_number),
    ));
    let Some(row) = sessions::by_id(&authentic.session_id)? else {
        steps.push((
            "session",
            false,
            "its session's row is gone: deleted or purged".to_owned(),
        ));
        return Ok(steps);
    };
    steps.push(("session", true, format!("session {}", row.session_id)));
    let env = configuration::env_by_id(row.env_id)?;
    steps.push(match &env {
        Some(env) => ("environment", true, format!("{}/{}", env.product, env.env)),
        None => (
            "environment",
            false,
            "its environment was deleted".to_owned(),
        ),
    });
    if let Some(definition_id) = row.definition_id {
        steps.push(match configuration::definition_by_id(definition_id)? {
            Some(stored) => ("definition", true, stored.definition.tag.clone()),
            None => ("definition", false, "its definition was deleted".to_owned()),
        });
    }
    steps.push(match &row.revoke_reason {
        None => ("revoked", true, "it is not revoked".to_owned()),
        Some(reason) => ("revoked", false, format!("it was revoked: {reason}")),
    });
    if let Some(claims) = &authentic.access {
        let at = clock::from_unix_seconds(claims.expires_at);
        steps.push(("token expiry", now < at, expiry("the token", at, now)));
    }
    let lives = now < row.expires_at;
    steps.push((
        "session expiry",
        lives,
        expiry("the session", row.expires_at, now),
    ));
    if row.sealed_data.is_some() {
        let opens = SessionData::of(&row)?.is_some();
        let detail = if opens {
            "its data can be decrypted"
        } else {
            "the key of its data is gone"
        };
        steps.push(("data", opens, detail.to_owned()));
    }
    let verdict = verdict::verify(token, &Expected::default())?;
    steps.push(match verdict {
        Verdict::Live(_) => ("verdict", true, "accepted".to_owned()),
        Verdict::Refused { reason, .. } => {
            ("verdict", false, format!("refused: {}", reason.as_str()))
        }
    });
    Ok(steps)
}

/// Which check a rejected token failed.
fn rejected_check(rejected: Rejected) -> &'static str {
    match rejected {
        Rejected::UnknownKey | Rejected::BadSignature => "signature",
        Rejected::WrongInstance => "issuer",
        Rejected::Claim(_) | Rejected::NotYetValid => "claims",
        _ => "form",
    }
}

fn expiry(what: &str, at: Micros, now: Micros) -> String {
    let seconds = at.saturating_sub(now) / clock::SECOND;
    if at > now {
        format!("{what} expires in {seconds} s")
    } else {
        format!("{what} expired {} s ago", -seconds)
    }
}
