//! What the executor does with a row: checks it, stores it, and enters it into the indexes.

use std::ffi::CStr;
use std::ptr::null_mut;

use pgrx::{PgBox, pg_sys};

use super::slot::Slot;
use crate::error::Result;
use crate::store::owner::AsOwner;
use crate::store::relations::Rel;
use crate::store::scan::OpenRelation;

/// Triggers of our own, which have nothing to say of what is written this way.
const OURS: [&CStr; 2] = [c"note_by_hand", c"invalidate_verdicts"];

/// What the executor keeps of a table that it writes to.
pub(super) struct Writer {
    result: *mut pg_sys::ResultRelInfo,
    executor: *mut pg_sys::EState,
    /// Whether the indexes are open: an update may need none.
    indexed: bool,
}

impl Writer {
    pub(super) fn new(relation: &OpenRelation) -> Self {
        // SAFETY: the relation is open, and stays so as long as the writer. As number of a range table's
        // entry, 0 is none: there is no range table.
        unsafe {
            let executor = pg_sys::CreateExecutorState();
            let result =
                PgBox::<pg_sys::ResultRelInfo>::alloc_node(pg_sys::NodeTag::T_ResultRelInfo)
                    .into_pg();
            pg_sys::InitResultRelInfo(result, relation.0, 0, null_mut(), 0);
            Writer {
                result,
                executor,
                indexed: false,
            }
        }
    }

    fn relation(&self) -> pg_sys::Relation {
        // SAFETY: made in `new`.
        unsafe { (*self.result).ri_RelationDesc }
    }

    /// Whether nobody has added a trigger, a rule, a CHECK constraint or a column. A table that an update of the
    /// extension has still to give columns is taken as it is.
    pub(super) fn is_as_made(&self, rel: Rel) -> bool {
        // SAFETY: made in `new`, of an open relation, which has a row type, with constraints or none, and
        // triggers and rules or none.
        unsafe {
            let row_type = (*self.relation()).rd_att;
            let columns = usize::try_from((*row_type).natts).unwrap_or_default();
            let ours = rel.layout().columns();
            let plain = (*row_type)
                .constr
                .as_ref()
                .is_none_or(|all| all.num_check == 0);
            columns < ours
                || (columns == ours
                    && plain
                    && (*self.relation()).rd_rules.is_null()
                    && all_ours((*self.result).ri_TrigDesc))
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
            if !(*(*self.relation()).rd_att).constr.is_null() {
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

    /// Stores a row.
    ///
    /// # Safety
    /// The slot holds a row of the relation.
    pub(super) unsafe fn insert(&mut self, slot: &Slot) -> Result<()> {
        self.open_indexes();
        // SAFETY: slot, relation, indexes and executor belong together. What is violated is an ordinary
        // error.
        unsafe {
            self.check(slot);
            pg_sys::simple_table_tuple_insert(self.relation(), slot.0);
            self.insert_index_entries(slot, Written::New)
        }
    }

    /// Stores a new version of a row.
    ///
    /// # Safety
    /// Both slots are of the relation; the row that was found is locked.
    pub(super) unsafe fn update(&mut self, found: &Slot, slot: &Slot) -> Result<()> {
        // SAFETY: as for an insert; the row is locked, so it is still as it was found.
        unsafe {
            self.check(slot);
            // Publications may want to tell by what the row is known.
            pg_sys::CheckCmdReplicaIdentity(self.relation(), pg_sys::CmdType::CMD_UPDATE);
            if let Some(written) = write_version(self.relation(), found, slot) {
                self.open_indexes();
                self.insert_index_entries(slot, written)?;
            }
        }
        Ok(())
    }

    /// What an index computes, by whatever functions, it computes as the owner.
    ///
    /// # Safety
    /// The slot holds a version of a row that was just written to the relation, whose indexes are open.
    unsafe fn insert_index_entries(&mut self, slot: &Slot, written: Written) -> Result<()> {
        let _owner = self
            .has_computing_index()
            .then(AsOwner::enter)
            .transpose()?;
        let (result, executor) = (self.result, self.executor);
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
