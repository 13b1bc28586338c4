//! Verifying tokens of any family, and explaining verdicts.

use pgrx::datum::Interval;
use pgrx::prelude::*;

use super::{Result, functions, pg_uuid};
use crate::pg::clock::timestamptz;
use crate::pg::datum::json::JsonText;
use crate::pg::datum::record::Record;
use crate::pg::datum::sql_type::{As, sql_types};
use crate::service::level::Level;
use crate::service::user_sessions::session_data::SessionData;
use crate::service::verification::explain;
use crate::service::verification::verdict::{LiveSession, Verdict};
use crate::service::verification::verdict::{require, since, verify};
use crate::session::{Expected, Reason};

sql_types! { SessionVerdict = "dialstack.session_verdict"; }

pub(super) type VerdictRow = As<SessionVerdict, Record<14>>;

pub(super) fn live_row(live: &LiveSession) -> VerdictRow {
    let session = &live.session;
    Record([
        true.into_datum(),
        None,
        session.family().as_str().into_datum(),
        pg_uuid(&session.session_id).into_datum(),
        session.identifier().into_datum(),
        session.account().into_datum(),
        session.data().map(SessionData::datum),
        session.scopes.clone().into_datum(),
        timestamptz(session.expires_at()).into_datum(),
        live.env.product.as_str().into_datum(),
        live.env.env.as_str().into_datum(),
        session.tag().into_datum(),
        timestamptz(session.created_at).into_datum(),
        timestamptz(session.authenticated_at).into_datum(),
    ])
    .into()
}

fn refused_row(reason: Reason) -> VerdictRow {
    let mut columns = [None; 14];
    columns[0] = false.into_datum();
    columns[1] = reason.as_str().into_datum();
    Record(columns).into()
}

functions! { FUNCTIONS;
    /// Says whether a token is good and whose session it is; a bad one is an answer, not an error.
    ///
    /// PARALLEL UNSAFE, as is session_require: where the definition says log_verify it writes, and in a parallel
    /// plan even the leader can't.
    #[level(Client)]
    #[pg_extern(requires = ["verdict"])]
    fn session_verify(
        token: Option<&str>,
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
        tag: default!(Option<&str>, "NULL"),
        scope: default!(Option<&str>, "NULL"),
        max_age: default!(Option<Interval>, "NULL"),
    ) -> Result<VerdictRow> {
        let authenticated_since = since(max_age.as_ref())?;
        let expected = Expected { product, env, tag, scope, authenticated_since };
        Ok(match verify(token, expected, Level::Client)? {
            Verdict::Live(live) => live_row(&live),
            Verdict::Refused { reason, .. } => refused_row(reason),
        })
    }

    /// Returns the row of session_verify for a good token, and raises VERIFY_FAILED for any other.
    #[level(Server)]
    #[pg_extern(requires = ["verdict"])]
    fn session_require(
        token: Option<&str>,
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
        tag: default!(Option<&str>, "NULL"),
        scope: default!(Option<&str>, "NULL"),
        max_age: default!(Option<Interval>, "NULL"),
    ) -> Result<VerdictRow> {
        let authenticated_since = since(max_age.as_ref())?;
        let expected = Expected { product, env, tag, scope, authenticated_since };
        Ok(live_row(&require(token, expected, Level::Server)?))
    }

    /// What a resource server learns of a token (RFC 7662).
    ///
    /// For a token that is not good `{"active": false}` and nothing else (section 2.2).
    #[level(Server)]
    #[pg_extern(volatile, parallel_restricted)]
    fn token_introspect(token: Option<&str>) -> Result<JsonText> {
        Ok(JsonText::of(&explain::introspect(token)?))
    }

    /// Explains, step by step, why a token is accepted or refused; shows no secret.
    #[level(Server)]
    #[pg_extern(volatile, parallel_restricted)]
    fn session_explain(token: Option<&str>) => table {
        step: i32,
        checked: &'static str,
        passed: bool,
        detail: String,
    } {
        explain::explain(token)?
    }
}
