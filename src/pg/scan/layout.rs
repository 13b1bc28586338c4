//! Whether the relations of the extension still are as they are declared.
//!
//! The server trusts direct reads of a table to know the types of its columns. An administrator can alter
//! them, and memory that is read as another type than it holds is a crash at best.

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::catalog::relation::OpenRelation;
use crate::pg::table::{Index, IndexColumns, Table};

/// Widest table that is read directly, counting dropped columns and those that others added.
pub const MAX_COLUMNS: usize = 64;

/// Makes sure that a table, which the caller has locked under this id, has the declared columns, in their order
/// and with their types.
pub fn check_table<R: Table>(locked: pg_sys::Oid) -> Result<()> {
    let is_table = |open: &OpenRelation| open.class().relkind.cast_unsigned() == pg_sys::RELKIND_RELATION;
    let Some(table) = OpenRelation::unlocked(locked).filter(is_table) else {
        return Err(R::relation().altered("It is no table any more."));
    };
    let columns = table.columns();
    for (n, (name, type_oid)) in R::COLUMNS.iter().enumerate() {
        // A column that was dropped has no type.
        if columns.get(n).map(|column| column.atttypid) != Some(*type_oid) {
            return Err(R::altered(name, "is missing or has another type"));
        }
    }
    if columns.len() <= MAX_COLUMNS {
        return Ok(());
    }
    Err(R::relation().altered("It has too many columns that are not the extension's."))
}

/// Makes sure that an index, which the caller has locked under this id, is a valid B-tree over the declared columns.
pub fn check_index<R: Table, C: IndexColumns>(index: &Index<R, C>, locked: pg_sys::Oid) -> Result<()> {
    let table = R::relation().oid()?;
    let fits = |open: &OpenRelation| {
        // SAFETY: the pinned entry of an index has its row of pg_index, which ends with the numbers of its columns.
        unsafe {
            let row = (*open.as_ptr()).rd_index;
            let keys = usize::try_from((*row).indnkeyatts).unwrap_or_default();
            open.class().relam == pg_sys::BTREE_AM_OID
                && (*row).indrelid == table
                && (*row).indisvalid
                && (*row).indkey.values.as_slice(keys) == index.columns.numbers()
        }
    };
    let is_index = |open: &OpenRelation| open.class().relkind.cast_unsigned() == pg_sys::RELKIND_INDEX;
    if OpenRelation::unlocked(locked).filter(is_index).is_some_and(|open| fits(&open)) {
        return Ok(());
    }
    Err(index.relation.altered("It is no valid index over the columns of its declaration."))
}
