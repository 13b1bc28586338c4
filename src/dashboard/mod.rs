//! Figures, users and activity.

pub mod activity_logs;
pub mod figures;
pub mod users;
