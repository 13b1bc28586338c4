//! Our tables: a file a table.

pub mod access_limits;
pub mod activity;
pub mod administration;
pub mod api_keys;
pub mod client_sessions;
pub mod definitions;
pub mod instance;
pub mod living;
pub mod paging;
pub mod persons;
pub mod products;
pub mod revocations;
pub mod scopes;
pub mod session_sets;
pub mod session_users;
pub mod sessions;
pub mod signing_keys;
