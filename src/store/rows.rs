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

    /// Gives columns of a row new values, as `decide` says of it: `None` leaves it as it is. Tells what `decide`
    /// has made; `None` where nothing was changed, or the row is gone.
    ///
    /// The row is taken as it was read. Only where somebody else has it or was faster, it is waited for and
    /// locked, and decided upon again as it is then, whatever snapshot the transaction has.
    ///
    /// # Errors
    /// Those that the server raises while it waits; those of becoming the owner, for what an index computes.
    pub fn change<T>(
        mut self,
        at: Location,
        decide: impl Fn(&StoredRow) -> Option<(Changes, T)>,
    ) -> Result<Option<T>> {
        let mut found = match self.read(at) {
            None => self.lock(at),
            found => found,
        };
        while let Some(stored) = found {
            let Some((changes, made)) = decide(&stored) else {
                return Ok(None);
            };
            let mut slot = Slot::new(&self.relation);
            let change = |n| changes.iter().find(|(column, _)| *column == n + 1);
            slot.fill(|n| change(n).map_or_else(|| stored.slot.value(n), |(_, value)| *value));
            // SAFETY: both are of the relation, and the row was read from it.
            if unsafe { self.writer.update(&stored.slot, &slot, stored.locked) }? {
                done();
                return Ok(Some(made));
            }
            found = self.lock(at);
        }
        Ok(None)
    }

    /// The version of a row at a place, which never changes; what follows it may.
    fn read(&self, at: Location) -> Option<StoredRow> {
        let Location(mut place) = at;
        let slot = Slot::new(&self.relation);
        // SAFETY: the place is still the row's. A table has an access method, and what that raises is an
        // ordinary error.
        let found = unsafe {
            let relation = self.relation.0;
            let read = (*(*relation).rd_tableam).tuple_fetch_row_version?;
            let any = &raw mut pg_sys::SnapshotAnyData;
            pg_guard_ffi_boundary(|| read(relation, &mut place, any, slot.0))
        };
        found.then(|| StoredRow::of(slot, false))
    }

    /// Waits for whoever is changing a row and locks it until the transaction ends: its latest version.
    /// `None` where the row is gone.
    ///
    /// The server's own way for this, `RelationFindReplTupleByIndex`, writes into the log when another was
    /// faster, and with that the statement: tokens, session data. It also misses rows that move meanwhile.
    fn lock(&self, at: Location) -> Option<StoredRow> {
        let Location(mut place) = at;
        let slot = Slot::new(&self.relation);
        let mut failure = pg_sys::TM_FailureData::default();
        // SAFETY: as in `read`.
        let outcome = unsafe {
            let relation = self.relation.0;
            let lock = (*(*relation).rd_tableam).tuple_lock?;
            let snapshot = pg_sys::GetActiveSnapshot();
            let command = pg_sys::GetCurrentCommandId(false);
            pg_guard_ffi_boundary(|| {
                lock(
                    relation,
                    &mut place,
                    snapshot,
                    slot.0,
                    command,
                    pg_sys::LockTupleMode::LockTupleNoKeyExclusive,
                    pg_sys::LockWaitPolicy::LockWaitBlock,
                    pg_sys::TUPLE_LOCK_FLAG_FIND_LAST_VERSION as u8,
                    &mut failure,
                )
            })
        };
        (outcome == pg_sys::TM_Result::TM_Ok).then(|| StoredRow::of(slot, true))
    }
}

/// New values of columns, which count from 1; `None` is NULL.
pub type Changes = Vec<(usize, Option<pg_sys::Datum>)>;

/// A version of a row that is stored.
pub struct StoredRow {
    slot: Slot,
    /// Whether it is the latest, and stays so until we change it or the transaction ends.
    locked: bool,
}

impl StoredRow {
    /// Of a slot that holds one.
    fn of(mut slot: Slot, locked: bool) -> Self {
        slot.deform();
        StoredRow { slot, locked }
    }

    /// The value of a column, copied; `None` for NULL. Columns count from 1.
    ///
    /// `T` must be the Rust type of the column's SQL type.
    pub fn get<T: FromDatum>(&self, column: usize) -> Option<T> {
        let value = self.slot.value(column.checked_sub(1)?)?;
        // SAFETY: the slot holds the row; the caller names the type of the column.
        unsafe { T::from_datum(value, false) }
    }
}

/// What follows in this transaction sees what was written.
fn done() {
    // SAFETY: callable anywhere between statements of a function.
    unsafe { pg_sys::CommandCounterIncrement() };
}
