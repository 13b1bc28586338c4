//! Row-level security of the application's tables.

pub mod device_count;
pub mod lint;
pub mod lint_checks;
pub mod protect;
pub mod registry;
pub mod row_security_before;
pub mod weakness;
