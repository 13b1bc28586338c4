//! What the executor does with a row: checks it, stores it, and enters it into the indexes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, c_void};
use std::mem::ManuallyDrop;
use std::ptr::null_mut;

use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::{PgBox, PgList, is_a, pg_sys};

use super::slot::Slot;
use crate::error::Result;
use crate::pg::relcache::{self, Rel};
use crate::pg::roles::AsOwner;
use crate::pg::scan::OpenRelation;

/// Triggers of our own, which have nothing to say of what is written this way.
const OURS: [&CStr; 1] = [c"invalidate_verdicts"];

/// What the executor needs to write to a table: kept from one row to the next, because to make it costs as much
/// as several rows.
struct Prepared {
    /// Holds all of it.
    memory: pg_sys::MemoryContext,
    result: *mut pg_sys::ResultRelInfo,
    executor: *mut pg_sys::EState,
    indexes: Vec<Index>,
    /// Whether nobody has added to the table what only a statement heeds.
    as_made: bool,
    /// Whether a statement that changes a row does what it says.
    as_told: bool,
    /// When it was made.
    epoch: u64,
}

/// An index of a table.
struct Index {
    id: pg_sys::Oid,
    info: *mut pg_sys::IndexInfo,
    /// Whether its expressions or its predicate call functions that are not the server's own.
    calls_others: bool,
}

thread_local! {
    /// What is prepared for tables that nobody is writing to at the moment, by their ids.
    static KEPT: RefCell<HashMap<pg_sys::Oid, Prepared>> = RefCell::default();
}

impl Prepared {
    /// Takes what was kept for a table, or prepares anew. Until it is kept again it lives as long as what
    /// the current memory context holds, so that an error frees it.
    ///
    /// # Safety
    /// The relation is open.
    unsafe fn take(rel: Rel, relation: pg_sys::Relation) -> Result<Self> {
        let epoch = relcache::shapes_epoch();
        // SAFETY: as the caller promises.
        let table = unsafe { (*relation).rd_id };
        let kept = KEPT.with_borrow_mut(|kept| {
            kept.extract_if(|_, kept| kept.epoch != epoch)
                .for_each(|(_, stale)| stale.free());
            kept.remove(&table)
        });
        // SAFETY: what is kept is whole.
        unsafe {
            match kept {
                Some(kept) => {
                    pg_sys::MemoryContextSetParent(kept.memory, pg_sys::CurrentMemoryContext);
                    Ok(kept)
                }
                None => Self::new(rel, relation, epoch),
            }
        }
    }

    /// # Safety
    /// The relation is open.
    unsafe fn new(rel: Rel, relation: pg_sys::Relation, epoch: u64) -> Result<Self> {
        // Preparing an index's expression may already run functions, and asks who may.
        let _owner = AsOwner::enter()?;
        // SAFETY: a constant name; the sizes are the server's own for what is small.
        let memory = unsafe {
            pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"writing to a table of dialstack".as_ptr(),
                pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
                pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                pg_sys::ALLOCSET_SMALL_MAXSIZE as usize,
            )
        };
        // SAFETY: it was just made, and nothing in it refers to anything that ends earlier: the relation
        // is set anew for each row. As number of a range table's entry, 0 is none: there is no range table.
        let prepared = unsafe {
            PgMemoryContexts::For(memory).switch_to(|_| {
                let executor = pg_sys::CreateExecutorState();
                let result =
                    PgBox::<pg_sys::ResultRelInfo>::alloc_node(pg_sys::NodeTag::T_ResultRelInfo)
                        .into_pg();
                pg_sys::InitResultRelInfo(result, relation, 0, null_mut(), 0);
                let indexes = index_ids(relation);
                let indexes = indexes.map(|id| Index::prepare(id, executor)).collect();
                Prepared {
                    memory,
                    result,
                    executor,
                    indexes,
                    as_made: is_as_made(rel, relation),
                    as_told: is_as_told(relation),
                    epoch,
                }
            })
        };
        Ok(prepared)
    }

    /// Keeps it for the next row of the table.
    fn keep(self, table: pg_sys::Oid) {
        if self.indexes.iter().any(Index::has_expressions) {
            // The server would remember for longer than a statement what the functions look up.
            return self.free();
        }
        // SAFETY: made in `new`. What was computed for the row is not needed any more.
        unsafe {
            if let Some(context) = (*self.executor).es_per_tuple_exprcontext.as_ref() {
                pg_sys::MemoryContextReset(context.ecxt_per_tuple_memory);
            }
            pg_sys::MemoryContextSetParent(self.memory, pg_sys::CacheMemoryContext);
        }
        // An index of somebody else may have made our functions write to the same table meanwhile.
        let other = KEPT.with_borrow_mut(|kept| kept.insert(table, self));
        if let Some(other) = other {
            other.free();
        }
    }

    fn free(self) {
        // SAFETY: all that it holds is this, and nobody uses it any more.
        unsafe { pg_sys::MemoryContextDelete(self.memory) }
    }
}

/// The ids of a table's indexes.
///
/// # Safety
/// The relation is open.
unsafe fn index_ids(relation: pg_sys::Relation) -> impl Iterator<Item = pg_sys::Oid> {
    // SAFETY: the list is a copy.
    let list = unsafe { PgList::<()>::from_pg(pg_sys::RelationGetIndexList(relation)) };
    (0..list.len()).filter_map(move |n| list.get_oid(n))
}

impl Index {
    /// # Safety
    /// The index is one of an open table. The current memory context and the executor live as long as it.
    unsafe fn prepare(id: pg_sys::Oid, executor: *mut pg_sys::EState) -> Self {
        // SAFETY: opened and closed, as the executor does it for each statement.
        unsafe {
            let open = pg_sys::index_open(id, LOCK);
            let info = pg_sys::BuildIndexInfo(open);
            pg_sys::index_close(open, LOCK);
            if !(*info).ii_Predicate.is_null() {
                (*info).ii_PredicateState = pg_sys::ExecPrepareQual((*info).ii_Predicate, executor);
            }
            let calls_others =
                calls_others((*info).ii_Expressions) || calls_others((*info).ii_Predicate);
            Index {
                id,
                info,
                calls_others,
            }
        }
    }

    /// Whether it computes what it holds.
    fn has_expressions(&self) -> bool {
        // SAFETY: it lives as long as all that was prepared.
        unsafe { !(*self.info).ii_Expressions.is_null() }
    }

    /// Whether a row belongs into it.
    ///
    /// # Safety
    /// The slot holds a row of the table, and the executor is the one that it was prepared with.
    unsafe fn wants(&self, slot: &Slot, executor: *mut pg_sys::EState) -> bool {
        // SAFETY: as the caller promises; what the predicate raises is an ordinary error.
        unsafe {
            let Some(predicate) = (*self.info).ii_PredicateState.as_mut() else {
                return true;
            };
            let Some(evaluate) = predicate.evalfunc else {
                return true;
            };
            let mut context = (*executor).es_per_tuple_exprcontext;
            if context.is_null() {
                context = pg_sys::MakePerTupleExprContext(executor);
            }
            (*context).ecxt_scantuple = slot.0;
            let mut null = false;
            let mut memory = PgMemoryContexts::For((*context).ecxt_per_tuple_memory);
            let wanted = memory
                .switch_to(|_| pg_guard_ffi_boundary(|| evaluate(predicate, context, &mut null)));
            wanted.value() != 0
        }
    }
}

/// Whether expressions call a function that is not the server's own, or convert to a domain, whose constraints
/// may.
///
/// # Safety
/// Expressions of the relation cache, or none.
unsafe fn calls_others(expressions: *mut pg_sys::List) -> bool {
    #[pgrx::pg_guard]
    unsafe extern "C-unwind" fn visit(node: *mut pg_sys::Node, nothing: *mut c_void) -> bool {
        if node.is_null() {
            return false;
        }
        // SAFETY: a node of an expression, in which the server's walkers find their way.
        unsafe {
            is_a(node, pg_sys::NodeTag::T_CoerceToDomain)
                || pg_sys::check_functions_in_node(node, Some(is_others), nothing)
                || pg_sys::expression_tree_walker(node, Some(visit), nothing)
        }
    }
    #[pgrx::pg_guard]
    unsafe extern "C-unwind" fn is_others(function: pg_sys::Oid, _nothing: *mut c_void) -> bool {
        function.to_u32() >= pg_sys::FirstNormalObjectId
    }
    // SAFETY: as the caller promises.
    unsafe { pg_sys::expression_tree_walker(expressions.cast(), Some(visit), null_mut()) }
}

/// What the executor locks an index with that it writes to.
const LOCK: pg_sys::LOCKMODE = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;

/// Writes a row to a table.
pub(crate) struct Writer {
    prepared: ManuallyDrop<Prepared>,
    /// The indexes that were opened, and what is known of each.
    open: Vec<pg_sys::Relation>,
    infos: Vec<*mut pg_sys::IndexInfo>,
}

impl Writer {
    pub(crate) fn new(rel: Rel, relation: &OpenRelation) -> Result<Self> {
        // SAFETY: the relation is open, and stays so as long as the writer.
        let prepared = unsafe { Prepared::take(rel, relation.0) }?;
        // SAFETY: what is prepared is whole.
        unsafe { (*prepared.result).ri_RelationDesc = relation.0 };
        Ok(Writer {
            prepared: ManuallyDrop::new(prepared),
            open: Vec::new(),
            infos: Vec::new(),
        })
    }

    fn relation(&self) -> pg_sys::Relation {
        // SAFETY: set in `new`.
        unsafe { (*self.prepared.result).ri_RelationDesc }
    }

    /// Whether nobody has added to the table what only a statement heeds.
    pub(crate) fn is_as_made(&self) -> bool {
        self.prepared.as_made
    }

    /// Whether a statement that changes a row does what it says: no rule and no trigger makes something else
    /// of it.
    pub(crate) fn is_as_told(&self) -> bool {
        self.prepared.as_told
    }

    /// What functions of others compute for an index, they compute as the owner, and nothing else is done so.
    fn as_computing(&self) -> Result<Option<AsOwner>> {
        let any = self.prepared.indexes.iter().any(|index| index.calls_others);
        any.then(AsOwner::enter).transpose()
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
                pg_sys::ExecConstraints(self.prepared.result, slot.0, self.prepared.executor);
            }
        }
    }

    /// Opens the indexes that a row belongs into.
    ///
    /// # Safety
    /// The slot holds a row of the relation.
    unsafe fn open_indexes(&mut self, slot: &Slot) {
        for index in &self.prepared.indexes {
            // SAFETY: as the caller promises. The table is locked, and with it that the index stays.
            unsafe {
                if index.wants(slot, self.prepared.executor) {
                    // What the index keeps for itself during a statement, in the memory of that.
                    (*index.info).ii_AmCache = null_mut();
                    (*index.info).ii_Context = pg_sys::CurrentMemoryContext;
                    self.open.push(pg_sys::index_open(index.id, LOCK));
                    self.infos.push(index.info);
                }
            }
        }
        // SAFETY: made in `new`; the arrays live as long as they are told of here.
        unsafe {
            let result = self.prepared.result;
            (*result).ri_NumIndices = i32::try_from(self.open.len()).unwrap_or_default();
            (*result).ri_IndexRelationDescs = self.open.as_mut_ptr();
            (*result).ri_IndexRelationInfo = self.infos.as_mut_ptr();
        }
    }

    /// Stores a row.
    ///
    /// # Safety
    /// The slot holds a row of the relation.
    pub(crate) unsafe fn insert(&mut self, slot: &Slot) -> Result<()> {
        // SAFETY: slot, relation, indexes and executor belong together. What is violated is an ordinary
        // error.
        unsafe {
            self.check(slot);
            let _owner = self.as_computing()?;
            self.open_indexes(slot);
            pg_sys::simple_table_tuple_insert(self.relation(), slot.0);
            self.insert_index_entries(slot, Written::New);
        }
        Ok(())
    }

    /// Stores a new version of a row; `false` where it is not locked by us, and somebody else has it or has
    /// changed it since it was found.
    ///
    /// # Safety
    /// Both slots are of the relation.
    pub(crate) unsafe fn update(
        &mut self,
        found: &Slot,
        slot: &Slot,
        locked: bool,
    ) -> Result<bool> {
        // SAFETY: as for an insert.
        unsafe {
            self.check(slot);
            // Publications may want to tell by what the row is known.
            pg_sys::CheckCmdReplicaIdentity(self.relation(), pg_sys::CmdType::CMD_UPDATE);
            let Some(written) = write_version(self.relation(), found, slot, locked) else {
                return Ok(false);
            };
            if written != Written::HeapOnly {
                let _owner = self.as_computing()?;
                self.open_indexes(slot);
                self.insert_index_entries(slot, written);
            }
        }
        Ok(true)
    }

    /// # Safety
    /// The slot holds a version of a row that was just written to the relation, whose indexes are open.
    unsafe fn insert_index_entries(&mut self, slot: &Slot, written: Written) {
        let (result, executor) = (self.prepared.result, self.prepared.executor);
        let (none, no_list) = (null_mut(), null_mut());
        let update = written != Written::New;
        // SAFETY: as the caller promises; a violated unique index raises an ordinary error.
        #[cfg(feature = "pg15")]
        unsafe {
            pg_sys::ExecInsertIndexTuples(result, slot.0, executor, update, false, none, no_list);
        }
        // SAFETY: as above.
        #[cfg(not(feature = "pg15"))]
        unsafe {
            let summarize = written == Written::Summarized;
            pg_sys::ExecInsertIndexTuples(
                result, slot.0, executor, update, false, none, no_list, summarize,
            );
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // SAFETY: taken once.
        let prepared = unsafe { ManuallyDrop::take(&mut self.prepared) };
        // While unwinding, the transaction's abort closes the indexes and frees the memory: nothing that an
        // error went through is kept.
        if std::thread::panicking() {
            return;
        }
        // SAFETY: what was opened is closed once; what refers to it is forgotten. The relation is still open.
        let table = unsafe {
            let result = &mut *prepared.result;
            pg_sys::ExecCloseIndices(result);
            result.ri_NumIndices = 0;
            result.ri_IndexRelationDescs = null_mut();
            result.ri_IndexRelationInfo = null_mut();
            let relation = std::mem::replace(&mut result.ri_RelationDesc, null_mut());
            (*relation).rd_id
        };
        prepared.keep(table);
    }
}

/// Whether nobody has added a trigger, a rule, a CHECK constraint or a column. A table that an update of the
/// extension has still to give columns is taken as it is.
///
/// # Safety
/// The relation is open.
unsafe fn is_as_made(rel: Rel, relation: pg_sys::Relation) -> bool {
    // SAFETY: an open relation has a row type, with constraints or none, and triggers and rules or none.
    unsafe {
        let row_type = (*relation).rd_att;
        let columns = usize::try_from((*row_type).natts).unwrap_or_default();
        let ours = rel.layout().columns();
        let plain = (*row_type)
            .constr
            .as_ref()
            .is_none_or(|all| all.num_check == 0);
        columns < ours
            || (columns == ours && plain && (*relation).rd_rules.is_null() && all_ours(relation))
    }
}

/// Whether a statement that changes a row of a table does what it says: no rule and no trigger makes something
/// else of it. Ours fire afterwards.
///
/// # Safety
/// The relation is open.
unsafe fn is_as_told(relation: pg_sys::Relation) -> bool {
    // SAFETY: an open relation has triggers and rules, or none.
    unsafe {
        let triggers = (*relation).trigdesc.as_ref();
        (*relation).rd_rules.is_null() && triggers.is_none_or(|all| !all.trig_update_before_row)
    }
}

/// Whether a table has no trigger but ours, which call functions of the table's schema.
///
/// # Safety
/// The relation is open.
unsafe fn all_ours(relation: pg_sys::Relation) -> bool {
    // SAFETY: a description counts its triggers, and each has a name.
    unsafe {
        let schema = (*(*relation).rd_rel).relnamespace;
        let Some(triggers) = (*relation).trigdesc.as_ref() else {
            return true;
        };
        let count = usize::try_from(triggers.numtriggers).unwrap_or_default();
        std::slice::from_raw_parts(triggers.triggers, count)
            .iter()
            .all(|trigger| {
                OURS.contains(&CStr::from_ptr(trigger.tgname))
                    && pg_sys::get_func_namespace(trigger.tgfoid) == schema
            })
    }
}

/// A version of a row that was stored, and where it wants index entries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// Of a new row, in every index.
    New,
    /// Of a row that is there, in every index.
    Updated,
    /// Of a row that is there, in indexes that summarize blocks (BRIN) only.
    #[cfg(not(feature = "pg15"))]
    Summarized,
    /// Of a row that is there, in none.
    HeapOnly,
}

/// Writes a new version of a row. `None` where it is not locked by us, and somebody else has it or has
/// changed it since it was found: what is written was made before any wait, so there is none here.
///
/// # Safety
/// Both slots are of the relation.
unsafe fn write_version(
    relation: pg_sys::Relation,
    found: &Slot,
    slot: &Slot,
    locked: bool,
) -> Option<Written> {
    #[cfg(feature = "pg15")]
    let mut indexes = false;
    #[cfg(not(feature = "pg15"))]
    let mut indexes = pg_sys::TU_UpdateIndexes::TU_None;
    let (snapshot, crosscheck) = (null_mut(), null_mut());
    let mut failure = pg_sys::TM_FailureData::default();
    let mut mode = pg_sys::LockTupleMode::LockTupleNoKeyExclusive;
    // SAFETY: as the caller promises. A table has an access method, and what that raises is an ordinary error.
    // The snapshot matters to no table that keeps its rows in a heap, as ours do.
    let outcome = unsafe {
        let write = (*(*relation).rd_tableam).tuple_update?;
        let place = &raw mut (*found.0).tts_tid;
        let command = pg_sys::GetCurrentCommandId(true);
        pg_guard_ffi_boundary(|| {
            write(
                relation,
                place,
                slot.0,
                command,
                snapshot,
                crosscheck,
                // Only who may wait finds out that the lock is our own.
                locked,
                &mut failure,
                &mut mode,
                &mut indexes,
            )
        })
    };
    if outcome != pg_sys::TM_Result::TM_Ok {
        return None;
    }
    #[cfg(feature = "pg15")]
    return Some(if indexes {
        Written::Updated
    } else {
        Written::HeapOnly
    });
    #[cfg(not(feature = "pg15"))]
    Some(match indexes {
        pg_sys::TU_UpdateIndexes::TU_All => Written::Updated,
        pg_sys::TU_UpdateIndexes::TU_Summarizing => Written::Summarized,
        _ => Written::HeapOnly,
    })
}
