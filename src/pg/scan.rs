//! Reading rows of our tables directly, with the catalogue snapshot.
//!
//! A scan without a snapshot of its own sees the latest committed state and our own writes, at
//! every isolation level, in parallel workers and on standbys. It skips privileges and row-level
//! security: what a caller may see is decided above.

use std::marker::PhantomData;

use pgrx::{FromDatum, IntoDatum, pg_sys};

use crate::error::{Code, Error, Result};
use crate::pg::datum::varlena::Varlena;
use crate::pg::layout;
use crate::pg::relcache::{self, Rel};
use crate::pg::statements::must_be_able_to_write;

/// Widest table that is read this way, columns counted that somebody dropped.
const MAX_COLUMNS: usize = 64;

/// Most columns in a condition.
const MAX_KEYS: usize = 3;

/// One column of a scan's condition: `column = value`.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    column: i16,
    equals: pg_sys::RegProcedure,
    value: pg_sys::Datum,
    borrowed: PhantomData<&'a ()>,
}

impl<'a> Key<'a> {
    fn new(column: i16, equals: u32, value: pg_sys::Datum) -> Self {
        Key {
            column,
            equals: equals.into(),
            value,
            borrowed: PhantomData,
        }
    }

    /// `column = value` for an `integer` column.
    pub fn int4(column: i16, value: i32) -> Self {
        Key::new(column, pg_sys::F_INT4EQ, pg_sys::Datum::from(value))
    }

    /// `column = value` for a `uuid` column.
    pub fn uuid(column: i16, value: &'a [u8; 16]) -> Self {
        Key::new(
            column,
            pg_sys::F_UUID_EQ,
            pg_sys::Datum::from(value.as_ptr()),
        )
    }

    /// `column = value` for a `bytea` column. Allocates in the current context.
    pub fn bytea(column: i16, value: &[u8]) -> Self {
        let value = value.into_datum().unwrap_or(pg_sys::Datum::null());
        Key::new(column, pg_sys::F_BYTEAEQ, value)
    }

    /// `column = value` for a `text` column with collation "C". Allocates in the current context.
    pub fn text(column: i16, value: &str) -> Self {
        let value = value.into_datum().unwrap_or(pg_sys::Datum::null());
        Key::new(column, pg_sys::F_TEXTEQ, value)
    }
}

/// Locks a relation against structural change until the transaction ends, as any statement that
/// reads it does. What was dropped, replaced or altered before the lock was ours is looked up again.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where the relation is not as the extension made it.
fn lock(rel: Rel, mode: u32) -> Result<pg_sys::Oid> {
    loop {
        let oid = relcache::oid(rel)?;
        // SAFETY: locking an object id is allowed whether or not it still exists; getting the lock
        // takes in the news of what happened to it.
        unsafe { pg_sys::LockRelationOid(oid, mode as i32) };
        if relcache::oid(rel)? == oid {
            layout::check(rel, oid)?;
            return Ok(oid);
        }
        // SAFETY: locked just above.
        unsafe { pg_sys::UnlockRelationOid(oid, mode as i32) };
    }
}

/// Locks a table for writing until the transaction ends: for flows whose first statement only reads or locks
/// rows. That locks indexes too, and a REINDEX, which locks the table against writing and then its indexes,
/// would wait for those while the flow waits for the table.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where the table is not as the extension made it.
pub fn lock_for_writing(rel: Rel) -> Result<()> {
    must_be_able_to_write();
    lock(rel, pg_sys::RowExclusiveLock).map(|_| ())
}

/// An open relation, locked.
pub(crate) struct OpenRelation(pub(crate) pg_sys::Relation);

impl OpenRelation {
    pub(crate) fn open(rel: Rel, mode: u32) -> Result<Self> {
        let oid = lock(rel, mode)?;
        // SAFETY: it exists, and can't be dropped while it is locked.
        let open = OpenRelation(unsafe { pg_sys::table_open(oid, pg_sys::NoLock as i32) });
        // SAFETY: an open relation has a row descriptor.
        let columns = unsafe { (*(*open.0).rd_att).natts };
        if usize::try_from(columns).is_ok_and(|columns| columns <= MAX_COLUMNS) {
            return Ok(open);
        }
        Err(Error::new(
            Code::JwtNotAvailable,
            "a table of the extension has columns that are not its own",
        )
        .hint("Don't add columns to the tables in schema dialstack."))
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

/// A locked index, for one scan. Unlocked after it, unlike a table: else a transaction that first reads
/// and then writes and a REINDEX, which locks the table against writing and then its indexes, would
/// wait for each other.
struct LockedIndex(pg_sys::Oid);

impl LockedIndex {
    fn lock(rel: Rel) -> Result<Self> {
        lock(rel, pg_sys::AccessShareLock).map(LockedIndex)
    }
}

impl Drop for LockedIndex {
    fn drop(&mut self) {
        // While unwinding, the transaction's abort unlocks it.
        if !std::thread::panicking() {
            // SAFETY: locked by us, unlocked once; no scan goes through it any more.
            unsafe { pg_sys::UnlockRelationOid(self.0, pg_sys::AccessShareLock as i32) }
        }
    }
}

/// A running scan.
struct Scan {
    // Declared first: it must end before the relation is closed.
    running: pg_sys::SysScanDesc,
    relation: OpenRelation,
}

impl Scan {
    /// Begins a scan for the rows that match all keys.
    fn begin(relation: OpenRelation, index: Option<pg_sys::Oid>, keys: &[Key<'_>]) -> Self {
        let mut scan_keys = [pg_sys::ScanKeyData::default(); MAX_KEYS];
        debug_assert!(keys.len() <= MAX_KEYS);
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
        // SAFETY: relation and index are locked and belong together; the scan copies the keys, and
        // what they point to outlives it by their lifetime.
        let running = unsafe {
            pg_sys::systable_beginscan(
                relation.0,
                index.unwrap_or(pg_sys::InvalidOid),
                index.is_some(),
                std::ptr::null_mut(),
                keys.len().min(MAX_KEYS) as i32,
                scan_keys.as_mut_ptr(),
            )
        };
        Scan { running, relation }
    }

    /// The next row.
    fn next(&mut self) -> Option<Row<'_>> {
        // SAFETY: the scan is running.
        let tuple = unsafe { pg_sys::systable_getnext(self.running) };
        if tuple.is_null() {
            return None;
        }
        let mut row = Row {
            tuple,
            values: [pg_sys::Datum::null(); MAX_COLUMNS],
            nulls: [true; MAX_COLUMNS],
            scan: PhantomData,
        };
        // SAFETY: the arrays hold MAX_COLUMNS entries, and an OpenRelation has no more columns.
        unsafe {
            pg_sys::heap_deform_tuple(
                tuple,
                (*self.relation.0).rd_att,
                row.values.as_mut_ptr(),
                row.nulls.as_mut_ptr(),
            );
        }
        Some(row)
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: begun by us, ended once, before `relation` is dropped.
            unsafe { pg_sys::systable_endscan(self.running) }
        }
    }
}

/// A row, as long as its scan stands on it.
pub struct Row<'scan> {
    tuple: pg_sys::HeapTuple,
    values: [pg_sys::Datum; MAX_COLUMNS],
    nulls: [bool; MAX_COLUMNS],
    scan: PhantomData<&'scan ()>,
}

impl Row<'_> {
    /// Whether this version of the row was made by the running transaction, which may yet undo it.
    pub fn in_progress(&self) -> bool {
        // SAFETY: the scan still holds the tuple.
        unsafe {
            let made_by = (*(*self.tuple).t_data).t_choice.t_heap.t_xmin;
            pg_sys::TransactionIdIsCurrentTransactionId(made_by)
        }
    }

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

    /// The value of a column whose type is of variable length, in the server's own form.
    pub fn kept(&self, column: i16) -> Option<Varlena> {
        let index = usize::try_from(column - 1).ok()?;
        if *self.nulls.get(index)? {
            return None;
        }
        // SAFETY: as for `get`; it is not NULL.
        Some(unsafe { Varlena::copy(self.values[index]) })
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
    keys: &[Key<'_>],
    mut visit: impl FnMut(&Row<'_>) -> bool,
) -> Result<()> {
    let relation = OpenRelation::open(table, pg_sys::AccessShareLock)?;
    let index = index.map(LockedIndex::lock).transpose()?;
    let mut scan = Scan::begin(relation, index.as_ref().map(|index| index.0), keys);
    while let Some(row) = scan.next() {
        if !visit(&row) {
            break;
        }
    }
    Ok(())
}

/// The first matching row, made into a value.
pub fn first<T>(
    table: Rel,
    index: Option<Rel>,
    keys: &[Key<'_>],
    read: impl Fn(&Row<'_>) -> Option<T>,
) -> Result<Option<T>> {
    let mut found = None;
    each(table, index, keys, |row| {
        found = read(row);
        false
    })?;
    Ok(found)
}
