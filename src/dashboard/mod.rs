//! What is shown of sessions: lists, users, activity and figures.

pub mod figures;
pub mod logs;
mod places;
pub mod sessions;
pub mod users;
