//! Work that gives up where somebody holds the lock that it needs.

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder, pg_sys};

use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;

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

/// Does the work in a subtransaction, waiting for no lock longer than a moment. `None` where one was
/// not to be had: the work is then undone, and the transaction goes on.
pub fn unless_busy<T>(_owner: &AsOwner, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let inner = Subtransaction::begin();
    let undo = AssertUnwindSafe(&inner);
    let done = PgTryBuilder::new(AssertUnwindSafe(|| {
        let patience = Setting::short_lock_timeout();
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
