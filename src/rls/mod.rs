//! Row-level security of the application's tables.

pub mod ddl;
pub mod device_count;
pub mod lint;
pub mod protect;
pub mod protected;
pub mod registry;
pub mod revoke_sessions;
