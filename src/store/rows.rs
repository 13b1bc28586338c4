//! Adding and changing single rows of our tables as the executor does it, past SQL: a statement costs
//! several times as much as the row that it writes.
//!
//! Indexes are kept and what must not be NULL is checked; no trigger fires, no default is filled in. So
//! this is for tables as we made them. Where somebody has added triggers, rules, constraints or
//! columns, a statement does the same, with all that belongs to one.

mod slot;
mod writer;

use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::{FromDatum, pg_sys};

use self::slot::Slot;
use self::writer::Writer;
use super::relations::Rel;
use super::scan::{Location, OpenRelation};
use super::statements::must_be_able_to_write;
use crate::error::Result;

/// A table of ours, open for writing.
pub struct Table {
    // Before the relation: it must end before that is closed.
    writer: Writer,
    relation: OpenRelation,
}

impl Table {
    /// Opens a table for writing. `None` where somebody has added to it what only a statement heeds.
    ///
    /// # Errors
    /// Those of looking the relation up.
    pub fn open(rel: Rel) -> Result<Option<Self>> {
        let table = Self::open_in_silence(rel)?;
        Ok(table.writer.is_as_made(rel).then_some(table))
    }

    /// Opens a table for writing, whatever was added to it: for rows that no trigger of others may see.
    ///
    /// # Errors
    /// Those of looking the relation up.
    pub fn open_in_silence(rel: Rel) -> Result<Self> {
        must_be_able_to_write();
        // What this transaction has done so far is seen, as by a statement.
        // SAFETY: callable anywhere between statements of a function.
        unsafe { pg_sys::CommandCounterIncrement() };
        let relation = OpenRelation::open(rel, pg_sys::RowExclusiveLock)?;
        Ok(Table {
            writer: Writer::new(&relation),
            relation,
        })
    }

    /// Adds a row. The values are those of the first columns, in order; `None` is NULL. What a table of
    /// before an update of the extension has no column for is left out.
    ///
    /// # Errors
    /// Those of becoming the owner, for what an index computes.
    pub fn insert(mut self, values: &[Option<pg_sys::Datum>]) -> Result<()> {
        let mut slot = Slot::new(&self.relation);
        slot.fill(|n| values.get(n).copied().flatten());
        // SAFETY: it was made for the relation, and filled.
        unsafe { self.writer.insert(&slot) }?;
        done();
        Ok(())
    }

    /// Waits for whoever is changing a row and locks it until the transaction ends: its latest state,
    /// whatever snapshot the transaction has. `None` where the row is gone.
    ///
    /// The server's own way for this, `RelationFindReplTupleByIndex`, writes into the log when another was
    /// faster, and with that the statement: tokens, session data. It also misses rows that move meanwhile.
    ///
    /// # Errors
    /// Those that the server raises while it waits.
    pub fn lock(self, at: Location) -> Result<Option<LockedRow>> {
        let Location(mut place) = at;
        let found = Slot::new(&self.relation);
        let mut failure = pg_sys::TM_FailureData::default();
        // SAFETY: the place is still the row's. A table has an access method, and what that raises is an
        // ordinary error. The row is deformed whole.
        let locked = unsafe {
            let relation = self.relation.0;
            let Some(lock) = (*(*relation).rd_tableam).tuple_lock else {
                return Ok(None);
            };
            let (snapshot, command) = (
                pg_sys::GetActiveSnapshot(),
                pg_sys::GetCurrentCommandId(false),
            );
            let outcome = pg_guard_ffi_boundary(|| {
                lock(
                    relation,
                    &mut place,
                    snapshot,
                    found.0,
                    command,
                    pg_sys::LockTupleMode::LockTupleNoKeyExclusive,
                    pg_sys::LockWaitPolicy::LockWaitBlock,
                    pg_sys::TUPLE_LOCK_FLAG_FIND_LAST_VERSION as u8,
                    &mut failure,
                )
            });
            let locked = outcome == pg_sys::TM_Result::TM_Ok;
            if locked {
                let columns = (*(*found.0).tts_tupleDescriptor).natts;
                pg_sys::slot_getsomeattrs_int(found.0, columns);
            }
            locked
        };
        Ok(locked.then_some(LockedRow { found, table: self }))
    }
}

/// A row, as it is now, that nobody else can change before the transaction ends.
pub struct LockedRow {
    // Declared first: it must be given back before the relation is closed.
    found: Slot,
    table: Table,
}

impl LockedRow {
    /// The value of a column, copied; `None` for NULL. Columns count from 1.
    ///
    /// `T` must be the Rust type of the column's SQL type.
    pub fn get<T: FromDatum>(&self, column: usize) -> Option<T> {
        let value = self.found.value(column.checked_sub(1)?)?;
        // SAFETY: the slot holds the row; the caller names the type of the column.
        unsafe { T::from_datum(value, false) }
    }

    /// Gives columns new values; `None` is NULL. Columns count from 1.
    ///
    /// # Errors
    /// Those of becoming the owner, for what an index computes.
    pub fn update(mut self, changes: &[(usize, Option<pg_sys::Datum>)]) -> Result<()> {
        let mut slot = Slot::new(&self.table.relation);
        let change = |n| changes.iter().find(|(column, _)| *column == n + 1);
        slot.fill(|n| change(n).map_or_else(|| self.found.value(n), |(_, value)| *value));
        // SAFETY: both are of the relation, and the row was locked.
        unsafe { self.table.writer.update(&self.found, &slot) }?;
        done();
        Ok(())
    }
}

/// What follows in this transaction sees what was written.
fn done() {
    // SAFETY: callable anywhere between statements of a function.
    unsafe { pg_sys::CommandCounterIncrement() };
}
