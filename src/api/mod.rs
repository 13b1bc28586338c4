//! What SQL calls: thin adapters that convert, call and convert back. A file a family.
//!
//! Each function writes its volatility and parallel safety down. Every argument may be NULL; what
//! must not be is refused with the function's own error.

#![allow(
    clippy::result_large_err,
    clippy::too_many_arguments,
    clippy::type_complexity,
    reason = "the error type and the shape of signatures are pgrx's"
)]

mod access;
mod account_sessions;
mod activity_logs;
mod analytics;
mod api_keys;
mod client_arguments;
mod client_requests;
mod client_scene;
mod client_sessions;
mod context;
mod conversions;
mod definitions;
mod keys;
mod lifecycle;
mod listing;
mod maintenance;
mod places;
mod policy_lint;
mod protection;
mod refresh;
mod revoke_on_change;
mod scopes;
mod setup;
mod triggers;
mod user_sessions;
mod users;
mod verify;

use crate::error::{Code, Error, Result};
use crate::pg::datum::uuid::{pg_uuid, uuid};

/// An argument that must be given.
fn required<T>(value: Option<T>, name: &'static str, code: Code) -> Result<T> {
    value.ok_or_else(|| {
        Error::new(code, format!("{name} must not be null"))
            .hint(format!("Give a value for the argument {name}."))
    })
}
