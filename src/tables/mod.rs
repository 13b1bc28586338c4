//! Our tables: a file a table.

pub mod activity;
pub mod api_keys;
pub mod client_session_writes;
pub mod client_sessions;
pub mod definitions;
pub mod instance;
pub mod products;
pub mod scopes;
pub mod session_users;
pub mod sessions;
