//! A pinned entry of the relation cache.

use pgrx::pg_sys;

/// What the server knows of a relation, for as long as this lives. It is unlocked: what it says may have changed,
/// unless the caller holds a lock.
pub struct Entry(pg_sys::Relation);

impl Entry {
    /// `None` for a relation that was dropped.
    pub fn of(relation: pg_sys::Oid) -> Option<Self> {
        // SAFETY: pins an entry, or returns NULL.
        let entry = unsafe { pg_sys::RelationIdGetRelation(relation) };
        (!entry.is_null()).then_some(Entry(entry))
    }

    /// Its row of `pg_class`.
    pub fn class(&self) -> &pg_sys::FormData_pg_class {
        // SAFETY: a pinned entry has one, and stays where it is.
        unsafe { &*(*self.0).rd_rel }
    }

    /// The server's own pointer to it, good for as long as this lives.
    pub(in crate::pg) fn as_ptr(&self) -> pg_sys::Relation {
        self.0
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // An error unpins it with the transaction's resources.
        if !std::thread::panicking() {
            // SAFETY: pinned by `of`, unpinned once.
            unsafe { pg_sys::RelationClose(self.0) }
        }
    }
}
