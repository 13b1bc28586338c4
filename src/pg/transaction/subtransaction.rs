//! Work that is undone when it fails, while the transaction goes on.

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
        // SAFETY: the innermost subtransaction is the one that `begin` began, also after an error: the
        // server has undone those within it. Without an error, flushing its state does nothing.
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

/// Does the work in a subtransaction. If it fails, its writes are undone; `instead` may return something
/// instead of the server's error, by its code, and the transaction goes on.
pub fn recovering<T>(
    _owner: &AsOwner,
    work: impl FnOnce() -> Result<T>,
    instead: impl Fn(PgSqlErrorCode) -> Option<Result<T>>,
) -> Result<T> {
    let inner = Subtransaction::begin();
    let failed = AssertUnwindSafe((&inner, instead));
    PgTryBuilder::new(AssertUnwindSafe(|| {
        let done = work();
        match done {
            Ok(_) => inner.commit(),
            Err(_) => inner.rollback(),
        }
        done
    }))
    .catch_others(move |cause| {
        let AssertUnwindSafe((inner, instead)) = &failed;
        inner.rollback();
        code(&cause)
            .and_then(instead)
            .unwrap_or_else(|| cause.rethrow())
    })
    .execute()
}

/// Does the work in a subtransaction, waiting for no lock longer than a moment. `None` where one was
/// not to be had: the work is then undone, and the transaction goes on.
pub fn unless_busy<T>(owner: &AsOwner, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let patiently = || {
        let _patience = Setting::short_lock_timeout();
        work().map(Some)
    };
    recovering(owner, patiently, |code| {
        (code == PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE).then_some(Ok(None))
    })
}

fn code(cause: &CaughtError) -> Option<PgSqlErrorCode> {
    match cause {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => {
            Some(report.sql_error_code())
        }
        CaughtError::RustPanic { .. } => None,
    }
}
