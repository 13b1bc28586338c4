//! Maintenance, for administrators and schedulers.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::json;

use super::required;
use crate::error::{self, Code, Error};
use crate::store::json::JsonText;
use crate::store::maintenance;

/// Most rows of one step: what a step holds in memory stays small.
const MAX_BATCH: i32 = 1_000_000;

fn checked(batch: Option<i32>) -> error::Result<u32> {
    let batch = required(batch, "batch", Code::DefineFailed)?;
    u32::try_from(batch)
        .ok()
        .filter(|_| (1..=MAX_BATCH).contains(&batch))
        .ok_or_else(|| {
            Error::new(
                Code::DefineFailed,
                format!("batch must be from 1 to {MAX_BATCH}"),
            )
            .hint("Leave it out for steps of 1000 rows.")
        })
}

/// Rolls the activity up, in steps of at most `batch` rows, for at most about 20 seconds, and tells what
/// it did. Safe to run at any time, twice at once and beside full load.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn maintain(batch: default!(Option<i32>, "1000")) -> Result<JsonText, ErrorReport> {
    let done = maintenance::maintain(checked(batch)?)?;
    Ok(JsonText::of(&json!({
        "activity_rolled_up": done.rollup.rows,
        "rollup_busy": done.rollup.busy,
        "more": done.more(),
    })))
}
