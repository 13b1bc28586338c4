//! Lists that are shown in pages.

use pgrx::datum::DatumWithOid;

use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Columns, Statement, bind};
use crate::session::Page;

/// A page of a list, which `shown` shows, and if that is asked for, how many rows there are on all pages, which `counted`
/// counts. Both take the same parameters, the first also how many rows to show and how many to skip, behind the others.
pub fn read<T>(
    owner: &AsOwner,
    [shown, counted]: [&Statement; 2],
    mut arguments: Vec<DatumWithOid<'_>>,
    page: &Page,
    with_total: bool,
    read: impl Fn(&Columns<'_, '_>) -> Result<T>,
) -> Result<(Vec<T>, Option<i64>)> {
    let total = with_total.then(|| counted.count(owner, &arguments)).transpose()?;
    arguments.extend([bind(page.limit), bind(page.offset)]);
    Ok((shown.read(owner, &arguments, read)?, total))
}
