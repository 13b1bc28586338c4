//! Looking at activity, and at what administrators did.

use pgrx::datum::TimestampWithTimeZone;

use super::places::definition_id;
use crate::error::{Code, Coded, Error, Result};
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::service::level::Level;
use crate::service::{caller, required};
use crate::session::name::MAX_NAME;
use crate::session::{Page, check_identifier, check_length};
use crate::tables::paging;

/// What the log is narrowed by, beside the environment.
macro_rules! of_activity {
    () => {
        "a.at >= $2 AND a.at < $3 AND ($4 IS NULL OR a.definition_id = $4) \
         AND ($5 IS NULL OR a.status = $5) AND ($6 IS NULL OR a.subject = $6)"
    };
}

/// Each environment gives its newest rows in the order of the index; the page is among those, and only its rows get
/// their names.
static ACTIVITY_PAGE: Statement = Statement::new(concat!(
    "SELECT a.activity_id, a.at, p.product, n.env, d.tag, a.kind, a.operation, a.status, \
            a.reason, a.session_id, a.subject, a.latency_us, a.ip, a.user_agent, \
            nullif(jsonb_strip_nulls(jsonb_build_object( \
                'account', a.account, 'api_key_id', a.api_key_id)), '{}') \
       FROM (SELECT a.* FROM unnest($1) AS e (env_id) \
              CROSS JOIN LATERAL ( \
                    SELECT * FROM dialstack.activity a \
                     WHERE a.env_id = e.env_id AND ",
    of_activity!(),
    " ORDER BY a.at DESC, a.activity_id DESC LIMIT $7 + $8) a \
              ORDER BY a.at DESC, a.activity_id DESC LIMIT $7 OFFSET $8) a \
       JOIN dialstack.environments n USING (env_id) \
       JOIN dialstack.products p USING (product_id) \
       LEFT JOIN dialstack.session_definitions d USING (definition_id) \
      ORDER BY a.at DESC, a.activity_id DESC"
));

static ACTIVITY_TOTAL: Statement = Statement::new(concat!(
    "SELECT count(*) FROM dialstack.activity a WHERE a.env_id = ANY ($1) AND ",
    of_activity!()
));

/// A page of activity, newest first, and how many rows there are on all pages.
///
/// # Errors
/// `FETCH_ACTIVITY_LOGS_FAILED` for bad arguments; `DEFINITION_NOT_FOUND`; those of [`caller::env_ids`].
pub fn activity<R: FromRow>(
    [product, tag, env]: [Option<&str>; 3],
    identifier: Option<&str>,
    status: Option<&str>,
    time: [Option<TimestampWithTimeZone>; 2],
    [page, per_page]: [Option<i32>; 2],
    with_total: Option<bool>,
) -> Result<(Vec<R>, Option<i64>)> {
    let code = Code::FetchActivityLogsFailed;
    let page = Page::new(page, per_page).coded(code)?;
    let product = required(product, "product", code)?;
    let with_total = required(with_total, "with_total", code)?;
    if status.is_some_and(|status| !matches!(status, "success" | "fail")) {
        return Err(Error::new(code, "the status is not known")
            .hint("A status is success or fail; leave it out for both."));
    }
    check_identifier("identifier", identifier).coded(code)?;
    let [start_at, end_at] = bounds(time, code)?;
    let env_ids = caller::env_ids(Level::Server, product, env)?;
    let definition_id = tag.map(|tag| definition_id(product, tag)).transpose()?;
    let arguments = vec![
        bind(env_ids),
        bind(start_at),
        bind(end_at),
        bind(definition_id),
        bind(status),
        bind(identifier),
    ];
    let _by_index = Setting::custom_plans();
    let list = [&ACTIVITY_PAGE, &ACTIVITY_TOTAL];
    paging::read(&AsOwner::enter()?, list, arguments, &page, with_total, R::from_row)
}

macro_rules! of_administration {
    () => {
        " FROM dialstack.administration \
         WHERE at >= $1 AND at < $2 \
           AND ($3 IS NULL OR target ->> 'product' = $3 COLLATE \"C\" \
                OR function = 'configuration_apply' AND EXISTS ( \
                    SELECT FROM jsonb_array_elements_text(effect -> 'name') AS changed \
                     WHERE split_part(changed, '/', 1) = $3 COLLATE \"C\")) \
           AND ($4 IS NULL OR session_role = $4 OR acting_role = $4) \
           AND ($5 IS NULL OR function = $5) \
           AND ($6 OR function <> 'maintain')"
    };
}

static ADMINISTRATION_PAGE: Statement = Statement::new(concat!(
    "SELECT administration_id, at, session_role, acting_role, function, target, effect, client_addr",
    of_administration!(),
    " ORDER BY at DESC, administration_id DESC LIMIT $7 OFFSET $8"
));

static ADMINISTRATION_TOTAL: Statement = Statement::new(concat!("SELECT count(*)", of_administration!()));

/// A page of calls, newest first, and how many there are on all pages: of those that named the product or changed something
/// in it by a document, of the actor, which is the role that logged in or that called, and of the function, as far as they
/// are given. Calls of `maintain`, which come by the clock, are meant where it is named or with `maintenance`.
///
/// # Errors
/// `LIST_FAILED` for bad arguments; `PERMISSION_DENIED` with an API key.
pub fn administration<R: FromRow>(
    [product, actor, function]: [Option<&str>; 3],
    time: [Option<TimestampWithTimeZone>; 2],
    maintenance: Option<bool>,
    [page, per_page]: [Option<i32>; 2],
    with_total: Option<bool>,
) -> Result<(Vec<R>, Option<i64>)> {
    let code = Code::ListFailed;
    caller::without_key()?;
    let page = Page::new(page, per_page).coded(code)?;
    let maintenance = required(maintenance, "maintenance", code)?;
    let with_total = required(with_total, "with_total", code)?;
    let [start_at, end_at] = bounds(time, code)?;
    // Longer ones name nothing, and are not copied into the plan. What they name may be gone by now.
    for (name, given) in [("product", product), ("actor", actor), ("function", function)] {
        check_length(name, given.unwrap_or_default(), MAX_NAME).coded(code)?;
    }
    let arguments = vec![
        bind(start_at),
        bind(end_at),
        bind(product),
        bind(actor),
        bind(function),
        bind(maintenance || function == Some("maintain")),
    ];
    let _by_index = Setting::custom_plans();
    let list = [&ADMINISTRATION_PAGE, &ADMINISTRATION_TOTAL];
    paging::read(&AsOwner::enter()?, list, arguments, &page, with_total, R::from_row)
}

/// The moments that bound a list, infinite where none is given. Refuses infinite ones that are given, and a range that ends
/// before it begins.
fn bounds(
    [start_at, end_at]: [Option<TimestampWithTimeZone>; 2],
    code: Code,
) -> Result<[TimestampWithTimeZone; 2]> {
    for (name, at) in [("start_at", start_at), ("end_at", end_at)] {
        if at.is_some_and(|at| at.is_infinity() || at.is_neg_infinity()) {
            return Err(Error::new(code, format!("{name} must be a moment in time"))
                .hint("Leave it out to have no bound."));
        }
    }
    let start_at = start_at.unwrap_or_else(TimestampWithTimeZone::negative_infinity);
    let end_at = end_at.unwrap_or_else(TimestampWithTimeZone::positive_infinity);
    if end_at < start_at {
        return Err(
            Error::new(code, "end_at is before start_at").hint("Give the earlier moment as start_at.")
        );
    }
    Ok([start_at, end_at])
}
