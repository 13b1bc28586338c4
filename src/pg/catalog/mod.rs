//! What the server's catalogue says of the application's tables.

pub mod expression;
pub mod relation;
pub mod table;
