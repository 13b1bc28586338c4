//! What the SQL functions do: a file a flow.

pub mod access;
pub mod account_sessions;
pub mod audit;
pub mod caller;
pub mod client_sessions;
pub mod events;
pub mod keys;
pub mod level;
pub mod reach;
pub mod revocation;
pub mod session_sets;
pub mod setup;
pub mod user_sessions;
pub mod verification;

use crate::error::{Code, Error, Result};

/// An argument that must be given.
///
/// # Errors
/// `code`, naming the argument, where it is NULL.
pub fn required<T>(value: Option<T>, name: &'static str, code: Code) -> Result<T> {
    value.ok_or_else(|| {
        Error::new(code, format!("{name} must not be null"))
            .hint(format!("Give a value for the argument {name}."))
    })
}
