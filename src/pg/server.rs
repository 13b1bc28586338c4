//! Functions of the server that pgrx has no bindings for. Each has the same form in every version
//! that we build for.

use std::ffi::{CStr, c_char, c_int, c_void};

use pgrx::list::List;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{memcx, pg_sys};

/// The object id of `pg_policy`, which is the same in every version.
pub const POLICY_RELATION: pg_sys::Oid = pg_sys::Oid::from_u32(3256);

mod raw {
    use super::{c_char, c_int, pg_sys};

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
        pub fn errcode(sqlerrcode: c_int) -> c_int;
    }
}

/// Functions of the bindings without the guard that turns an error of the server into a panic: a policy asks at every
/// row.
pub(super) mod bare {
    use super::pg_sys;

    unsafe extern "C-unwind" {
        pub fn AcceptInvalidationMessages();
        pub fn GetCurrentStatementStartTimestamp() -> pg_sys::TimestampTz;
        pub fn GetCurrentTransactionStartTimestamp() -> pg_sys::TimestampTz;
        pub fn GetUserId() -> pg_sys::Oid;
    }
}

/// The object id of the database that this backend is connected to.
pub fn current_database() -> pg_sys::Oid {
    // SAFETY: a variable of the backend, set once at its start.
    unsafe { pg_sys::MyDatabaseId }
}

/// Raises out of memory (53200) unless the server can get so many bytes now. An allocation of Rust that fails ends
/// the process, and with it every connection of the server; so what takes much asks here first.
pub fn ensure_memory(bytes: usize) {
    // SAFETY: palloc returns memory or raises an ordinary error; nothing keeps what is freed at once.
    unsafe { pg_sys::pfree(pg_sys::palloc(bytes)) }
}

/// The number of `STATEMENT_TIMEOUT` among the server's timers.
const STATEMENT_TIMEOUT: c_int = 3;

/// The timers that cancel a statement; from PostgreSQL 17 on `TRANSACTION_TIMEOUT` too.
#[cfg(any(feature = "pg15", feature = "pg16"))]
const TIMEOUTS: [c_int; 1] = [STATEMENT_TIMEOUT];
#[cfg(not(any(feature = "pg15", feature = "pg16")))]
const TIMEOUTS: [c_int; 2] = [STATEMENT_TIMEOUT, 8];

/// When the running statement, or its transaction, is going to be cancelled because it takes too long; `None` if it
/// never is.
pub fn cancelled_at() -> Option<pg_sys::TimestampTz> {
    TIMEOUTS.into_iter().filter_map(ends_at).min()
}

/// When a timer is over; `None` where it does not run.
fn ends_at(timeout: c_int) -> Option<pg_sys::TimestampTz> {
    // SAFETY: reads the state of one of the server's own timers, which every backend has.
    unsafe { raw::get_timeout_active(timeout).then(|| raw::get_timeout_finish_time(timeout)) }
}

/// Locks what may be a relation until the transaction ends or it is unlocked. With the lock comes what happened to it
/// meanwhile: look it up again.
pub fn lock_relation(relation: pg_sys::Oid, mode: u32) {
    // SAFETY: an object id can be locked whether or not it still exists.
    unsafe { pg_sys::LockRelationOid(relation, mode as pg_sys::LOCKMODE) }
}

/// Locks a number within a relation until the transaction ends. No SQL statement takes such a lock.
pub fn lock_number(relation: pg_sys::Oid, number: u32, mode: u32) {
    // SAFETY: what is locked is a name for the lock alone; nothing of that number need exist.
    unsafe { pg_sys::LockDatabaseObject(relation, number.into(), 0, mode as pg_sys::LOCKMODE) }
}

/// The object ids of a relation, which the caller has locked, and of all that inherits from it, each of the latter
/// locked too.
pub fn find_all_inheritors(parent: pg_sys::Oid, mode: u32) -> Vec<pg_sys::Oid> {
    // SAFETY: inside a transaction, as every SQL function is; an error passes the boundary as a panic. The list of
    // object ids is made in the current memory context.
    let family = unsafe {
        let family = pg_guard_ffi_boundary(|| {
            raw::find_all_inheritors(parent, mode as pg_sys::LOCKMODE, std::ptr::null_mut())
        });
        memcx::current_context(|context| {
            List::<pg_sys::Oid>::downcast_ptr_in_memcx(family, context)
                .map(|list| list.iter().copied().collect())
        })
    };
    family.unwrap_or_default()
}

/// Whether a relation inherits from another, or is its partition.
pub fn has_superclass(relation: pg_sys::Oid) -> bool {
    // SAFETY: inside a transaction, as every SQL function is; an error passes the boundary as a panic.
    unsafe { pg_guard_ffi_boundary(|| raw::has_superclass(relation)) }
}

/// Lets the statement timeout cancel the current statement when `choose` says (`None`: never), which is
/// given when it does so now. Returns that.
pub fn replace_statement_timeout(
    choose: impl FnOnce(Option<pg_sys::TimestampTz>) -> Option<pg_sys::TimestampTz>,
) -> Option<pg_sys::TimestampTz> {
    let before = ends_at(STATEMENT_TIMEOUT);
    // SAFETY: the timer is the server's own, set up when the backend began. Neither raises an error, so that this may
    // also be called while one unwinds.
    unsafe {
        match choose(before) {
            Some(at) => raw::enable_timeout_at(STATEMENT_TIMEOUT, at),
            None => raw::disable_timeout(STATEMENT_TIMEOUT, true),
        }
    }
    before
}

/// The object id of a policy; InvalidOid if there is none of that name.
pub fn policy_oid(relation: pg_sys::Oid, policy: &CStr) -> pg_sys::Oid {
    // SAFETY: inside a transaction, as every SQL function is; an error passes the boundary as a panic.
    unsafe { pg_guard_ffi_boundary(|| raw::get_relation_policy_oid(relation, policy.as_ptr(), true)) }
}

/// Whether two values of a type are the same bytes, once they are read in full.
///
/// # Safety
/// Both are values of a type that is kept in this way, and neither is NULL.
pub unsafe fn datum_image_eq(one: pg_sys::Datum, other: pg_sys::Datum, by_value: bool, length: i16) -> bool {
    // SAFETY: by this function's own contract; an error passes the boundary as a panic.
    unsafe { pg_guard_ffi_boundary(|| raw::datum_image_eq(one, other, by_value, length.into())) }
}

/// Raises an error with a SQLSTATE that pgrx has no name for: five of A-Z and 0-9.
///
/// pgrx raises it, and while it does so the server calls the error context callbacks, of which this adds one.
pub fn raise_as(report: ErrorReport, state: [u8; 5]) -> ! {
    // As MAKE_SQLSTATE does it: six bits a character.
    let code = state
        .iter()
        .rev()
        .fold(0, |code: usize, character| (code << 6) | usize::from(character.wrapping_sub(b'0') & 0x3F));
    // SAFETY: a plain list of the backend. The entry lies in memory of the transaction, which outlives the error:
    // to catch it is to set the list back to what it was, and only then does the transaction end.
    unsafe {
        let size = size_of::<pg_sys::ErrorContextCallback>();
        let entry: *mut pg_sys::ErrorContextCallback =
            pg_sys::MemoryContextAlloc(pg_sys::CurTransactionContext, size).cast();
        entry.write(pg_sys::ErrorContextCallback {
            previous: pg_sys::error_context_stack,
            callback: Some(set_sqlstate),
            arg: code as *mut c_void,
        });
        pg_sys::error_context_stack = entry;
    }
    report.report(pgrx::PgLogLevel::ERROR);
    unreachable!("an error returns to nobody")
}

/// Called by the server while it raises an error.
unsafe extern "C-unwind" fn set_sqlstate(code: *mut c_void) {
    // SAFETY: inside of such a callback there is an error whose code can be set; nothing is raised.
    unsafe { raw::errcode(code as usize as c_int) };
}
