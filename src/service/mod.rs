//! What the SQL functions do: a file a flow.

pub mod access;
pub mod caller;
pub mod configuration;
pub mod identity;
pub mod key_ring;
pub mod named_session;
pub mod notifications;
pub mod revocations;
pub mod revoke_on_change;
pub mod root_key_file;
pub mod session_data;
pub mod verdict;
pub mod verdict_cache;
