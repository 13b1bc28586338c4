//! Looking at activity.

use pgrx::datum::TimestampWithTimeZone;

use super::places::definition_id;
use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock;
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::service::level::Level;
use crate::service::{caller, required};
use crate::session::{Page, check_identifier};
use crate::tables::paging::List;

const CODE: Code = Code::FetchActivityLogsFailed;

/// What the log is narrowed by, beside the environment.
macro_rules! filtered {
    () => {
        "a.at >= $2 AND a.at < $3 AND ($4 IS NULL OR a.definition_id = $4) \
         AND ($5 IS NULL OR a.status = $5) AND ($6 IS NULL OR a.subject = $6)"
    };
}

/// Each environment gives its newest rows in the order of the index; the page is among those, and only its rows get
/// their names.
static PAGE: Statement = Statement::new(concat!(
    "SELECT a.activity_id, a.at, p.product, n.env, d.tag, a.kind, a.operation, a.status, \
            a.reason, a.session_id, a.subject, a.latency_us, a.ip, a.user_agent, \
            nullif(jsonb_strip_nulls(jsonb_build_object( \
                'account', a.account, 'api_key_id', a.api_key_id)), '{}') \
       FROM (SELECT a.* FROM unnest($1) AS e (env_id) \
              CROSS JOIN LATERAL ( \
                    SELECT * FROM dialstack.activity a \
                     WHERE a.env_id = e.env_id AND ",
    filtered!(),
    " ORDER BY a.at DESC, a.activity_id DESC LIMIT $7 + $8) a \
              ORDER BY a.at DESC, a.activity_id DESC LIMIT $7 OFFSET $8) a \
       JOIN dialstack.environments n USING (env_id) \
       JOIN dialstack.products p USING (product_id) \
       LEFT JOIN dialstack.session_definitions d USING (definition_id) \
      ORDER BY a.at DESC, a.activity_id DESC"
));

static TOTAL: Statement = Statement::new(concat!(
    "SELECT count(*) FROM dialstack.activity a WHERE a.env_id = ANY ($1) AND ",
    filtered!()
));

/// A page of activity, newest first, and how many rows there are on all pages.
///
/// # Errors
/// `FETCH_ACTIVITY_LOGS_FAILED` for bad arguments; `DEFINITION_NOT_FOUND`; those of [`caller::env_ids`].
pub fn list<R: FromRow>(
    [product, tag, env]: [Option<&str>; 3],
    identifier: Option<&str>,
    status: Option<&str>,
    [start_at, end_at]: [Option<TimestampWithTimeZone>; 2],
    [page, per_page]: [Option<i32>; 2],
    with_total: Option<bool>,
) -> Result<(Vec<R>, Option<i64>)> {
    let page = Page::new(page, per_page).coded(CODE)?;
    let product = required(product, "product", CODE)?;
    let with_total = required(with_total, "with_total", CODE)?;
    if status.is_some_and(|status| !matches!(status, "success" | "fail")) {
        return Err(Error::new(CODE, "the status is not known")
            .hint("A status is success or fail; leave it out for both."));
    }
    if let Some(identifier) = identifier {
        check_identifier("identifier", identifier).coded(CODE)?;
    }
    check_range(start_at, end_at, CODE)?;
    let env_ids = caller::env_ids(Level::Server, product, env)?;
    let definition_id = tag.map(|tag| definition_id(product, tag)).transpose()?;
    let arguments = vec![
        bind(env_ids),
        bind(start_at.unwrap_or_else(TimestampWithTimeZone::negative_infinity)),
        bind(end_at.unwrap_or_else(TimestampWithTimeZone::positive_infinity)),
        bind(definition_id),
        bind(status),
        bind(identifier),
    ];
    let _by_index = Setting::custom_plans();
    List { page: &PAGE, total: &TOTAL }.read(&AsOwner::enter()?, arguments, &page, with_total, R::from_row)
}

/// Refuses infinite moments, and a range that ends before it begins.
pub fn check_range(
    start_at: Option<TimestampWithTimeZone>,
    end_at: Option<TimestampWithTimeZone>,
    code: Code,
) -> Result<()> {
    for (name, at) in [("start_at", start_at), ("end_at", end_at)] {
        if at.is_some_and(|at| at.is_infinity() || at.is_neg_infinity()) {
            return Err(Error::new(code, format!("{name} must be a moment in time"))
                .hint("Leave it out to have no bound."));
        }
    }
    match (start_at.map(clock::micros), end_at.map(clock::micros)) {
        (Some(start), Some(end)) if end < start => {
            Err(Error::new(code, "end_at is before start_at").hint("Give the earlier moment as start_at."))
        }
        _ => Ok(()),
    }
}
