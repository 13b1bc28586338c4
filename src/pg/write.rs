//! Inserting a row directly, as the server does into its own catalogues: no statement, so nothing of the row can
//! come into a log; no trigger, no default, no check.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::scan;
use crate::pg::statements::must_be_able_to_write;
use crate::pg::table::Table;

/// Adds a row with these values of the declared columns, in their order; columns that others added are NULL. Unique
/// indexes are kept. What follows in the transaction sees the row.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where the table is not as the extension made it. Raises 25006 where nothing can be
/// written.
///
/// # Panics
/// For values of other types than those of the columns.
pub fn insert<R: Table>(row: &[DatumWithOid<'_>]) -> Result<()> {
    must_be_able_to_write();
    let table = scan::open::<R>(pg_sys::RowExclusiveLock)?;
    let declared = R::COLUMNS.iter().map(|(_, type_oid)| *type_oid);
    assert!(row.iter().map(DatumWithOid::oid).eq(declared), "each value has the type of its column");
    let description = table.columns();
    let mut values = vec![pg_sys::Datum::null(); description.len()];
    let mut nulls = vec![true; description.len()];
    for (n, value) in row.iter().enumerate() {
        if let Some(value) = value.datum() {
            values[n] = value.sans_lifetime();
            nulls[n] = false;
        }
    }
    // SAFETY: both arrays have an entry a column, and each value has the type of its column, as the table was checked
    // to be declared. The table is locked for writing.
    unsafe {
        let tuple = pg_sys::heap_form_tuple(description.as_ptr(), values.as_mut_ptr(), nulls.as_mut_ptr());
        pg_sys::CatalogTupleInsert(table.as_ptr(), tuple);
        pg_sys::CommandCounterIncrement();
    }
    Ok(())
}
