//! Versions and health.

use pgrx::prelude::*;

use super::functions;
use crate::administration::health;
use crate::dashboard::statistics;

functions! { FUNCTIONS;
    /// Versions of the library that this connection has loaded, of the tables and functions of this database, and
    /// of the PostgreSQL that the library was built for and that runs.
    #[level(Monitor)]
    #[pg_extern(stable, parallel_unsafe)]
    fn version() => rows {
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
    fn health_check() => rows {
        severity: &'static str,
        check: &'static str,
        detail: String,
        hint: &'static str,
    } {
        health::findings()?
    }

    /// Totals of sessions since the installation: what the view stat_sessions shows.
    #[level(Monitor)]
    #[pg_extern(stable, parallel_unsafe)]
    fn stat_get_sessions() => rows {
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
        statistics::totals()?
    }

    /// True for who has access monitor or admin, else permission is denied: the stat_ views ask it.
    #[level(Monitor)]
    #[pg_extern(stable, parallel_safe)]
    fn may_monitor() -> bool {
        true
    }
}
