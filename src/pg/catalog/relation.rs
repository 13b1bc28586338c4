//! A relation that is open.

use std::ffi::{CStr, c_char};
use std::ptr::NonNull;

use pgrx::{PgList, PgTupleDesc, pg_sys};

const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
const NO_LOCK: pg_sys::LOCKMODE = pg_sys::NoLock as pg_sys::LOCKMODE;

/// A relation whose entry in the relation cache is pinned. What it says may have changed, unless the relation is
/// locked. It is closed, and the lock that came with it released, on drop; when an error unwinds past it, the abort
/// of the transaction does both.
pub struct OpenRelation {
    entry: NonNull<pg_sys::RelationData>,
    lock: pg_sys::LOCKMODE,
}

pub struct Policy {
    pub name: String,
    /// Whether it lets rows through, where a restrictive one only keeps them back.
    pub permissive: bool,
}

/// How row-level security stands on a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowSecurity {
    pub enabled: bool,
    /// Whether it binds the owner too.
    pub forced: bool,
}

impl OpenRelation {
    /// Opens a relation without a lock; `None` where there is none of this number.
    pub fn unlocked(relation: pg_sys::Oid) -> Option<Self> {
        // SAFETY: pins an entry, or returns NULL.
        let opened = unsafe { pg_sys::RelationIdGetRelation(relation) };
        NonNull::new(opened).map(|entry| OpenRelation { entry, lock: NO_LOCK })
    }

    /// Opens a relation that the transaction has locked, and goes on to lock.
    pub(in crate::pg) fn locked(relation: pg_sys::Oid) -> Self {
        // SAFETY: raises an ordinary error for what is no relation, and else returns its entry.
        let entry = unsafe { NonNull::new_unchecked(pg_sys::relation_open(relation, NO_LOCK)) };
        OpenRelation { entry, lock: NO_LOCK }
    }

    /// Opens a relation and locks it in ACCESS SHARE mode; `None` where another lock is in the way now, or there is no
    /// relation of this number.
    pub fn open_now(relation: pg_sys::Oid) -> Option<Self> {
        // SAFETY: inside a transaction, as every SQL function is. Any number may be locked: one that is no
        // relation's is answered with NULL, and its lock is released with the transaction.
        let opened = unsafe {
            if !pg_sys::ConditionalLockRelationOid(relation, LOCK) {
                return None;
            }
            pg_sys::try_relation_open(relation, NO_LOCK)
        };
        NonNull::new(opened).map(|entry| OpenRelation { entry, lock: LOCK })
    }

    /// The server's entry for it, good for as long as this lives.
    pub(in crate::pg) fn as_ptr(&self) -> pg_sys::Relation {
        self.entry.as_ptr()
    }

    pub fn class(&self) -> &pg_sys::FormData_pg_class {
        // SAFETY: a pinned entry has one, and stays where it is.
        unsafe { &*self.entry.as_ref().rd_rel }
    }

    /// Its columns, dropped ones among them.
    pub(in crate::pg) fn columns(&self) -> PgTupleDesc<'_> {
        // SAFETY: a pinned entry has a row descriptor, which lives as long as it and is only read.
        unsafe { PgTupleDesc::from_pg_unchecked(self.entry.as_ref().rd_att) }
    }

    /// How row-level security stands on it, and its policies. The server loads none where it is off.
    pub fn row_security(&self) -> (RowSecurity, Vec<Policy>) {
        let class = self.class();
        let row_security = RowSecurity { enabled: class.relrowsecurity, forced: class.relforcerowsecurity };
        // SAFETY: the entry is pinned, and nothing is called here that could receive an invalidation of it. The list
        // holds policies.
        unsafe {
            let Some(description) = self.entry.as_ref().rd_rsdesc.as_ref() else {
                return (row_security, Vec::new());
            };
            let list = PgList::<pg_sys::RowSecurityPolicy>::from_pg(description.policies);
            let policies = list.iter_ptr().filter_map(|policy| {
                Some(Policy { name: copied((*policy).policy_name)?, permissive: (*policy).permissive })
            });
            (row_security, policies.collect())
        }
    }
}

impl Drop for OpenRelation {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened with this lock, and closed nowhere else.
            unsafe { pg_sys::relation_close(self.as_ptr(), self.lock) };
        }
    }
}

/// A copy of a C string of the server's, which is encoded in UTF-8 like the database; `None` for NULL.
///
/// # Safety
/// `text` is NULL or ends with a NUL.
pub(super) unsafe fn copied(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, so it ends with a NUL, as the caller promises.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}
