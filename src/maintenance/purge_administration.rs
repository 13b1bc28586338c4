//! Deleting what administrators did longer ago than the retention.

use pgrx::pg_sys;

use crate::error::Result;
use crate::guc;
use crate::maintenance::horizon::Horizon;
use crate::maintenance::purge::Purged;
use crate::pg::roles::AsOwner;
use crate::pg::transaction::subtransaction::unless_busy;
use crate::tables::administration;

/// Deletes old rows of `administration`, `batch` at a time.
pub fn administration(owner: &AsOwner, horizon: &Horizon, batch: u32) -> Result<Purged> {
    let before = horizon.seen.saturating_sub(guc::administration_retention_micros());
    let purge = || {
        let mut rows = 0;
        loop {
            let deleted = administration::delete(owner, before, i64::from(batch))?;
            rows += deleted;
            if deleted < u64::from(batch) || horizon.is_late() {
                return Ok(Purged { rows, more: deleted == u64::from(batch) });
            }
            pg_sys::check_for_interrupts!();
        }
    };
    Ok(unless_busy(owner, purge)?.unwrap_or(Purged { rows: 0, more: true }))
}
