//! Account sessions. Their functions are declared in sql/62_tokens.sql.

use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::required;
use crate::error::{self, Code};
use crate::pg::clock::timestamptz;
use crate::pg::datum::json::JsonText;
use crate::pg::datum::record::Record;
use crate::service::account_sessions::{self, Request};

fn create(
    account: Option<&str>,
    components: Option<JsonText>,
    product: Option<&str>,
    env: Option<&str>,
    expires_in: Option<Interval>,
) -> error::Result<Record<4>> {
    let account = required(account, "account", Code::CreateFailed)?;
    let created = account_sessions::create(Request {
        account,
        components,
        product,
        env,
        expires_in: &required(expires_in, "expires_in", Code::CreateFailed)?,
    })?;
    Ok(Record([
        created.client_secret.into_datum(),
        timestamptz(created.expires_at).into_datum(),
        account.into_datum(),
        created.components.into_datum(),
    ]))
}

/// Creates an account session and returns its client secret.
#[pg_extern(sql = false)]
fn account_session_create(
    account: Option<&str>,
    components: Option<JsonText>,
    product: Option<&str>,
    env: Option<&str>,
    expires_in: Option<Interval>,
) -> Result<Record<4>, ErrorReport> {
    Ok(create(account, components, product, env, expires_in)?)
}

/// The deprecated name of `account_session_create`.
#[pg_extern(sql = false)]
fn session_create_deprecated(
    account: Option<&str>,
    components: Option<JsonText>,
) -> Result<Record<4>, ErrorReport> {
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_WARNING_DEPRECATED_FEATURE,
        "session_create(account, components) is deprecated",
        "session_create",
    )
    .set_hint("Call dialstack.account_session_create() instead.")
    .report(PgLogLevel::WARNING);
    let one_hour = Some(Interval::from_hours(1));
    Ok(create(account, components, None, None, one_hour)?)
}
