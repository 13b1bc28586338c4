//! Functions of the server that pgrx has no bindings for. Each has the same form in every version
//! that we build for.

use std::ffi::{c_char, c_int};

use pgrx::pg_sys;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;

/// The object id of `pg_policy`, which is the same in every version.
pub const POLICY_RELATION: pg_sys::Oid = pg_sys::Oid::from_u32(3256);

mod raw {
    use super::c_char;
    use super::c_int;
    use super::pg_sys;

    unsafe extern "C-unwind" {
        pub fn find_all_inheritors(
            parent: pg_sys::Oid,
            lock_mode: c_int,
            parents: *mut *mut pg_sys::List,
        ) -> *mut pg_sys::List;
        pub fn has_superclass(relation: pg_sys::Oid) -> bool;
        pub fn get_relation_policy_oid(
            relation: pg_sys::Oid,
            policy: *const c_char,
            missing_ok: bool,
        ) -> pg_sys::Oid;
        pub fn datum_image_eq(
            one: pg_sys::Datum,
            other: pg_sys::Datum,
            by_value: bool,
            length: c_int,
        ) -> bool;
        pub fn get_timeout_active(timeout: c_int) -> bool;
        pub fn get_timeout_finish_time(timeout: c_int) -> pg_sys::TimestampTz;
    }
}

/// The object id of the database that this backend is connected to.
pub fn current_database() -> pg_sys::Oid {
    // SAFETY: a variable of the backend, set once at its start.
    unsafe { pg_sys::MyDatabaseId }
}

/// `STATEMENT_TIMEOUT` and, from PostgreSQL 17 on, `TRANSACTION_TIMEOUT` among the server's timers.
#[cfg(any(feature = "pg15", feature = "pg16"))]
const TIMEOUTS: [c_int; 1] = [3];
#[cfg(not(any(feature = "pg15", feature = "pg16")))]
const TIMEOUTS: [c_int; 2] = [3, 8];

/// When the running statement, or its transaction, is going to be cancelled because it takes too long; `None` if it
/// never is.
pub fn cancelled_at() -> Option<pg_sys::TimestampTz> {
    let running = TIMEOUTS.into_iter().filter_map(|timeout| {
        // SAFETY: reads the state of one of the server's own timers, which every backend has.
        unsafe { raw::get_timeout_active(timeout).then(|| raw::get_timeout_finish_time(timeout)) }
    });
    running.min()
}

/// The object ids of a relation and of all that inherits from it, each of the latter locked.
///
/// # Safety
/// Inside a transaction; the relation itself is locked.
pub unsafe fn find_all_inheritors(
    parent: pg_sys::Oid,
    lock_mode: pg_sys::LOCKMODE,
) -> *mut pg_sys::List {
    // SAFETY: by this function's own contract; an error passes the boundary as a panic.
    unsafe {
        pg_guard_ffi_boundary(|| raw::find_all_inheritors(parent, lock_mode, std::ptr::null_mut()))
    }
}

/// Whether a relation inherits from another, or is its partition.
///
/// # Safety
/// Inside a transaction.
pub unsafe fn has_superclass(relation: pg_sys::Oid) -> bool {
    // SAFETY: by this function's own contract; an error passes the boundary as a panic.
    unsafe { pg_guard_ffi_boundary(|| raw::has_superclass(relation)) }
}

/// The object id of a policy; InvalidOid if there is none of that name.
///
/// # Safety
/// Inside a transaction; `policy` ends with a NUL.
pub unsafe fn policy_oid(relation: pg_sys::Oid, policy: *const c_char) -> pg_sys::Oid {
    // SAFETY: by this function's own contract; an error passes the boundary as a panic.
    unsafe { pg_guard_ffi_boundary(|| raw::get_relation_policy_oid(relation, policy, true)) }
}

/// Whether two values of a type are the same bytes, once they are read in full.
///
/// # Safety
/// Both are values of a type that is kept in this way, and neither is NULL.
pub unsafe fn datum_image_eq(
    one: pg_sys::Datum,
    other: pg_sys::Datum,
    by_value: bool,
    length: i16,
) -> bool {
    // SAFETY: by this function's own contract; an error passes the boundary as a panic.
    unsafe { pg_guard_ffi_boundary(|| raw::datum_image_eq(one, other, by_value, length.into())) }
}
