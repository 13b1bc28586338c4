//! Keeping the database clean, and watching it: figures, versions, health.

use pgrx::prelude::*;

use super::{Result, functions};
use crate::administration::health;
use crate::dashboard::figures;
use crate::maintenance::{cron, run};
use crate::pg::datum::json::JsonText;

functions! { FUNCTIONS;
    /// Rolls activity up and deletes what has been dead for long, in batches; returns what it did and whether
    /// there is more.
    #[level(Admin; audit(batch => done))]
    fn maintain(batch: default!(Option<i32>, "1000")) -> Result<JsonText> {
        Ok(JsonText::of(&run::maintain(batch)?))
    }

    /// Lets pg_cron call maintain() by a schedule; returns the number of the job.
    ///
    /// Called again, it changes the schedule of that job.
    #[level(Admin; audit(cron => job))]
    fn schedule_maintenance(cron: default!(Option<&str>, "'*/5 * * * *'")) -> Result<i64> {
        Ok(cron::schedule(cron)?)
    }

    /// Versions of the library that this connection has loaded, of the tables and functions of this database, and
    /// of the PostgreSQL that the library was built for and that runs.
    #[level(Monitor)]
    #[pg_extern(stable, parallel_unsafe)]
    fn version() => table {
        library: &'static str,
        sql: String,
        postgresql_built_for: String,
        postgresql: String,
    } {
        health::versions()?
    }

    /// What is wrong with the installation, the worst first; one row a finding, none where all is well.
    #[level(Monitor)]
    #[pg_extern(stable, parallel_unsafe)]
    fn health_check() => table {
        severity: &'static str,
        check: &'static str,
        detail: String,
        hint: &'static str,
    } {
        let row = |it: health::Finding| (it.kind.severity.as_str(), it.kind.name, it.detail, it.hint);
        health::findings()?.into_iter().map(row).collect()
    }

    /// Totals of sessions since the installation: what the view stat_sessions shows.
    #[level(Monitor)]
    #[pg_extern(stable, parallel_unsafe)]
    fn stat_get_sessions() => table {
        product: String,
        env: String,
        tag: Option<String>,
        kind: String,
        living: i64,
        created: i64,
        refreshed: i64,
        refresh_failed: i64,
        revoked: i64,
        expired: i64,
        reused: i64,
        evicted: i64,
        is_complete: bool,
    } {
        figures::totals()?
    }

    /// True for who has access monitor or admin, else permission is denied: the stat_ views ask it.
    #[level(Monitor)]
    #[pg_extern(stable, parallel_safe)]
    fn may_monitor() -> bool {
        true
    }
}
