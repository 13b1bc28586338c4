//! What keeps the database clean, in bounded steps.
//!
//! It is safe beside everything else and beside itself: rows that somebody has locked are left for the
//! next time, and so is what needs a table's lock that is not to be had at once.

use crate::error::Result;
use crate::guc;
use crate::maintenance::horizon::{Horizon, RUN_FOR};
use crate::maintenance::purge::{self, Purged};
use crate::maintenance::purge_activity::{self, PurgedActivity};
use crate::maintenance::rollup::{self, Counts};
use crate::pg::clock;
use crate::pg::roles::AsOwner;
use crate::pg::statements::Statement;
use crate::pg::subtransaction::unless_busy;

/// What a run has done.
#[derive(Default)]
pub struct Done {
    /// Activity rolled up for the dashboard.
    pub rollup: Counts,
    /// Sessions deleted.
    pub sessions: u64,
    /// Users of deleted environments and definitions deleted.
    pub users: u64,
    /// Signing keys deleted.
    pub keys: u64,
    /// API keys deleted.
    pub api_keys: u64,
    /// Activity deleted.
    pub activity: PurgedActivity,
    /// Whether another run would find more to do.
    pub more: bool,
}

/// Creates write it; a deletion of an environment keeps everybody out.
static JOIN_CREATES: Statement = Statement {
    sql: "LOCK TABLE dialstack.session_users IN ROW EXCLUSIVE MODE",
    parameters: &[],
};

/// Does what there is to do, `batch` rows at a time.
pub fn run(batch: u32) -> Result<Done> {
    let owner = AsOwner::enter()?;
    let now = clock::now();
    // First, because activity stays until it is counted.
    let mut done = Done {
        rollup: rollup::roll_up(batch, now.saturating_add(RUN_FOR))?,
        ..Done::default()
    };
    done.more = done.rollup.more;
    let horizon = Horizon {
        now,
        sessions_before: now.saturating_sub(guc::session_retention_micros()),
    };
    // Each step is a subtransaction, so that one that meets a lock undoes only itself.
    let purged = unless_busy(&owner, || {
        JOIN_CREATES.execute(&owner, &[])?;
        let sessions = purge::sessions(&owner, &horizon, batch)?;
        let users = purge::users(&owner, &horizon, batch)?;
        Ok((sessions, users))
    })?;
    let busy = || Purged {
        rows: 0,
        more: true,
    };
    let (sessions, users) = purged.unwrap_or_else(|| (busy(), busy()));
    done.sessions = sessions.rows;
    done.users = users.rows;
    done.more |= sessions.more || users.more;
    let keys = unless_busy(&owner, || {
        let keys = purge::keys(&owner, &horizon, sessions.rows > 0 && !sessions.more)?;
        Ok((keys, purge::api_keys(&owner, &horizon)?))
    })?;
    done.more |= keys.is_none();
    (done.keys, done.api_keys) = keys.unwrap_or_default();
    done.activity = purge_activity::activity(&owner, &horizon, batch)?;
    done.more |= done.activity.more;
    Ok(done)
}
