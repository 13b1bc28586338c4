//! What SQL calls: thin adapters that convert, call and convert back. A file a chapter of the reference.
//!
//! Each function states its volatility and parallel safety. Every argument may be NULL; what
//! must not be is refused with the function's own error.

#![allow(
    clippy::result_large_err,
    clippy::too_many_arguments,
    clippy::type_complexity,
    reason = "the error type and the shape of signatures are pgrx's"
)]

mod access;
mod account_sessions;
mod client_sessions;
mod dashboard;
mod definitions;
mod function;
mod identity;
mod keys;
mod maintenance;
mod protection;
mod session_sets;
mod sessions;
mod setup;
mod triggers;
mod user_sessions;
mod verify;

use crate::pg::datum::uuid::pg_uuid;
use crate::service::access::Functions;
use crate::service::required;

/// All functions of the extension, a list a chapter.
const CHAPTERS: &Functions = &[
    setup::FUNCTIONS,
    definitions::FUNCTIONS,
    keys::FUNCTIONS,
    access::FUNCTIONS,
    user_sessions::FUNCTIONS,
    verify::FUNCTIONS,
    sessions::FUNCTIONS,
    session_sets::FUNCTIONS,
    account_sessions::FUNCTIONS,
    client_sessions::FUNCTIONS,
    identity::FUNCTIONS,
    identity::HELPERS,
    protection::FUNCTIONS,
    dashboard::FUNCTIONS,
    maintenance::FUNCTIONS,
    triggers::FUNCTIONS,
];
