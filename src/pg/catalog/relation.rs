//! A relation that is open.

use std::ffi::{CStr, c_char};
use std::ptr::NonNull;

use pgrx::{PgList, pg_sys};

const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;

/// A relation that is open and locked in ACCESS SHARE mode. It is closed, and this lock released, on
/// drop; when an error unwinds past it, the abort of the transaction does both.
pub struct OpenRelation(NonNull<pg_sys::RelationData>);

/// A policy of a table.
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Whether it lets rows through, where a restrictive one only keeps them back.
    pub permissive: bool,
}

/// How row-level security stands on a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowSecurity {
    /// Whether it is on.
    pub enabled: bool,
    /// Whether it binds the owner too.
    pub forced: bool,
}

impl OpenRelation {
    /// Opens a relation; `None` where there is none of this number. Waits for the lock.
    pub fn open(relation: pg_sys::Oid) -> Option<Self> {
        Self::open_locked(relation, true)
    }

    /// Opens a relation whose lock is free now; `None` where it is not, or there is no such relation.
    pub fn open_now(relation: pg_sys::Oid) -> Option<Self> {
        Self::open_locked(relation, false)
    }

    fn open_locked(relation: pg_sys::Oid, wait: bool) -> Option<Self> {
        // SAFETY: inside a transaction, as every SQL function is. Any number may be locked: one that is no
        // relation's is answered with NULL, and its lock is released with the transaction.
        let opened = unsafe {
            if !wait && !pg_sys::ConditionalLockRelationOid(relation, LOCK) {
                return None;
            }
            let lock = if wait { LOCK } else { pg_sys::NoLock as pg_sys::LOCKMODE };
            pg_sys::try_relation_open(relation, lock)
        };
        NonNull::new(opened).map(OpenRelation)
    }

    /// The server's entry for it.
    pub(super) fn as_ptr(&self) -> pg_sys::Relation {
        self.0.as_ptr()
    }

    /// How row-level security stands on it, and its policies. The server loads none where it is off.
    pub fn row_security(&self) -> (RowSecurity, Vec<Policy>) {
        // SAFETY: an open relation is pinned in the relation cache, always has its pg_class row, and
        // nothing is called here that could receive an invalidation of it. The list holds policies.
        unsafe {
            let relation = self.0.as_ref();
            let row_security = RowSecurity {
                enabled: (*relation.rd_rel).relrowsecurity,
                forced: (*relation.rd_rel).relforcerowsecurity,
            };
            let Some(description) = relation.rd_rsdesc.as_ref() else {
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
            // SAFETY: opened with this lock by `open`, and closed nowhere else.
            unsafe { pg_sys::relation_close(self.0.as_ptr(), LOCK) };
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
