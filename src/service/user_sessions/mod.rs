//! User sessions: creating, refreshing and changing them.

pub mod change;
pub mod create;
pub mod refresh;
pub mod session_data;
pub mod tokens;
