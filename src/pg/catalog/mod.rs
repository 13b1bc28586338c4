//! What the server's catalogue says of the application's tables.

pub mod policy_tree;
pub mod table;
