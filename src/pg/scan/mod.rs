//! Reading rows of the extension's tables directly, with the catalogue snapshot.
//!
//! A scan without a snapshot of its own sees the latest committed state and the transaction's own writes, at
//! every isolation level, in parallel workers and on standbys. It skips privileges and row-level security:
//! what a caller may see is decided by those who call this.

mod layout;

use std::marker::PhantomData;

use pgrx::pg_sys;
use pgrx::pg_sys::submodules::htup::HeapTupleHeaderGetXmin;

use self::layout::MAX_COLUMNS;
use crate::error::Result;
use crate::pg::catalog::relation::OpenRelation;
use crate::pg::relcache::Relation;
use crate::pg::server::lock_relation;
use crate::pg::statements::must_be_able_to_write;
use crate::pg::table::{Column, Index, IndexColumns, SqlType, Table};
use crate::pg::transaction;

/// Locks a relation against structural change until the transaction ends, as any statement that reads it does.
/// If it was dropped or replaced before the lock was granted, it is looked up again.
fn lock(relation: &'static Relation, mode: u32) -> Result<pg_sys::Oid> {
    loop {
        let oid = relation.oid()?;
        lock_relation(oid, mode);
        if relation.oid()? == oid {
            return Ok(oid);
        }
        // SAFETY: locked just above.
        unsafe { pg_sys::UnlockRelationOid(oid, mode as i32) };
    }
}

fn lock_table<R: Table>(mode: u32) -> Result<pg_sys::Oid> {
    let oid = lock(R::relation(), mode)?;
    R::relation().check_once(|| layout::check_table::<R>(oid))?;
    Ok(oid)
}

/// Locks a table as a statement that writes to it does, until the transaction ends: before a statement that reads
/// or locks rows which a later one changes. Without it, that and a REINDEX, which locks the table against
/// writing and then its indexes, could wait for each other.
pub fn lock_for_writing<R: Table>() -> Result<()> {
    must_be_able_to_write();
    lock_table::<R>(pg_sys::RowExclusiveLock).map(|_| ())
}

/// Opens a table and locks it until the transaction ends, as any statement that reads or writes it does.
pub(super) fn open<R: Table>(mode: u32) -> Result<OpenRelation> {
    Ok(OpenRelation::locked(lock_table::<R>(mode)?))
}

/// A locked index, for one scan. Unlocked after it, unlike a table: else a transaction that first reads and then
/// writes, and a REINDEX, which locks the table against writing and then its indexes, would wait for each other.
struct LockedIndex(pg_sys::Oid);

impl LockedIndex {
    fn lock<R: Table, C: IndexColumns>(index: &'static Index<R, C>) -> Result<Self> {
        loop {
            let locked = LockedIndex(lock(&index.relation, pg_sys::AccessShareLock)?);
            let checked = index.relation.check_once(|| layout::check_index(index, locked.0));
            // REINDEX CONCURRENTLY puts another index in its place without waiting for this lock.
            if checked.is_ok() || index.relation.oid()? == locked.0 {
                return checked.map(|()| locked);
            }
        }
    }
}

impl Drop for LockedIndex {
    fn drop(&mut self) {
        // While unwinding, the transaction's abort unlocks it.
        if !std::thread::panicking() {
            // SAFETY: locked by `lock`, unlocked once, when no scan goes through it any more.
            unsafe { pg_sys::UnlockRelationOid(self.0, pg_sys::AccessShareLock as i32) }
        }
    }
}

struct Scan<R> {
    running: pg_sys::SysScanDesc,
    // Dropped in this order, after the scan has ended.
    _index: Option<LockedIndex>,
    table: OpenRelation,
    of: PhantomData<fn() -> R>,
}

impl<R: Table> Scan<R> {
    fn whole() -> Result<Self> {
        Ok(Self::begin(open::<R>(pg_sys::AccessShareLock)?, None, &mut []))
    }

    /// Begins a scan through an index for the rows that match all keys.
    fn through<C: IndexColumns>(
        index: &'static Index<R, C>,
        keys: &mut [pg_sys::ScanKeyData],
    ) -> Result<Self> {
        let table = open::<R>(pg_sys::AccessShareLock)?;
        Ok(Self::begin(table, Some(LockedIndex::lock(index)?), keys))
    }

    fn begin(table: OpenRelation, index: Option<LockedIndex>, keys: &mut [pg_sys::ScanKeyData]) -> Self {
        // SAFETY: table and index are locked, were checked and belong together; the scan copies the keys,
        // and the caller keeps what they point to until the scan has ended.
        let running = unsafe {
            pg_sys::systable_beginscan(
                table.as_ptr(),
                index.as_ref().map_or(pg_sys::InvalidOid, |index| index.0),
                index.is_some(),
                std::ptr::null_mut(),
                keys.len() as i32,
                keys.as_mut_ptr(),
            )
        };
        Scan { running, _index: index, table, of: PhantomData }
    }

    fn next(&mut self) -> Option<Row<'_, R>> {
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
        // SAFETY: a table that was checked has at most MAX_COLUMNS columns.
        unsafe {
            pg_sys::heap_deform_tuple(
                tuple,
                (*self.table.as_ptr()).rd_att,
                row.values.as_mut_ptr(),
                row.nulls.as_mut_ptr(),
            );
        }
        Some(row)
    }
}

impl<R> Drop for Scan<R> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: begun by `begin`, ended once, before index and table are dropped.
            unsafe { pg_sys::systable_endscan(self.running) }
        }
    }
}

/// A row of table `R`, as long as its scan stands on it.
pub struct Row<'scan, R> {
    tuple: pg_sys::HeapTuple,
    values: [pg_sys::Datum; MAX_COLUMNS],
    nulls: [bool; MAX_COLUMNS],
    scan: PhantomData<&'scan Scan<R>>,
}

impl<R: Table> Row<'_, R> {
    /// Whether this version of the row was made by the running transaction, which may yet undo it.
    pub fn in_progress(&self) -> bool {
        // SAFETY: the scan still holds the tuple.
        unsafe { pg_sys::TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin((*self.tuple).t_data)) }
    }

    /// Whether this version of the row was made after the transaction's snapshot: its statements do not see it.
    fn is_hidden(&self) -> bool {
        // SAFETY: the scan still holds the tuple; a transaction that scans has a snapshot.
        let is_later = unsafe {
            let made_by = HeapTupleHeaderGetXmin((*self.tuple).t_data);
            pg_sys::XidInMVCCSnapshot(made_by, pg_sys::GetTransactionSnapshot())
        };
        is_later && !self.in_progress()
    }

    /// The value of a column, copied.
    pub fn get<T: SqlType>(&self, column: Column<R, T>) -> Result<T::Value> {
        let n = usize::from(column.number.unsigned_abs()) - 1;
        // SAFETY: the scan holds the row, and the table was checked to have that column with that type.
        let value = unsafe { T::read(self.values[n], self.nulls[n]) };
        value.ok_or_else(|| R::altered(column.name, "holds a NULL that it can't hold"))
    }
}

/// All rows of the table, read.
pub fn all<R: Table, T>(read: impl Fn(&Row<'_, R>) -> Result<T>) -> Result<Vec<T>> {
    let mut scan = Scan::whole()?;
    let mut all = Vec::new();
    while let Some(row) = scan.next() {
        all.push(read(&row)?);
    }
    Ok(all)
}

/// True if any row of the table is like that which was made after the transaction's snapshot: its statements do not see
/// it. Reads the whole table, but not at READ COMMITTED, where they see all that there is.
///
/// # Errors
/// Those of looking the table up and of `like`.
pub fn any_hidden<R: Table>(like: impl Fn(&Row<'_, R>) -> Result<bool>) -> Result<bool> {
    if !transaction::has_old_snapshot() {
        return Ok(false);
    }
    let mut scan = Scan::whole()?;
    while let Some(row) = scan.next() {
        if row.is_hidden() && like(&row)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The row whose index columns have these values, read.
pub fn first_by<R: Table, C: IndexColumns, T>(
    index: &'static Index<R, C>,
    values: C::Values<'_>,
    read: impl Fn(&Row<'_, R>) -> Result<T>,
) -> Result<Option<T>> {
    let mut scan = Scan::through(index, &mut index.columns.scan_keys(values))?;
    scan.next().map(|row| read(&row)).transpose()
}
