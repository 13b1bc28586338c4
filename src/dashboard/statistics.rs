//! Totals of sessions for monitoring: from the rollups and the activity behind them, in one statement that reads no
//! session.

use crate::error::Result;
use crate::maintenance::rollup::of_sessions;
use crate::pg::clock::{self, timestamptz};
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::service::caller;
use crate::service::level::Level;

/// Most rows of activity that are counted with each call. More wait only where `maintain()` is not called.
const MOST: i64 = 100_000;

static TOTALS: Statement = Statement::new(concat!(
    include_str!("figures/waiting.sql"),
    of_sessions!(),
    include_str!("figures/statistics.sql")
));

/// What is counted of the sessions of a definition in an environment, or of its account or client sessions.
pub struct Totals {
    pub product: String,
    pub env: String,
    pub tag: Option<String>,
    pub kind: String,
    pub living: i64,
    pub created: i64,
    pub refreshed: i64,
    pub refresh_failed: i64,
    pub revoked: i64,
    pub expired: i64,
    pub reused: i64,
    pub evicted: i64,
    /// Whether all activity so far is counted.
    pub is_complete: bool,
}

/// The totals of every definition in every environment, and of account and client sessions; with an API key of its
/// environment alone.
///
/// # Errors
/// Those of [`caller::narrowed`].
pub fn totals() -> Result<Vec<Totals>> {
    let caller = caller::narrowed(Level::Monitor)?;
    let env_id = caller.key().map(|key| key.env.env_id);
    let arguments = [bind(timestamptz(clock::now())), bind(MOST), bind(env_id)];
    TOTALS.read(&AsOwner::enter_by_index()?, &arguments, |row| {
        Ok(Totals {
            product: row.required(1)?,
            env: row.required(2)?,
            tag: row.get(3)?,
            kind: row.required(4)?,
            living: row.required(5)?,
            created: row.required(6)?,
            refreshed: row.required(7)?,
            refresh_failed: row.required(8)?,
            revoked: row.required(9)?,
            expired: row.required(10)?,
            reused: row.required(11)?,
            evicted: row.required(12)?,
            is_complete: row.required(13)?,
        })
    })
}
