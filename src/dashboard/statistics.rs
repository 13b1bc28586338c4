//! Totals of sessions for monitoring: from the rollups and the activity behind them, in one statement that reads no
//! session.

use crate::error::Result;
use crate::maintenance::rollup::of_sessions;
use crate::pg::clock::{self, timestamptz};
use crate::pg::roles::AsOwner;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::service::caller;
use crate::service::level::Level;

/// Most rows of activity that are counted with each call. More wait only where `maintain()` is not called.
const MOST: i64 = 100_000;

static TOTALS: Statement = Statement::new(concat!(
    include_str!("figures/waiting.sql"),
    of_sessions!(),
    include_str!("figures/statistics.sql")
));

/// The totals of every definition in every environment, and of account and client sessions, as `stat_get_sessions`
/// returns them; with an API key of its environment alone.
pub fn totals<R: FromRow>() -> Result<Vec<R>> {
    let caller = caller::narrowed(Level::Monitor)?;
    let env_id = caller.key().map(|key| key.env.env_id);
    let arguments = [bind(timestamptz(clock::now())), bind(MOST), bind(env_id)];
    TOTALS.read(&AsOwner::enter_by_index()?, &arguments, R::from_row)
}
