//! Reading rows of our tables directly, with the catalogue snapshot.
//!
//! A scan without a snapshot of its own sees the latest committed state and our own writes, at
//! every isolation level, in parallel workers and on standbys. It skips privileges and row-level
//! security: what a caller may see is decided above.

use pgrx::{FromDatum, pg_sys};

use super::relations::{self, Rel};
use crate::error::Result;

/// Widest table that is read this way.
const MAX_COLUMNS: usize = 32;

/// One column of a scan's condition: `column = value`.
#[derive(Clone, Copy)]
pub struct Key {
    column: i16,
    equals: pg_sys::RegProcedure,
    value: pg_sys::Datum,
}

impl Key {
    /// `column = value` for an `integer` column.
    pub fn int4(column: i16, value: i32) -> Self {
        Key {
            column,
            equals: pg_sys::F_INT4EQ.into(),
            value: pg_sys::Datum::from(value),
        }
    }

    /// `column = value` for a `uuid` column.
    pub fn uuid(column: i16, value: &[u8; 16]) -> Self {
        let value = pg_sys::Datum::from(value.as_ptr());
        Key {
            column,
            equals: pg_sys::F_UUID_EQ.into(),
            value,
        }
    }

    /// `column = value` for a `text` column with collation "C". Allocates in the current context.
    pub fn text(column: i16, value: &str) -> Self {
        let value = pgrx::IntoDatum::into_datum(value).unwrap_or(pg_sys::Datum::null());
        Key {
            column,
            equals: pg_sys::F_TEXTEQ.into(),
            value,
        }
    }
}

/// A relation, open and locked against structural change.
struct OpenRelation(pg_sys::Relation);

impl OpenRelation {
    fn open(rel: Rel) -> Result<Self> {
        let oid = relations::oid(rel)?;
        // SAFETY: a relation that vanished meanwhile raises an ordinary error.
        Ok(OpenRelation(unsafe {
            pg_sys::table_open(oid, pg_sys::AccessShareLock as i32)
        }))
    }
}

impl Drop for OpenRelation {
    fn drop(&mut self) {
        // While unwinding, the transaction's abort releases it.
        if !std::thread::panicking() {
            // SAFETY: opened by us, closed once. The lock stays until the transaction ends, as for
            // any statement that read the table.
            unsafe { pg_sys::table_close(self.0, pg_sys::NoLock as i32) }
        }
    }
}

/// A running scan.
struct Scan {
    // Declared first: it must end before the relation is closed.
    descriptor: pg_sys::SysScanDesc,
    relation: OpenRelation,
}

impl Drop for Scan {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: begun by us, ended once, before `relation` is dropped.
            unsafe { pg_sys::systable_endscan(self.descriptor) }
        }
    }
}

/// A row, as long as its scan stands on it.
pub struct Row<'scan> {
    values: [pg_sys::Datum; MAX_COLUMNS],
    nulls: [bool; MAX_COLUMNS],
    scan: std::marker::PhantomData<&'scan ()>,
}

impl Row<'_> {
    /// The value of a column, copied; `None` for NULL. Columns count from 1.
    ///
    /// `T` must be the Rust type of the column's SQL type.
    pub fn get<T: FromDatum>(&self, column: i16) -> Option<T> {
        let index = usize::try_from(column - 1).ok()?;
        let null = *self.nulls.get(index)?;
        // SAFETY: the datum belongs to a row that the scan still holds; the caller names the type
        // of the column, which the row's own table defines.
        unsafe { T::from_datum(self.values[index], null) }
    }
}

/// Calls `visit` with each row of `table` that matches all `keys` (at most 3), through `index` or,
/// without one, through the whole table. Stops early when `visit` answers `false`.
///
/// # Errors
/// Those of looking the relations up; `visit` passes its own results out through what it captures.
pub fn each(
    table: Rel,
    index: Option<Rel>,
    keys: &[Key],
    mut visit: impl FnMut(&Row<'_>) -> bool,
) -> Result<()> {
    let index = index.map(relations::oid).transpose()?;
    let relation = OpenRelation::open(table)?;
    let mut scan_keys = [pg_sys::ScanKeyData::default(); 3];
    debug_assert!(keys.len() <= scan_keys.len());
    for (slot, key) in scan_keys.iter_mut().zip(keys) {
        // SAFETY: fills the slot with one of the built-in equality functions.
        unsafe {
            pg_sys::ScanKeyInit(
                slot,
                key.column,
                pg_sys::BTEqualStrategyNumber as u16,
                key.equals,
                key.value,
            );
        }
    }
    // SAFETY: relation and index are open and belong together; the keys outlive the scan.
    let descriptor = unsafe {
        pg_sys::systable_beginscan(
            relation.0,
            index.unwrap_or(pg_sys::InvalidOid),
            index.is_some(),
            std::ptr::null_mut(),
            keys.len() as i32,
            scan_keys.as_mut_ptr(),
        )
    };
    let scan = Scan {
        descriptor,
        relation,
    };
    loop {
        // SAFETY: the scan is running.
        let tuple = unsafe { pg_sys::systable_getnext(scan.descriptor) };
        if tuple.is_null() {
            return Ok(());
        }
        let mut row = Row {
            values: [pg_sys::Datum::null(); MAX_COLUMNS],
            nulls: [true; MAX_COLUMNS],
            scan: std::marker::PhantomData,
        };
        // SAFETY: the arrays hold MAX_COLUMNS entries and no table of ours is wider.
        unsafe {
            let descriptor = (*scan.relation.0).rd_att;
            debug_assert!((*descriptor).natts as usize <= MAX_COLUMNS);
            pg_sys::heap_deform_tuple(
                tuple,
                descriptor,
                row.values.as_mut_ptr(),
                row.nulls.as_mut_ptr(),
            );
        }
        if !visit(&row) {
            return Ok(());
        }
    }
}

/// The first matching row, made into a value.
pub fn first<T>(
    table: Rel,
    index: Option<Rel>,
    keys: &[Key],
    read: impl Fn(&Row<'_>) -> Option<T>,
) -> Result<Option<T>> {
    let mut found = None;
    each(table, index, keys, |row| {
        found = read(row);
        false
    })?;
    Ok(found)
}
