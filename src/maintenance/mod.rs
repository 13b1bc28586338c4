//! Purging and rolling up.

pub mod cron;
pub mod horizon;
pub mod purge;
pub mod purge_activity;
pub mod referenced;
pub mod rollup;
pub mod run;
