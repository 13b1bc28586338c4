//! What unit tests share.

pub mod fuzz;
