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
        pub fn enable_timeout_at(timeout: c_int, time: pg_sys::TimestampTz);
        pub fn disable_timeout(timeout: c_int, keep_indicator: bool);
    }
}

/// The object id of the database that this backend is connected to.
pub fn current_database() -> pg_sys::Oid {
    // SAFETY: a variable of the backend, set once at its start.
    unsafe { pg_sys::MyDatabaseId }
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

/// The number of `STATEMENT_TIMEOUT`.
const STATEMENT_TIMEOUT: c_int = 3;

/// Lets the statement timeout cancel the current statement when `choose` says (`None`: never), which is
/// given when it does so now. Returns that.
pub fn replace_statement_timeout(
    choose: impl FnOnce(Option<pg_sys::TimestampTz>) -> Option<pg_sys::TimestampTz>,
) -> Option<pg_sys::TimestampTz> {
    // SAFETY: the timer is the server's own, set up when the backend began. None of these raises an
    // error, so that this may also be called while one unwinds.
    unsafe {
        let before = raw::get_timeout_active(STATEMENT_TIMEOUT)
            .then(|| raw::get_timeout_finish_time(STATEMENT_TIMEOUT));
        match choose(before) {
            Some(at) => raw::enable_timeout_at(STATEMENT_TIMEOUT, at),
            None => raw::disable_timeout(STATEMENT_TIMEOUT, true),
        }
        before
    }
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
