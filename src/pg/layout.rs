//! What our relations must be like, so that their rows can be read and written past SQL.
//!
//! The server trusts whoever reads a table directly to know the types of its columns. An administrator
//! can alter them, and memory that is read as another type than it holds is a crash at best.

use pgrx::{PgTupleDesc, pg_sys};

use crate::error::Result;
use crate::pg::relcache::{self, Layout, Rel};

/// Makes sure that a relation, which the caller has locked under this id, is as it must be. Costs
/// nothing until there is news of it.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where somebody has altered it.
pub fn check(rel: Rel, locked: pg_sys::Oid) -> Result<()> {
    if relcache::is_checked(rel, locked) {
        return Ok(());
    }
    if !rel.layout().fits(locked) {
        return Err(relcache::altered());
    }
    relcache::note_checked(rel, locked);
    Ok(())
}

impl Layout {
    /// Whether a relation is like that. The caller has locked it, so that it stays as it is.
    fn fits(self, relation: pg_sys::Oid) -> bool {
        // SAFETY: pins an entry of the relation cache, or answers NULL for what was dropped. The caller's
        // lock keeps the entry as it is.
        let entry = unsafe { pg_sys::RelationIdGetRelation(relation) };
        if entry.is_null() {
            return false;
        }
        // SAFETY: the entry is pinned.
        let fits = unsafe {
            match self {
                Layout::Table(types) => table_fits(entry, types),
                Layout::Index(table, columns) => index_fits(entry, table, columns),
                Layout::Any => true,
            }
        };
        // SAFETY: pinned above, unpinned once; an error unpins it with the transaction's resources.
        unsafe { pg_sys::RelationClose(entry) };
        fits
    }

    /// The type of a column of a table; columns count from 1.
    fn column_type(self, column: i16) -> Option<pg_sys::Oid> {
        let Layout::Table(types) = self else {
            return None;
        };
        types.get(usize::try_from(column - 1).ok()?).copied()
    }
}

/// # Safety
/// The entry is pinned.
unsafe fn has_kind(relation: pg_sys::Relation, kind: u8) -> bool {
    // SAFETY: an entry has its row of pg_class.
    unsafe { (*(*relation).rd_rel).relkind.cast_unsigned() == kind }
}

/// # Safety
/// The entry is pinned.
unsafe fn table_fits(relation: pg_sys::Relation, types: &[pg_sys::Oid]) -> bool {
    // SAFETY: an entry has a row descriptor, which lives as long as it is pinned and is only read here.
    let columns = unsafe { PgTupleDesc::from_pg_unchecked((*relation).rd_att) };
    // SAFETY: as the caller promises.
    let is_table = unsafe { has_kind(relation, pg_sys::RELKIND_RELATION) };
    // A column that was dropped has no type.
    is_table
        && types
            .iter()
            .enumerate()
            .all(|(n, own)| columns.get(n).is_some_and(|column| column.atttypid == *own))
}

/// # Safety
/// The entry is pinned.
unsafe fn index_fits(relation: pg_sys::Relation, table: Rel, columns: &[i16]) -> bool {
    // SAFETY: an entry of an index has its row of pg_index, which ends with the numbers of its columns,
    // and for each key column the type and the collation that it compares by.
    unsafe {
        if !has_kind(relation, pg_sys::RELKIND_INDEX) {
            return false;
        }
        let index = (*relation).rd_index;
        let keys = usize::try_from((*index).indnkeyatts).unwrap_or_default();
        let is_like_its_table = |(n, column): (usize, &i16)| {
            let Some(column_type) = table.layout().column_type(*column) else {
                return false;
            };
            // Texts are looked up by their bytes.
            let collated = column_type != pg_sys::TEXTOID
                || *(*relation).rd_indcollation.add(n) == pg_sys::C_COLLATION_OID;
            *(*relation).rd_opcintype.add(n) == column_type && collated
        };
        (*(*relation).rd_rel).relam == pg_sys::BTREE_AM_OID
            && relcache::oid(table).is_ok_and(|table| (*index).indrelid == table)
            && (*index).indisvalid
            && keys == columns.len()
            && (*index).indkey.values.as_slice(keys) == columns
            && pg_sys::RelationGetIndexPredicate(relation).is_null()
            && columns.iter().enumerate().all(is_like_its_table)
    }
}
