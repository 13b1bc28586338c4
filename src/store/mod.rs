//! Everything that touches the server's tables: SQL text, kept plans, direct scans, and the unsafe
//! code that they need. A file a table, beside a few for what they share.

pub mod activity;
pub mod api_keys;
pub mod caller;
pub mod change;
pub mod clock;
pub mod configuration;
pub mod definitions;
pub mod device_count;
pub mod grants;
pub mod ids;
mod instance;
pub mod json;
pub mod keys;
pub mod opaque_sessions;
pub mod owner;
pub mod products;
pub mod protected_tables;
pub mod protection;
pub mod random;
pub mod record;
pub mod relations;
pub mod revocations;
mod root_key_file;
mod scan;
pub mod scopes;
mod server;
pub mod session_reads;
pub mod session_users;
pub mod session_writes;
pub mod sessions;
mod statements;
pub mod table_facts;
pub mod transaction;
pub mod verdict;
