//! What the SQL functions do: a file a flow.

pub mod access;
pub mod account_sessions;
pub mod caller;
pub mod change;
pub mod client_sessions;
pub mod configuration;
pub mod create;
pub mod explain;
pub mod identity;
pub mod key_ring;
pub mod keys;
pub mod named_session;
pub mod notifications;
pub mod present;
pub mod products;
pub mod refresh;
pub mod revocations;
pub mod revoke;
mod root_key;
pub mod scopes;
pub mod session_data;
pub mod tokens;
pub mod verdict;
pub mod verdict_cache;
pub mod verify;

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
