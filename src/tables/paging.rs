//! Lists that are shown in pages.

use pgrx::datum::DatumWithOid;

use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Columns, Statement, bind};
use crate::session::Page;

/// A list: what shows a page of it, and what counts all of it. Both take the same parameters, the first also how many
/// rows to show and how many to skip, behind the others.
pub struct List {
    pub page: &'static Statement,
    pub total: &'static Statement,
}

impl List {
    /// A page of the list and, if that is asked for, how many rows there are on all pages.
    pub fn read<T>(
        &self,
        owner: &AsOwner,
        mut arguments: Vec<DatumWithOid<'_>>,
        page: &Page,
        with_total: bool,
        read: impl Fn(&Columns<'_, '_>) -> Result<T>,
    ) -> Result<(Vec<T>, Option<i64>)> {
        let total = with_total.then(|| self.total.count(owner, &arguments)).transpose()?;
        arguments.extend([bind(page.limit), bind(page.offset)]);
        Ok((self.page.read(owner, &arguments, read)?, total))
    }
}
