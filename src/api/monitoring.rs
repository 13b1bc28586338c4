//! Versions and health.

use pgrx::prelude::*;

use super::functions;
use crate::administration::health;

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

    /// True for who has access monitor or admin, else permission is denied: the stat_ views ask it.
    #[level(Monitor)]
    #[pg_extern(stable, parallel_safe)]
    fn may_monitor() -> bool {
        true
    }
}
