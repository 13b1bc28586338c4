//! Keeping the database clean.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::{Value, json};

use super::required;
use crate::error::{self, Code, Error};
use crate::maintenance::cron;
use crate::maintenance::run;
use crate::pg::datum::json::JsonText;

/// Most rows of a batch.
const MAX_BATCH: i32 = 100_000;
/// Longest schedule, in bytes.
const MAX_CRON: usize = 200;

/// Rolls activity up for the dashboard and deletes what has been dead for long, in batches, for some
/// seconds at most. Tells what it did, and whether there is more.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn maintain(batch: default!(Option<i32>, "1000")) -> Result<JsonText, ErrorReport> {
    Ok(JsonText::of(&run(batch)?))
}

fn run(batch: Option<i32>) -> error::Result<Value> {
    let batch = required(batch, "batch", Code::DefineFailed)?;
    let rows = u32::try_from(batch)
        .ok()
        .filter(|_| (1..=MAX_BATCH).contains(&batch));
    let rows = rows.ok_or_else(|| {
        Error::new(
            Code::DefineFailed,
            format!("batch must be from 1 to {MAX_BATCH}"),
        )
        .hint("A batch is how many rows are deleted by one statement; 1000 is good.")
    })?;
    let done = run::run(rows)?;
    Ok(json!({
        "activity_rolled_up": done.rollup.rows,
        "rollup_busy": done.rollup.busy,
        "sessions_purged": done.sessions,
        "users_purged": done.users,
        "keys_purged": done.keys,
        "api_keys_purged": done.api_keys,
        "activity_months": done.activity.months,
        "activity_skipped": done.activity.skipped,
        "activity_purged": done.activity.rows,
        "more": done.more,
    }))
}

/// Lets pg_cron call `maintain` by a schedule, and tells the number of the job. Again, it changes the
/// schedule of that job.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn schedule_maintenance(cron: default!(Option<&str>, "'*/5 * * * *'")) -> Result<i64, ErrorReport> {
    let text = required(cron, "cron", Code::DefineFailed)?;
    if text.len() > MAX_CRON {
        return Err(Error::new(Code::DefineFailed, "the schedule is too long")
            .hint("Write five fields: minute, hour, day of the month, month, day of the week.")
            .into());
    }
    Ok(cron::schedule(text)?)
}
