//! Work that is undone when it fails, while the transaction goes on.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgSqlErrorCode as S, PgTryBuilder, pg_sys};

use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;

thread_local! {
    static COUNTED: Cell<u64> = const { Cell::new(0) };
}

/// Counts what was done. What a subtransaction of this module undoes is not counted any more.
pub fn count(done: u64) {
    COUNTED.set(COUNTED.get() + done);
}

/// What was counted so far in this connection, also what was undone otherwise.
pub fn counted() -> u64 {
    COUNTED.get()
}

/// A subtransaction in progress, and where to go back to.
struct Subtransaction {
    context: pg_sys::MemoryContext,
    resources: pg_sys::ResourceOwner,
    counted: u64,
}

impl Subtransaction {
    fn begin() -> Self {
        // SAFETY: inside a transaction, as every SQL function is. The memory context stays the
        // caller's, as PL/pgSQL does for its blocks.
        unsafe {
            let before = Subtransaction {
                context: pg_sys::CurrentMemoryContext,
                resources: pg_sys::CurrentResourceOwner,
                counted: COUNTED.get(),
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
        COUNTED.set(self.counted);
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
/// instead of the server's error, by its code and message, and the transaction goes on.
pub fn recovering<T>(
    _owner: &AsOwner,
    work: impl FnOnce() -> Result<T>,
    instead: impl Fn(PgSqlErrorCode, &str) -> Option<Result<T>>,
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
        let answer = match &cause {
            CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => {
                instead(report.sql_error_code(), report.message())
            }
            CaughtError::RustPanic { .. } => None,
        };
        answer.unwrap_or_else(|| cause.rethrow())
    })
    .execute()
}

/// What came of work that was tried.
pub enum Tried<T> {
    /// It is done.
    Done(T),
    /// A lock was not to be had at once: the work is undone.
    Busy,
    /// A constraint forbids it: the work is undone. With the server's message.
    Forbidden(String),
}

/// Does the work in a subtransaction, waiting for no lock longer than a moment.
pub fn attempt<T>(owner: &AsOwner, work: impl FnOnce() -> Result<T>) -> Result<Tried<T>> {
    let patiently = || {
        let _patience = Setting::short_lock_timeout();
        work().map(Tried::Done)
    };
    recovering(owner, patiently, |code, message| match code {
        S::ERRCODE_LOCK_NOT_AVAILABLE => Some(Ok(Tried::Busy)),
        // What a foreign key of somebody else does: refuse, or change rows there that may not change so.
        S::ERRCODE_FOREIGN_KEY_VIOLATION
        | S::ERRCODE_RESTRICT_VIOLATION
        | S::ERRCODE_NOT_NULL_VIOLATION
        | S::ERRCODE_CHECK_VIOLATION
        | S::ERRCODE_UNIQUE_VIOLATION => Some(Ok(Tried::Forbidden(message.to_owned()))),
        _ => None,
    })
}

/// Does the work in a subtransaction, waiting for no lock longer than a moment. `None` where one was
/// not to be had: the work is then undone, and the transaction goes on.
pub fn unless_busy<T>(owner: &AsOwner, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    unless_locked(owner, Setting::short_lock_timeout, work)
}

/// Does the work in a subtransaction under a `lock_timeout`. `None` where that ended it: the work is then undone,
/// and the transaction goes on.
pub fn unless_locked<T>(
    owner: &AsOwner,
    patience: fn() -> Setting,
    work: impl FnOnce() -> Result<T>,
) -> Result<Option<T>> {
    let patiently = || {
        let _patience = patience();
        work().map(Some)
    };
    recovering(owner, patiently, |code, _| (code == S::ERRCODE_LOCK_NOT_AVAILABLE).then_some(Ok(None)))
}
