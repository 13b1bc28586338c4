//! Looking at what administrators did.

use super::activity_logs::check_range;
use crate::error::{Code, Coded, Result};
use crate::pg::roles::AsOwner;
use crate::pg::statements::FromRow;
use crate::service::{caller, required};
use crate::session::name::MAX_NAME;
use crate::session::{Page, check_length};
use crate::tables::administration::{self, Filter};

/// What is wrong with the arguments of `administration_log`.
pub const CODE: Code = Code::ListFailed;

/// A page of calls, newest first, and how many there are on all pages.
///
/// # Errors
/// `LIST_FAILED` for bad arguments; `PERMISSION_DENIED` with an API key.
pub fn list<R: FromRow>(
    filter: &Filter<'_>,
    page: Option<i32>,
    per_page: Option<i32>,
    with_total: Option<bool>,
) -> Result<(Vec<R>, Option<i64>)> {
    caller::without_key()?;
    let page = Page::new(page, per_page).coded(CODE)?;
    let with_total = required(with_total, "with_total", CODE)?;
    check_range(filter.start_at, filter.end_at, CODE)?;
    // Longer ones name nothing, and are not copied into the plan. What they name may be gone by now.
    for (name, given) in [("product", filter.product), ("actor", filter.actor), ("function", filter.function)]
    {
        check_length(name, given.unwrap_or_default(), MAX_NAME).coded(CODE)?;
    }
    administration::list(&AsOwner::enter()?, filter, &page, with_total)
}
