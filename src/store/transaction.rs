//! What the running transaction allows.

use pgrx::pg_sys;

/// Whether the transaction sees with one snapshot from beginning to end (REPEATABLE READ and above).
pub fn has_old_snapshot() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// Whether rows can be written: not in READ ONLY transactions, on standbys or in parallel workers.
pub fn can_write() -> bool {
    // SAFETY: reads variables of the backend.
    unsafe { !pg_sys::XactReadOnly && !pg_sys::RecoveryInProgress() && !pg_sys::IsInParallelMode() }
}
