//! What is shown of sessions: lists, users, activity and figures.

pub mod activity_logs;
pub mod administration_log;
pub mod figures;
mod places;
pub mod sessions;
pub mod users;
