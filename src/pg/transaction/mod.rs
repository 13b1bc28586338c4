//! What the running transaction allows.

pub mod patience;
pub mod subtransaction;

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

/// Whether what is set locally now would be gone before another statement could use it: the call
/// stands alone, outside of a transaction block and of a procedural function, DO or CALL.
pub fn is_single_statement() -> bool {
    // SAFETY: reads variables of the backend. Taking away a relation that nobody registered does
    // nothing, and answers whether a procedural language runs statements through SPI.
    unsafe {
        !pg_sys::IsTransactionBlock()
            && !pg_sys::IsSubTransaction()
            && pg_sys::SPI_unregister_relation(c"".as_ptr()) == pg_sys::SPI_ERROR_UNCONNECTED
    }
}
