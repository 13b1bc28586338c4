//! Adding and changing single rows of our tables as the executor does it, past SQL: a statement costs
//! several times as much as the row that it writes.
//!
//! Indexes are kept, and row triggers fire that are not ours, as the owner. What only a statement does is left out:
//! statement triggers and those of `UPDATE OF` columns don't fire, and no default is filled in. Constraints hold,
//! those too that somebody added.

use std::ffi::CStr;
use std::ptr::null_mut;

use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::{FromDatum, PgBox, pg_sys};

use super::owner::AsOwner;
use super::relations::Rel;
use super::scan::{self, Key, OpenRelation};
use super::statements::must_be_able_to_write;
use crate::error::Result;

/// Triggers of our own, which have nothing to say of what our own functions write.
const OURS: [&CStr; 2] = [c"note_by_hand", c"invalidate_verdicts"];

/// A table of ours, open for writing.
pub struct Table {
    rel: Rel,
    // Declared first: it must end before the relation is closed.
    writer: Writer,
    relation: OpenRelation,
}

/// What the executor keeps of a table that it writes to.
struct Writer {
    result: *mut pg_sys::ResultRelInfo,
    executor: *mut pg_sys::EState,
    /// Whether the indexes are open: an update may need none.
    indexed: bool,
}

impl Writer {
    fn new(relation: &OpenRelation) -> Self {
        // SAFETY: the relation is open, and stays so as long as the writer. Functions are called with
        // an active snapshot, which triggers are handed. As number of a range table's entry, 0 is
        // none: there is no range table.
        let (result, executor) = unsafe {
            let executor = pg_sys::CreateExecutorState();
            (*executor).es_snapshot = pg_sys::GetActiveSnapshot();
            (*executor).es_output_cid = pg_sys::GetCurrentCommandId(true);
            let result =
                PgBox::<pg_sys::ResultRelInfo>::alloc_node(pg_sys::NodeTag::T_ResultRelInfo)
                    .into_pg();
            pg_sys::InitResultRelInfo(result, relation.0, 0, null_mut(), 0);
            (result, executor)
        };
        let mut writer = Writer {
            result,
            executor,
            indexed: false,
        };
        // SAFETY: as InitResultRelInfo has made it.
        if unsafe { all_ours((*result).ri_TrigDesc) } {
            writer.silence();
        }
        writer
    }

    /// Whether there is a trigger that might fire.
    fn fires(&self) -> bool {
        // SAFETY: made in `new`.
        unsafe { !(*self.result).ri_TrigDesc.is_null() }
    }

    /// Whether there is more to do than to store a row: triggers, CHECK constraints or generated columns.
    /// Our busy tables have none of their own.
    fn is_involved(&self) -> bool {
        // SAFETY: made in `new`, of an open relation, whose description has constraints or none.
        self.fires()
            || unsafe {
                (*(*(*self.result).ri_RelationDesc).rd_att)
                    .constr
                    .as_ref()
                    .is_some_and(|all| all.num_check > 0 || all.has_generated_stored)
            }
    }

    /// Whether an open index computes what it holds, by whatever functions.
    fn has_computing_index(&self) -> bool {
        // SAFETY: as ExecOpenIndices has made them: so many pointers.
        unsafe {
            let count = usize::try_from((*self.result).ri_NumIndices).unwrap_or_default();
            count > 0
                && std::slice::from_raw_parts((*self.result).ri_IndexRelationInfo, count)
                    .iter()
                    .any(|index| !(**index).ii_Expressions.is_null())
        }
    }

    /// Raises an error where a row lacks what must not be NULL. Whoever reads the table relies on it,
    /// compiled expressions (JIT) blindly.
    ///
    /// # Safety
    /// The slot holds a row of the relation.
    unsafe fn check(&self, slot: &Slot) {
        // SAFETY: as the caller promises; the relation is open.
        unsafe {
            if !(*(*(*self.result).ri_RelationDesc).rd_att).constr.is_null() {
                pg_sys::ExecConstraints(self.result, slot.0, self.executor);
            }
        }
    }

    fn open_indexes(&mut self) {
        if !self.indexed {
            // SAFETY: made in `new`, of an open relation; closed in `drop`.
            unsafe { pg_sys::ExecOpenIndices(self.result, false) };
            self.indexed = true;
        }
    }

    /// Lets no trigger fire.
    fn silence(&mut self) {
        // SAFETY: made in `new`; the table's own description is another.
        unsafe { (*self.result).ri_TrigDesc = null_mut() }
    }

    /// Runs what may fire row triggers, and what others added to the table as the owner, whoever calls.
    fn with_triggers(&mut self, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let _owner = self.is_involved().then(AsOwner::enter).transpose()?;
        if !self.fires() {
            return write(self);
        }
        // SAFETY: ended below; on an error the abort ends it. AFTER triggers find the table among those
        // that are open.
        unsafe {
            let open = &raw mut (*self.executor).es_opened_result_relations;
            *open = pg_sys::lappend(*open, self.result.cast());
            pg_sys::AfterTriggerBeginQuery();
        }
        write(self)?;
        // SAFETY: begun above. The slots that triggers were handed are given back.
        unsafe {
            pg_sys::AfterTriggerEndQuery(self.executor);
            pg_sys::ExecResetTupleTable((*self.executor).es_tupleTable, false);
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened in `new`; while unwinding, the transaction's abort closes it.
            unsafe {
                if self.indexed {
                    pg_sys::ExecCloseIndices(self.result);
                }
                pg_sys::FreeExecutorState(self.executor);
            }
        }
    }
}

/// Whether a table has no trigger but ours.
///
/// # Safety
/// The server's own description, or null.
unsafe fn all_ours(triggers: *const pg_sys::TriggerDesc) -> bool {
    if triggers.is_null() {
        return true;
    }
    // SAFETY: it counts its triggers, and each has a name.
    unsafe {
        let count = usize::try_from((*triggers).numtriggers).unwrap_or_default();
        std::slice::from_raw_parts((*triggers).triggers, count)
            .iter()
            .all(|trigger| OURS.contains(&CStr::from_ptr(trigger.tgname)))
    }
}

/// A place for one row of a table.
struct Slot(*mut pg_sys::TupleTableSlot);

impl Slot {
    fn new(relation: &OpenRelation) -> Self {
        // SAFETY: the relation is open.
        Slot(unsafe { pg_sys::table_slot_create(relation.0, null_mut()) })
    }

    /// Fills it with a value for each column, which it counts from 0.
    fn fill(&mut self, value: impl Fn(usize) -> Option<pg_sys::Datum>) {
        // SAFETY: the slot is empty and has as many places as its row type has columns.
        unsafe {
            for n in 0..self.columns() {
                let value = value(n);
                *(*self.0).tts_isnull.add(n) = value.is_none();
                *(*self.0).tts_values.add(n) = value.unwrap_or(pg_sys::Datum::null());
            }
            pg_sys::ExecStoreVirtualTuple(self.0);
        }
    }

    /// Whether what it holds has a place in its table.
    fn is_stored(&self) -> bool {
        // SAFETY: filling a slot leaves its place empty, storing what it holds sets it.
        unsafe { (*self.0).tts_tid.ip_posid != pg_sys::InvalidOffsetNumber }
    }

    fn columns(&self) -> usize {
        // SAFETY: a slot has a row type.
        usize::try_from(unsafe { (*(*self.0).tts_tupleDescriptor).natts }).unwrap_or_default()
    }

    /// The value of a column, which is counted from 0.
    fn value(&self, n: usize) -> Option<pg_sys::Datum> {
        if n >= self.columns() {
            return None;
        }
        // SAFETY: the slot is filled, and has that many values.
        unsafe { (!*(*self.0).tts_isnull.add(n)).then(|| *(*self.0).tts_values.add(n)) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: made in `new`; while unwinding, the transaction's abort gives back its buffer.
            unsafe { pg_sys::ExecDropSingleTupleTableSlot(self.0) }
        }
    }
}

impl Table {
    /// Opens a table for writing.
    ///
    /// # Errors
    /// Those of looking the relation up.
    pub fn open(rel: Rel) -> Result<Self> {
        must_be_able_to_write();
        // What this transaction has done so far is seen, as by a statement.
        // SAFETY: callable anywhere between statements of a function.
        unsafe { pg_sys::CommandCounterIncrement() };
        let relation = OpenRelation::open(rel, pg_sys::RowExclusiveLock)?;
        Ok(Table {
            rel,
            writer: Writer::new(&relation),
            relation,
        })
    }

    /// The same, but no trigger at all fires: for rows that nobody else may see.
    ///
    /// # Errors
    /// As [`Table::open`].
    pub fn open_in_silence(rel: Rel) -> Result<Self> {
        let mut table = Self::open(rel)?;
        table.writer.silence();
        Ok(table)
    }

    /// Adds a row. The values are those of the first columns, in order; `None` is NULL. What a table of
    /// before an update of the extension has no column for is left out.
    ///
    /// # Errors
    /// Those of becoming the owner, for what others added.
    pub fn insert(mut self, values: &[Option<pg_sys::Datum>]) -> Result<()> {
        let mut slot = Slot::new(&self.relation);
        slot.fill(|n| values.get(n).copied().flatten());
        let relation = self.relation.0;
        self.writer.open_indexes();
        self.writer.with_triggers(|writer| {
            // SAFETY: slot, relation, indexes and executor belong together. What is violated, and what
            // a trigger raises, is an ordinary error.
            unsafe {
                if writer.is_involved() {
                    pg_sys::ExecSimpleRelationInsert(writer.result, writer.executor, slot.0);
                    return Ok(());
                }
                writer.check(&slot);
                pg_sys::simple_table_tuple_insert(relation, slot.0);
                insert_index_entries(writer, &slot, Written::New)
            }
        })?;
        done();
        Ok(())
    }

    /// Finds a row by all columns of a unique index, waits for whoever is changing it and locks it
    /// until the transaction ends: its latest state, whatever snapshot the transaction has.
    ///
    /// The server's own way for this, `RelationFindReplTupleByIndex`, writes into the log when another was
    /// faster, and with that the statement: tokens, session data. It also misses rows that move meanwhile.
    ///
    /// # Errors
    /// Those of looking the index up.
    pub fn lock(self, index: Rel, key: &[Key<'_>]) -> Result<Option<LockedRow>> {
        let mut place = None;
        scan::each(self.rel, Some(index), key, |row| {
            place = Some(row.place());
            false
        })?;
        let Some(mut place) = place else {
            return Ok(None);
        };
        let found = Slot::new(&self.relation);
        let mut failure = pg_sys::TM_FailureData::default();
        // SAFETY: the place was just read, and the snapshot of the running statement keeps it from being
        // used anew. A table has an access method, and what that raises is an ordinary error. The row is
        // deformed whole.
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

    /// Gives columns new values; `None` is NULL. Columns count from 1. `false` where a trigger skipped it:
    /// then the row is as it was.
    ///
    /// # Errors
    /// Those of becoming the owner, for what others added.
    pub fn update(mut self, changes: &[(usize, Option<pg_sys::Datum>)]) -> Result<bool> {
        let mut slot = Slot::new(&self.table.relation);
        let change = |n| changes.iter().find(|(column, _)| *column == n + 1);
        slot.fill(|n| change(n).map_or_else(|| self.found.value(n), |(_, value)| *value));
        let (found, relation) = (&self.found, self.table.relation.0);
        self.table.writer.with_triggers(|writer| {
            // SAFETY: as for an insert; the row is locked, so it is still as it was found, and what
            // would look at it once more has nothing to do.
            unsafe {
                if writer.is_involved() {
                    writer.open_indexes();
                    let mut recheck = pg_sys::EPQState::default();
                    init_recheck(&mut recheck, writer.executor);
                    pg_sys::ExecSimpleRelationUpdate(
                        writer.result,
                        writer.executor,
                        &mut recheck,
                        found.0,
                        slot.0,
                    );
                    pg_sys::EvalPlanQualEnd(&mut recheck);
                    return Ok(());
                }
                writer.check(&slot);
                // Publications may want to tell by what the row is known.
                pg_sys::CheckCmdReplicaIdentity(relation, pg_sys::CmdType::CMD_UPDATE);
                if let Some(written) = write_version(relation, found, &slot) {
                    writer.open_indexes();
                    insert_index_entries(writer, &slot, written)?;
                }
                Ok(())
            }
        })?;
        done();
        Ok(slot.is_stored())
    }
}

/// What follows in this transaction sees what was written.
fn done() {
    // SAFETY: callable anywhere between statements of a function.
    unsafe { pg_sys::CommandCounterIncrement() };
}

/// A version of a row that wants index entries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// Of a new row.
    New,
    /// Of a row that is there, in every index.
    Updated,
    /// Of a row that is there, in indexes that summarize blocks (BRIN) only.
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    Summarized,
}

/// Writes a new version of a row. `None` where it needs no index entries: it is a heap-only update.
///
/// # Safety
/// The row that was found is locked, and both slots are of the relation.
unsafe fn write_version(relation: pg_sys::Relation, found: &Slot, slot: &Slot) -> Option<Written> {
    let snapshot = null_mut();
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    {
        let mut indexes = false;
        // SAFETY: as the caller promises. The snapshot matters to no table that keeps its rows in a
        // heap, as ours do.
        unsafe {
            let place = &raw mut (*found.0).tts_tid;
            pg_sys::simple_table_tuple_update(relation, place, slot.0, snapshot, &mut indexes);
        }
        indexes.then_some(Written::Updated)
    }
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    {
        let mut indexes = pg_sys::TU_UpdateIndexes::TU_None;
        // SAFETY: as above.
        unsafe {
            let place = &raw mut (*found.0).tts_tid;
            pg_sys::simple_table_tuple_update(relation, place, slot.0, snapshot, &mut indexes);
        }
        match indexes {
            pg_sys::TU_UpdateIndexes::TU_All => Some(Written::Updated),
            pg_sys::TU_UpdateIndexes::TU_Summarizing => Some(Written::Summarized),
            _ => None,
        }
    }
}

/// What an index computes, by whatever functions, it computes as the owner.
///
/// # Safety
/// The slot holds a version of a row that was just written to the writer's relation, whose indexes are
/// open.
unsafe fn insert_index_entries(writer: &mut Writer, slot: &Slot, written: Written) -> Result<()> {
    let _owner = writer
        .has_computing_index()
        .then(AsOwner::enter)
        .transpose()?;
    let (result, executor) = (writer.result, writer.executor);
    let (none, no_list) = (null_mut(), null_mut());
    let update = written != Written::New;
    // SAFETY: as the caller promises; a violated unique index raises an ordinary error.
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    unsafe {
        pg_sys::ExecInsertIndexTuples(result, slot.0, executor, update, false, none, no_list);
    }
    // SAFETY: as above.
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    unsafe {
        let summarize = written == Written::Summarized;
        pg_sys::ExecInsertIndexTuples(
            result, slot.0, executor, update, false, none, no_list, summarize,
        );
    }
    Ok(())
}

/// # Safety
/// The executor's state lives as long as what is made ready.
unsafe fn init_recheck(recheck: &mut pg_sys::EPQState, executor: *mut pg_sys::EState) {
    let (no_plan, no_list) = (null_mut(), null_mut());
    // SAFETY: as the caller promises; without a plan nothing can be run.
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    unsafe {
        pg_sys::EvalPlanQualInit(recheck, executor, no_plan, no_list, -1);
    }
    // SAFETY: as above.
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    unsafe {
        pg_sys::EvalPlanQualInit(recheck, executor, no_plan, no_list, -1, null_mut());
    }
}
