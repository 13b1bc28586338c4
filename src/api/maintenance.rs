//! Keeping the database clean.

use pgrx::prelude::*;

use super::{Result, functions};
use crate::maintenance::{cron, run};
use crate::pg::datum::json::JsonText;

functions! { FUNCTIONS;
    /// Rolls activity up and deletes what has been dead for long, in batches; returns what it did and whether
    /// there is more.
    #[level(Admin; audit(batch => done))]
    #[pg_extern(volatile, parallel_unsafe)]
    fn maintain(batch: default!(Option<i32>, "1000")) -> Result<JsonText> {
        Ok(JsonText::of(&run::maintain(batch)?))
    }

    /// Lets pg_cron call maintain() by a schedule; returns the number of the job.
    ///
    /// Called again, it changes the schedule of that job.
    #[level(Admin; audit(cron => job))]
    #[pg_extern(volatile, parallel_unsafe)]
    fn schedule_maintenance(cron: default!(Option<&str>, "'*/5 * * * *'")) -> Result<i64> {
        Ok(cron::schedule(cron)?)
    }
}
