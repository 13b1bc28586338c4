//! A session service inside PostgreSQL.
//!
//! | room | what is in it |
//! |---|---|
//! | [`api`] | the SQL functions: convert, call, convert back |
//! | [`service`] | what the functions do, a file a flow |
//! | [`maintenance`], [`dashboard`], [`rls`] | purging and rollups; figures; row-level security of the application's tables |
//! | [`tables`] | our tables, a file a table: rows and SQL text |
//! | [`session`] | pure: definitions, rotation, verdicts, limits |
//! | [`token`] | pure: JWT, JWE, refresh tokens, opaque tokens, sealed data, the key ring |
//! | [`pg`] | the server, and all unsafe code; nothing about sessions |
//! | [`error`], [`guc`], [`log_events`], [`text_enum`] | coded errors, settings, which events are logged and how often, enums with a text for each value |
//!
//! `api → service → tables → pg` and `service → session → token`; nothing points back.

use pgrx::prelude::*;

mod administration;
mod api;
mod dashboard;
mod error;
mod guc;
mod log_events;
mod maintenance;
mod pg;
mod rls;
mod service;
mod session;
mod tables;
#[cfg(test)]
mod tests;
mod text_enum;
mod token;

::pgrx::pg_module_magic!(name, version);

/// Declares the schema to pgrx, so that functions can name it. sql/10_schema.sql, which comes first,
/// creates it and refuses one that is there already.
#[pg_schema]
mod dialstack {}

extension_sql_file!("../sql/10_schema.sql", name = "schema", bootstrap);
extension_sql_file!("../sql/20_configuration.sql", name = "configuration", requires = ["schema"]);
extension_sql_file!("../sql/30_state.sql", name = "state", requires = ["configuration"]);
extension_sql_file!("../sql/40_activity.sql", name = "activity", requires = ["state"]);
extension_sql_file!("../sql/45_rollup.sql", name = "rollup", requires = ["activity"]);
extension_sql_file!("../sql/50_scopes.sql", name = "scopes", requires = ["activity"]);
extension_sql_file!("../sql/60_verdict.sql", name = "verdict", requires = ["schema"]);
extension_sql_file!(
    "../sql/80_invalidation.sql",
    name = "invalidation",
    requires = ["scopes", invalidate_verdicts, follow_signing_algorithm]
);
extension_sql_file!(
    "../sql/85_views.sql",
    name = "views",
    requires = ["scopes", access_admin, may_monitor, signing_key_list, stat_get_sessions]
);
extension_sql_file!("../sql/90_finish.sql", name = "finish", finalize);

/// Runs when the library is loaded.
#[allow(non_snake_case)]
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    guc::register();
    pg::relcache::register();
    service::reach::register(api::CHAPTERS);
}
