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
use crate::error::Result;
use crate::pg::relcache::Rel;
use crate::pg::roles::AsOwner;
use crate::pg::scan::{Location, OpenRelation};
use crate::pg::statements::{Statement, must_be_able_to_write};
use crate::pg::without_news::WithoutNews;

/// Adds a row. The values are those of the first columns, in order; `None` is NULL. What a table of before an
/// update of the extension has no column for is left out. `statement` adds the same row, with the values as
/// parameters, where past SQL will not do.
///
/// # Errors
/// Those of looking the table up, and of becoming the owner.
pub fn insert(rel: Rel, values: &[Option<pg_sys::Datum>], statement: &Statement) -> Result<()> {
    let table = Table::open(rel)?;
    if table.writer.is_as_made() {
        return table.insert(values);
    }
    drop(table);
    // SAFETY: the values are those of the columns, and the statement names the same ones.
    unsafe { statement.execute_values(&AsOwner::enter()?, values) }.map(|_| ())
}

/// Adds a row, whatever was added to the table: one that no trigger of others may see.
///
/// # Errors
/// As [`insert`].
pub fn insert_in_silence(rel: Rel, values: &[Option<pg_sys::Datum>]) -> Result<()> {
    Table::open(rel)?.insert(values)
}

/// Whether a statement that changes rows of a table does what it says: no rule and no trigger makes something
/// else of them.
///
/// # Errors
/// As [`insert`].
pub fn are_changed_as_told(rel: Rel) -> Result<bool> {
    Ok(Table::open(rel)?.writer.is_as_told())
}

/// A change of some columns of a row.
pub struct Update {
    /// The table.
    pub rel: Rel,
    /// The columns that get new values, counted from 1.
    pub columns: &'static [usize],
    /// Changes the same where past SQL will not do. Its parameters are the values of the row's key, and then
    /// the new ones.
    pub statement: Statement,
}

/// New values, in the order of [`Update::columns`]; `None` is NULL.
pub type Values = Vec<Option<pg_sys::Datum>>;

impl Update {
    /// Changes the row at a place to what `decide` says of it: `None` leaves it as it is. Tells what else
    /// `decide` has made; `None` where nothing was changed, or the row is gone.
    ///
    /// The row is taken as it was read. Only where somebody else has it or was faster, it is waited for and
    /// locked, and decided upon again as it is then, whatever snapshot the transaction has.
    ///
    /// # Errors
    /// Those of looking the table up, and of becoming the owner; those that the server raises while it waits.
    pub fn run<T>(
        &self,
        at: Location,
        key: &[Option<pg_sys::Datum>],
        decide: impl Fn(&StoredRow) -> Option<(Values, T)>,
    ) -> Result<Option<T>> {
        let mut table = Table::open(self.rel)?;
        if table.writer.is_as_made() {
            return table.update(at, self.columns, decide);
        }
        let Some((values, made)) = table.lock(at).and_then(|stored| decide(&stored)) else {
            return Ok(None);
        };
        let as_told = table.writer.is_as_told();
        drop(table);
        let values = [key, &values].concat();
        // As without a trigger of ours: the caller knows whether there is news, unless somebody else makes
        // something else of it.
        let _silent = as_told.then(WithoutNews::begin);
        // SAFETY: the values are those of key and columns, and the statement names the same ones.
        let changed = unsafe { self.statement.execute_values(&AsOwner::enter()?, &values) }?;
        Ok((changed == 1).then_some(made))
    }
}

/// A table of ours, open for writing.
struct Table {
    // Before the relation: it must end before that is closed.
    writer: Writer,
    relation: OpenRelation,
}

impl Table {
    fn open(rel: Rel) -> Result<Self> {
        must_be_able_to_write();
        // What this transaction has done so far is seen, as by a statement.
        // SAFETY: callable anywhere between statements of a function.
        unsafe { pg_sys::CommandCounterIncrement() };
        let relation = OpenRelation::open(rel, pg_sys::RowExclusiveLock)?;
        Ok(Table {
            writer: Writer::new(rel, &relation)?,
            relation,
        })
    }

    fn insert(mut self, values: &[Option<pg_sys::Datum>]) -> Result<()> {
        let mut slot = Slot::new(&self.relation);
        slot.fill(|n| values.get(n).copied().flatten());
        // SAFETY: it was made for the relation, and filled.
        unsafe { self.writer.insert(&slot) }?;
        done();
        Ok(())
    }

    fn update<T>(
        &mut self,
        at: Location,
        columns: &[usize],
        decide: impl Fn(&StoredRow) -> Option<(Values, T)>,
    ) -> Result<Option<T>> {
        let mut found = match self.read(at) {
            None => self.lock(at),
            found => found,
        };
        while let Some(stored) = found {
            let Some((values, made)) = decide(&stored) else {
                return Ok(None);
            };
            let mut slot = Slot::new(&self.relation);
            slot.fill(
                |n| match columns.iter().position(|column| *column == n + 1) {
                    Some(changed) => values.get(changed).copied().flatten(),
                    None => stored.slot.value(n),
                },
            );
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
