//! Listing sessions and looking at one.

use pgrx::datum::{Inet, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::{required, uuid};
use crate::error::{self, Code, Coded, Error};
use crate::pg::clock;
use crate::service::caller;
use crate::service::configuration;
use crate::session::{Page, check_identifier};
use crate::tables::sessions;
use crate::tables::sessions::list::{self, Filter, Info, Listed};

struct ListCall<'a> {
    product: Option<&'a str>,
    env: Option<&'a str>,
    tag: Option<&'a str>,
    identifier: Option<&'a str>,
    page: Option<i32>,
    per_page: Option<i32>,
    active_only: Option<bool>,
    with_total: Option<bool>,
}

fn list(call: &ListCall<'_>) -> error::Result<(Vec<Listed>, Option<i64>)> {
    let code = Code::ListFailed;
    let page = Page::new(call.page, call.per_page).coded(code)?;
    let product = required(call.product, "product", code)?;
    let env = required(call.env, "env", code)?;
    let tag = required(call.tag, "tag", code)?;
    let active_only = required(call.active_only, "active_only", code)?;
    let with_total = required(call.with_total, "with_total", code)?;
    if let Some(identifier) = call.identifier {
        check_identifier("identifier", identifier).coded(code)?;
    }
    let env = configuration::env(product, env)?;
    caller::narrow(env.env_id)?;
    let definition_id = configuration::definition(&env.product_id, tag)?.definition_id;
    let filter = Filter {
        env_id: env.env_id,
        definition_id,
        identifier: call.identifier,
        active_only,
    };
    let now = clock::now();
    let rows = list::list(&filter, &page, now)?;
    let total = if with_total {
        Some(list::count(&filter, now)?)
    } else {
        None
    };
    Ok((rows, total))
}

/// A page of sessions, of one user (newest first) or of all (by identifier).
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn session_list(
    product: Option<&str>,
    env: Option<&str>,
    tag: Option<&str>,
    identifier: default!(Option<&str>, "NULL"),
    page: default!(Option<i32>, "1"),
    per_page: default!(Option<i32>, "10"),
    active_only: default!(Option<bool>, "true"),
    with_total: default!(Option<bool>, "true"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(session_id, pgrx::Uuid),
            name!(identifier, Option<String>),
            name!(start_at, TimestampWithTimeZone),
            name!(end_at, TimestampWithTimeZone),
            name!(active, bool),
            name!(last_seen_at, TimestampWithTimeZone),
            name!(ip, Option<Inet>),
            name!(user_agent, Option<String>),
            name!(total, Option<i64>),
        ),
    >,
    ErrorReport,
> {
    let call = ListCall {
        product,
        env,
        tag,
        identifier,
        page,
        per_page,
        active_only,
        with_total,
    };
    let (rows, total) = list(&call)?;
    Ok(TableIterator::new(rows.into_iter().map(move |row| {
        (
            row.session_id,
            row.identifier,
            row.start_at,
            row.end_at,
            row.active,
            row.last_seen_at,
            row.ip,
            row.user_agent,
            total,
        )
    })))
}

fn info(session_id: Option<pgrx::Uuid>) -> error::Result<Info> {
    let session_id = uuid(required(session_id, "session_id", Code::ListFailed)?);
    if let Some(row) = sessions::by_id(&session_id)? {
        caller::narrow(row.env_id)?;
    }
    list::info(&session_id, clock::now())?.ok_or_else(|| {
        Error::new(Code::SessionNotFound, "there is no session with that id")
            .hint("It may have been purged, or never existed; dialstack.session_list() shows what there is.")
    })
}

/// One session, dead or alive.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn session_info(
    session_id: Option<pgrx::Uuid>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(session_id, pgrx::Uuid),
            name!(identifier, Option<String>),
            name!(start_at, TimestampWithTimeZone),
            name!(end_at, TimestampWithTimeZone),
            name!(active, bool),
            name!(last_seen_at, TimestampWithTimeZone),
            name!(ip, Option<Inet>),
            name!(user_agent, Option<String>),
            name!(kind, String),
            name!(product, Option<String>),
            name!(env, Option<String>),
            name!(tag, Option<String>),
            name!(generation, i32),
            name!(revoked_at, Option<TimestampWithTimeZone>),
            name!(revoke_reason, Option<String>),
            name!(scopes, Option<Vec<String>>),
        ),
    >,
    ErrorReport,
> {
    let info = info(session_id)?;
    let row = info.listed;
    Ok(TableIterator::once((
        row.session_id,
        row.identifier,
        row.start_at,
        row.end_at,
        row.active,
        row.last_seen_at,
        row.ip,
        row.user_agent,
        info.kind,
        info.product,
        info.env,
        info.tag,
        info.generation,
        info.revoked_at,
        info.revoke_reason,
        info.scopes,
    )))
}
