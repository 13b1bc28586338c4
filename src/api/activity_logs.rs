//! What happened to sessions.

use pgrx::datum::{Inet, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::places::definition_id;
use super::required;
use crate::dashboard::activity_logs::{self, Filter, Logged};
use crate::error::{self, Code, Coded, Error};
use crate::pg::clock;
use crate::pg::datum::json::JsonText;
use crate::service::caller;
use crate::session::{Page, check_identifier};

const CODE: Code = Code::FetchActivityLogsFailed;

struct LogsCall<'a> {
    product: Option<&'a str>,
    tag: Option<&'a str>,
    env: Option<&'a str>,
    identifier: Option<&'a str>,
    status: Option<&'a str>,
    start_at: Option<TimestampWithTimeZone>,
    end_at: Option<TimestampWithTimeZone>,
    page: Option<i32>,
    per_page: Option<i32>,
    with_total: Option<bool>,
}

/// Refuses infinite moments, and a range that ends before it begins.
fn check_range(
    start_at: Option<TimestampWithTimeZone>,
    end_at: Option<TimestampWithTimeZone>,
) -> error::Result<()> {
    for (name, at) in [("start_at", start_at), ("end_at", end_at)] {
        if at.is_some_and(|at| at.is_infinity() || at.is_neg_infinity()) {
            return Err(Error::new(CODE, format!("{name} must be a moment in time"))
                .hint("Leave it out to have no bound."));
        }
    }
    match (start_at.map(clock::micros), end_at.map(clock::micros)) {
        (Some(start), Some(end)) if end < start => {
            Err(Error::new(CODE, "end_at is before start_at")
                .hint("Give the earlier moment as start_at."))
        }
        _ => Ok(()),
    }
}

fn logs(call: &LogsCall<'_>) -> error::Result<(Vec<Logged>, Option<i64>)> {
    let page = Page::new(call.page, call.per_page).coded(CODE)?;
    let product = required(call.product, "product", CODE)?;
    let with_total = required(call.with_total, "with_total", CODE)?;
    if call
        .status
        .is_some_and(|status| !matches!(status, "success" | "fail"))
    {
        return Err(Error::new(CODE, "the status is not known")
            .hint("A status is success or fail; leave it out for both."));
    }
    if let Some(identifier) = call.identifier {
        check_identifier("identifier", identifier).coded(CODE)?;
    }
    check_range(call.start_at, call.end_at)?;
    let env_ids = caller::envs(product, call.env)?.ids;
    let definition_id = call
        .tag
        .map(|tag| definition_id(product, tag))
        .transpose()?;
    let filter = Filter {
        env_ids,
        definition_id,
        identifier: call.identifier,
        status: call.status,
        start_at: call.start_at,
        end_at: call.end_at,
    };
    let rows = activity_logs::list(&filter, &page)?;
    let total = if with_total {
        Some(activity_logs::count(&filter)?)
    } else {
        None
    };
    Ok((rows, total))
}

/// A page of activity, newest first.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn session_activity_logs(
    product: Option<&str>,
    tag: default!(Option<&str>, "NULL"),
    env: default!(Option<&str>, "NULL"),
    identifier: default!(Option<&str>, "NULL"),
    status: default!(Option<&str>, "NULL"),
    start_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    end_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    page: default!(Option<i32>, "1"),
    per_page: default!(Option<i32>, "20"),
    with_total: default!(Option<bool>, "true"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(activity_id, i64),
            name!(at, TimestampWithTimeZone),
            name!(product, String),
            name!(env, String),
            name!(tag, Option<String>),
            name!(kind, String),
            name!(operation, String),
            name!(status, String),
            name!(reason, Option<String>),
            name!(session_id, Option<pgrx::Uuid>),
            name!(identifier, Option<String>),
            name!(latency_us, Option<i32>),
            name!(ip, Option<Inet>),
            name!(user_agent, Option<String>),
            name!(detail, Option<JsonText>),
            name!(total, Option<i64>),
        ),
    >,
    ErrorReport,
> {
    let (rows, total) = logs(&LogsCall {
        product,
        tag,
        env,
        identifier,
        status,
        start_at,
        end_at,
        page,
        per_page,
        with_total,
    })?;
    Ok(TableIterator::new(rows.into_iter().map(move |row| {
        (
            row.activity_id,
            row.at,
            row.product,
            row.env,
            row.tag,
            row.kind,
            row.operation,
            row.status,
            row.reason,
            row.session_id,
            row.identifier,
            row.latency_us,
            row.ip,
            row.user_agent,
            row.detail,
            total,
        )
    })))
}
