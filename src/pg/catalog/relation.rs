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
        // SAFETY: inside a transaction, as every SQL function is; a number that is no relation's is
        // answered with NULL.
        NonNull::new(unsafe { pg_sys::try_relation_open(relation, LOCK) }).map(OpenRelation)
    }

    /// The server's entry for it.
    pub(super) fn as_ptr(&self) -> pg_sys::Relation {
        self.0.as_ptr()
    }

    /// How row-level security stands on it.
    pub fn row_security(&self) -> RowSecurity {
        // SAFETY: an open relation is pinned in the relation cache, and always has its pg_class row.
        let form = unsafe { &*self.0.as_ref().rd_rel };
        RowSecurity {
            enabled: form.relrowsecurity,
            forced: form.relforcerowsecurity,
        }
    }

    /// Its policies; `None` where row-level security is off: the server then loads none.
    pub fn policies(&self) -> Option<Vec<Policy>> {
        // SAFETY: an open relation is pinned in the relation cache, and nothing is called meanwhile
        // that could receive an invalidation of it. The list holds policies.
        unsafe {
            let description = self.0.as_ref().rd_rsdesc.as_ref()?;
            let list = PgList::<pg_sys::RowSecurityPolicy>::from_pg(description.policies);
            let policies = list.iter_ptr().filter_map(|policy| {
                Some(Policy {
                    name: copied((*policy).policy_name)?,
                    permissive: (*policy).permissive,
                })
            });
            Some(policies.collect())
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
    // SAFETY: not NULL here, so it ends with a NUL, as the caller promises.
    (!text.is_null()).then(|| {
        unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned()
    })
}
