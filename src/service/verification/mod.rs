//! Whether a presented token is good, and whose session it is.

pub mod cache;
pub mod explain;
pub mod identity;
pub mod named_session;
pub mod present;
pub mod verdict;
