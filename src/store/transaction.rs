//! What the running transaction allows.

use pgrx::pg_sys;

/// Whether rows can be written: not in READ ONLY transactions, on standbys or in parallel workers.
pub fn can_write() -> bool {
    // SAFETY: reads variables of the backend.
    unsafe { !pg_sys::XactReadOnly && !pg_sys::RecoveryInProgress() && !pg_sys::IsInParallelMode() }
}
