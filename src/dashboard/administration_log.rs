//! Looking at what administrators did.

use pgrx::datum::TimestampWithTimeZone;

use super::activity_logs::check_range;
use crate::error::{Code, Coded, Result};
use crate::pg::roles::AsOwner;
use crate::pg::statements::FromRow;
use crate::service::{caller, required};
use crate::session::name::MAX_NAME;
use crate::session::{Page, check_length};
use crate::tables::administration::{self, Filter};

const CODE: Code = Code::ListFailed;

/// The arguments of `administration_log`.
pub struct Asked<'a> {
    pub product: Option<&'a str>,
    pub actor: Option<&'a str>,
    pub function: Option<&'a str>,
    pub start_at: Option<TimestampWithTimeZone>,
    pub end_at: Option<TimestampWithTimeZone>,
    pub maintenance: Option<bool>,
    pub page: Option<i32>,
    pub per_page: Option<i32>,
    pub with_total: Option<bool>,
}

/// A page of calls, newest first, and how many there are on all pages. Those of `maintain`, which come by the clock,
/// only where they are asked for.
///
/// # Errors
/// `LIST_FAILED` for bad arguments; `PERMISSION_DENIED` with an API key.
pub fn list<R: FromRow>(call: &Asked<'_>) -> Result<(Vec<R>, Option<i64>)> {
    caller::without_key()?;
    let page = Page::new(call.page, call.per_page).coded(CODE)?;
    let maintenance = required(call.maintenance, "maintenance", CODE)?;
    let with_total = required(call.with_total, "with_total", CODE)?;
    check_range(call.start_at, call.end_at, CODE)?;
    // Longer ones name nothing, and are not copied into the plan. What they name may be gone by now.
    for (name, given) in [("product", call.product), ("actor", call.actor), ("function", call.function)] {
        check_length(name, given.unwrap_or_default(), MAX_NAME).coded(CODE)?;
    }
    let filter = Filter {
        product: call.product,
        actor: call.actor,
        function: call.function,
        start_at: call.start_at,
        end_at: call.end_at,
        maintenance: maintenance || call.function == Some("maintain"),
    };
    let owner = AsOwner::enter()?;
    let calls = administration::list(&owner, &filter, &page)?;
    let total = with_total.then(|| administration::count(&owner, &filter));
    Ok((calls, total.transpose()?))
}
