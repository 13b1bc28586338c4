//! Purging and rolling up.

pub mod cron;
pub mod deleter;
pub mod purge;
pub mod purge_activity;
pub mod rollup;
pub mod run;
