//! Products, environments, definitions and scopes.

pub mod configuration;
pub mod definitions;
pub mod document;
pub mod products;
pub mod scopes;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// Says, as PostgreSQL does for IF NOT EXISTS, that nothing was created.
fn notice_skipped(what: &str) {
    let message = format!("{what} already exists, skipping");
    ErrorReport::new(PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT, message, "dialstack_sessions")
        .report(PgLogLevel::NOTICE);
}
