//! What the SQL functions do: a file a flow.

pub mod access;
pub mod caller;
pub mod configuration;
pub mod create;
pub mod identity;
pub mod key_ring;
pub mod named_session;
pub mod notifications;
pub mod refresh;
pub mod revocations;
mod root_key;
pub mod session_data;
pub mod tokens;
pub mod verdict;
pub mod verdict_cache;
