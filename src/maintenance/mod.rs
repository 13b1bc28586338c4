//! Purging and rolling up.

pub mod cron;
pub mod horizon;
pub mod purge;
pub mod purge_activity;
pub mod purge_administration;
pub mod referenced;
pub mod rollup;
pub mod run;
