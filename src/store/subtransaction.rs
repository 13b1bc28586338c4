//! Work that gives up where somebody holds the lock that it needs.

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder, pg_sys};

use super::owner::AsOwner;
use crate::error::Result;

/// How long a lock is waited for. Behind who waits for a table others queue up: so not for long.
const LOCK_TIMEOUT: &std::ffi::CStr = c"200ms";

/// A subtransaction in progress, and where to go back to.
struct Subtransaction {
    context: pg_sys::MemoryContext,
    resources: pg_sys::ResourceOwner,
}

impl Subtransaction {
    fn begin() -> Self {
        // SAFETY: inside a transaction, as every SQL function is. The memory context stays the
        // caller's, as PL/pgSQL does for its blocks.
        unsafe {
            let before = Subtransaction {
                context: pg_sys::CurrentMemoryContext,
                resources: pg_sys::CurrentResourceOwner,
            };
            pg_sys::BeginInternalSubTransaction(std::ptr::null());
            pg_sys::MemoryContextSwitchTo(before.context);
            before
        }
    }

    fn commit(&self) {
        // SAFETY: the innermost subtransaction is the one that `begin` began.
        unsafe {
            pg_sys::ReleaseCurrentSubTransaction();
            self.go_back();
        }
    }

    fn rollback(&self) {
        // SAFETY: as above. Also after an error: this is how one is recovered from.
        unsafe {
            pg_sys::MemoryContextSwitchTo(self.context);
            pg_sys::FlushErrorState();
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            self.go_back();
        }
    }

    unsafe fn go_back(&self) {
        // SAFETY: both are the caller's and outlive the subtransaction.
        unsafe {
            pg_sys::MemoryContextSwitchTo(self.context);
            pg_sys::CurrentResourceOwner = self.resources;
        }
    }
}

/// While it lives, waiting for a lock ends with an error after [`LOCK_TIMEOUT`]. The end of a
/// subtransaction that fails restores the caller's setting too.
struct ShortPatience(i32);

impl ShortPatience {
    fn begin() -> Self {
        // SAFETY: a constant setting of the server, on a nest level of its own.
        unsafe {
            let level = pg_sys::NewGUCNestLevel();
            pg_sys::set_config_option(
                c"lock_timeout".as_ptr(),
                LOCK_TIMEOUT.as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
            ShortPatience(level)
        }
    }
}

impl Drop for ShortPatience {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: the nest level is the one that `begin` made.
            unsafe { pg_sys::AtEOXact_GUC(false, self.0) }
        }
    }
}

/// Does the work in a subtransaction, waiting for no lock longer than a moment. `None` where one was
/// not to be had: the work is then undone, and the transaction goes on.
pub fn unless_busy<T>(_owner: &AsOwner, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let inner = Subtransaction::begin();
    let undo = AssertUnwindSafe(&inner);
    let done = PgTryBuilder::new(AssertUnwindSafe(|| {
        let patience = ShortPatience::begin();
        let done = work();
        drop(patience);
        match done {
            Ok(_) => inner.commit(),
            Err(_) => inner.rollback(),
        }
        done.map(Some)
    }))
    .catch_others(move |cause| {
        undo.rollback();
        if is_busy(&cause) {
            return Ok(None);
        }
        cause.rethrow()
    });
    done.execute()
}

fn is_busy(cause: &CaughtError) -> bool {
    let code = match cause {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => {
            report.sql_error_code()
        }
        CaughtError::RustPanic { .. } => return false,
    };
    code == PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE
}
