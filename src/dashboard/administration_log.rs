//! Looking at what administrators did.

use pgrx::datum::TimestampWithTimeZone;

use super::activity_logs::check_range;
use crate::error::{Code, Coded, Result};
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::service::{caller, required};
use crate::session::name::MAX_NAME;
use crate::session::{Page, check_length};
use crate::tables::paging::List;

const CODE: Code = Code::ListFailed;

macro_rules! filtered {
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

static PAGE: Statement = Statement::new(concat!(
    "SELECT administration_id, at, session_role, acting_role, function, target, effect, client_addr",
    filtered!(),
    " ORDER BY at DESC, administration_id DESC LIMIT $7 OFFSET $8"
));

static TOTAL: Statement = Statement::new(concat!("SELECT count(*)", filtered!()));

/// A page of calls, newest first, and how many there are on all pages: of those that named the product
/// or changed something in it by a document, of the actor, which
/// is the role that logged in or that called, and of the function, as far as they are given. Calls of `maintain`, which
/// come by the clock, are meant where it is named or with `maintenance`.
///
/// # Errors
/// `LIST_FAILED` for bad arguments; `PERMISSION_DENIED` with an API key.
pub fn list<R: FromRow>(
    [product, actor, function]: [Option<&str>; 3],
    [start_at, end_at]: [Option<TimestampWithTimeZone>; 2],
    maintenance: Option<bool>,
    [page, per_page]: [Option<i32>; 2],
    with_total: Option<bool>,
) -> Result<(Vec<R>, Option<i64>)> {
    caller::without_key()?;
    let page = Page::new(page, per_page).coded(CODE)?;
    let maintenance = required(maintenance, "maintenance", CODE)?;
    let with_total = required(with_total, "with_total", CODE)?;
    check_range(start_at, end_at, CODE)?;
    // Longer ones name nothing, and are not copied into the plan. What they name may be gone by now.
    for (name, given) in [("product", product), ("actor", actor), ("function", function)] {
        check_length(name, given.unwrap_or_default(), MAX_NAME).coded(CODE)?;
    }
    let arguments = vec![
        bind(start_at.unwrap_or_else(TimestampWithTimeZone::negative_infinity)),
        bind(end_at.unwrap_or_else(TimestampWithTimeZone::positive_infinity)),
        bind(product),
        bind(actor),
        bind(function),
        bind(maintenance || function == Some("maintain")),
    ];
    let _by_index = Setting::custom_plans();
    List { page: &PAGE, total: &TOTAL }.read(&AsOwner::enter()?, arguments, &page, with_total, R::from_row)
}
