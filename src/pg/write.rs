//! Adding a row as the server adds one to its catalogues, for values that must not be in any statement.

use pgrx::datum::DatumWithOid;
use pgrx::{PgTupleDesc, pg_sys};

use crate::error::Result;
use crate::pg::relcache::{self, Rel};
use crate::pg::scan::OpenRelation;
use crate::pg::statements::must_be_able_to_write;

/// Adds a row and its index entries: a value for each column, in order. Unique indexes are respected; no
/// trigger fires and no constraint is checked.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where the table has other columns.
pub fn insert(rel: Rel, values: &[DatumWithOid<'_>]) -> Result<()> {
    must_be_able_to_write();
    let relation = OpenRelation::open(rel, pg_sys::RowExclusiveLock)?;
    // SAFETY: an open relation has a row descriptor, which lives as long as it is open and is only read here.
    let columns = unsafe { PgTupleDesc::from_pg_unchecked((*relation.0).rd_att) };
    let fits = columns.len() == values.len()
        && (0..columns.len()).all(|n| {
            let column = columns.get(n);
            column.is_some_and(|column| column.atttypid == values[n].oid())
        });
    if !fits {
        return Err(relcache::altered());
    }
    let datum = |value: &DatumWithOid<'_>| value.datum().map(|datum| datum.sans_lifetime());
    let mut nulls: Vec<bool> = values.iter().map(|value| datum(value).is_none()).collect();
    let mut datums: Vec<_> = values
        .iter()
        .map(|value| datum(value).unwrap_or(pg_sys::Datum::null()))
        .collect();
    // SAFETY: both arrays have an entry for each column, of its type. The row is a copy of them, which is freed
    // once.
    unsafe {
        let row_type = (*relation.0).rd_att;
        let row = pg_sys::heap_form_tuple(row_type, datums.as_mut_ptr(), nulls.as_mut_ptr());
        pg_sys::CatalogTupleInsert(relation.0, row);
        pg_sys::heap_freetuple(row);
        // What follows in this transaction sees the row.
        pg_sys::CommandCounterIncrement();
    }
    Ok(())
}
