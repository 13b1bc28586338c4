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

/// Whether what is set locally now would be gone after this very statement: it stands alone, outside
/// of a transaction block, and is no DO or CALL, which may go on and use it.
pub fn is_single_statement() -> bool {
    // SAFETY: reads variables of the backend; an active portal outlives the call made by it.
    unsafe {
        if pg_sys::IsTransactionBlock() || pg_sys::IsSubTransaction() {
            return false;
        }
        let portal = pg_sys::ActivePortal;
        portal.is_null()
            || !matches!(
                (*portal).commandTag,
                pg_sys::CommandTag::CMDTAG_DO | pg_sys::CommandTag::CMDTAG_CALL
            )
    }
}
