//! What the SQL functions do: a file a flow.

pub mod access;
pub mod account_sessions;
pub mod caller;
pub mod configuration;
pub mod create;
pub mod identity;
pub mod key_ring;
pub mod named_session;
pub mod notifications;
pub mod products;
pub mod refresh;
pub mod revocations;
pub mod root_key_file;
pub mod scopes;
pub mod session_data;
pub mod tokens;
pub mod verdict;
pub mod verdict_cache;
