//! What the running transaction allows.

pub mod patience;
pub mod subtransaction;

use pgrx::{PgXactCallbackEvent, pg_sys, register_xact_callback};

use crate::pg::clock;

/// Whether the transaction sees with one snapshot from beginning to end (REPEATABLE READ and above).
pub fn has_old_snapshot() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// Whether rows can be written: not in READ ONLY transactions or on standbys. In a parallel plan the server raises
/// 25000 for a write; what may write is PARALLEL UNSAFE, so only a caller's mislabelled function gets there.
pub fn can_write() -> bool {
    // SAFETY: reads variables of the backend.
    unsafe { !pg_sys::XactReadOnly && !pg_sys::RecoveryInProgress() }
}

/// Calls `warn` before the commit, if what is set locally now is gone then and no other statement could use it: the
/// call stands alone, outside of a transaction block and of a procedural function, DO or CALL. Whether other
/// statements follow in a pipeline is known only at its end.
pub fn warn_if_alone(warn: fn()) {
    // SAFETY: reads variables of the backend. Taking away a relation that nobody registered does
    // nothing, and answers whether a procedural language runs statements through SPI.
    let is_alone = unsafe {
        !pg_sys::IsTransactionBlock()
            && !pg_sys::IsSubTransaction()
            && pg_sys::SPI_unregister_relation(c"".as_ptr()) == pg_sys::SPI_ERROR_UNCONNECTED
    };
    if is_alone {
        let began = clock::began();
        register_xact_callback(PgXactCallbackEvent::PreCommit, move || {
            if clock::began() == began {
                warn();
            }
        });
    }
}
