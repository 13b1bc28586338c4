//! Ending sessions.

pub mod revocations;
pub mod revoke;
pub mod revoke_on_change;
