//! Inserting a row directly, as the server does into its own catalogues: no statement, so nothing of the row can
//! come into a log; no trigger, no default, no check.

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::scan::OpenTable;
use crate::pg::statements::must_be_able_to_write;
use crate::pg::table::{Assignment, Table};

/// Adds a row with these values; columns that are not named are NULL. Unique indexes are kept. What follows in
/// the transaction sees the row.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where the table is not as the extension made it. Raises 25006 where nothing can be
/// written.
pub fn insert<R: Table>(row: impl IntoIterator<Item = Assignment<R>>) -> Result<()> {
    must_be_able_to_write();
    let table = OpenTable::<R>::open(pg_sys::RowExclusiveLock)?;
    // SAFETY: an open table has a row descriptor, which its lock keeps as it is.
    let (description, columns) = unsafe {
        let description = (*table.relation).rd_att;
        (description, usize::try_from((*description).natts).unwrap_or_default())
    };
    let mut values = vec![pg_sys::Datum::null(); columns];
    let mut nulls = vec![true; columns];
    for assignment in row {
        let n = usize::from(assignment.number.unsigned_abs()) - 1;
        if let Some(value) = assignment.value {
            values[n] = value;
            nulls[n] = false;
        }
    }
    // SAFETY: both arrays have an entry a column, and each value has the type of its column: an assignment is
    // made by a typed column, and the table was checked against its declaration. The table is locked for writing.
    unsafe {
        let tuple = pg_sys::heap_form_tuple(description, values.as_mut_ptr(), nulls.as_mut_ptr());
        pg_sys::CatalogTupleInsert(table.relation, tuple);
        pg_sys::CommandCounterIncrement();
    }
    Ok(())
}
