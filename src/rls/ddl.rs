//! Statements that change the application's tables.
//!
//! They run as the caller. They hold no value but names and literals that the server quoted, and every
//! name in them is qualified, so that no search path matters.

use pgrx::Spi;

use crate::error::{Code, Error, Result};
use crate::pg::settings::Setting;

/// Runs a statement.
///
/// # Errors
/// `PROTECT_FAILED` where SPI refuses it; an error of the statement itself is raised as it is.
pub fn run(statement: &str) -> Result<()> {
    Spi::connect_mut(|client| client.update(statement, None, &[]).map(|_| ())).map_err(|error| {
        Error::new(Code::ProtectFailed, "the table's policies can't be changed")
            .detail(error.to_string())
            .hint("Check that the table is yours and that nobody else is changing it.")
    })
}

/// Drops a policy or trigger of a table, if it is there.
pub fn drop_if_exists(kind: &str, name: &str, table: &str) -> Result<()> {
    let _quietly = Setting::no_notices();
    run(&format!("DROP {kind} IF EXISTS {name} ON {table}"))
}
