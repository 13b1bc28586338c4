//! PostgreSQL: everything that touches the server, and all unsafe code. Nothing about sessions.
//!
//! What looks up or reads a relation of the extension fails with `JWT_NOT_AVAILABLE` where that is not there, or not as the
//! extension made it.

pub mod cache;
pub mod call_site;
pub mod catalog;
pub mod clock;
pub mod datum;
pub mod deadline;
pub mod log;
pub mod random;
pub mod relcache;
pub mod roles;
pub mod scan;
pub mod server;
pub mod settings;
pub mod statements;
pub mod table;
pub mod time_zone;
pub mod transaction;
pub mod triggers;
pub mod write;
