//! What keeps the database clean, in bounded steps.
//!
//! It is safe beside everything else and beside itself: rows that somebody has locked are left for the
//! next time, and so is what needs a table's lock that is not to be had at once.

use serde_json::{Value, json};

use crate::error::{Code, Error, Result};
use crate::guc;
use crate::maintenance::horizon::{Horizon, RUN_FOR};
use crate::maintenance::purge::{self, Purged};
use crate::maintenance::purge_activity::{self, PurgedActivity};
use crate::maintenance::rollup::{self, Counts};
use crate::pg::clock;
use crate::pg::roles::AsOwner;
use crate::pg::statements::Statement;
use crate::pg::transaction::subtransaction::unless_busy;
use crate::service::required;

/// Most rows of a batch.
const MAX_BATCH: u32 = 100_000;

#[derive(Default)]
struct Done {
    rollup: Counts,
    sessions: u64,
    users: u64,
    keys: u64,
    api_keys: u64,
    activity: PurgedActivity,
    more: bool,
}

/// Creates write it; a deletion of an environment keeps everybody out.
static JOIN_CREATES: Statement =
    Statement::new("LOCK TABLE dialstack.session_users IN ROW EXCLUSIVE MODE");

/// Does what there is to do, `batch` rows at a time, and says what it did.
///
/// # Errors
/// `DEFINE_FAILED` unless `batch` is from 1 to 100,000.
pub fn maintain(batch: Option<i32>) -> Result<Value> {
    let batch = required(batch, "batch", Code::DefineFailed)?;
    let rows = u32::try_from(batch).ok();
    let rows = rows.filter(|rows| (1..=MAX_BATCH).contains(rows));
    let rows = rows.ok_or_else(|| {
        Error::new(
            Code::DefineFailed,
            format!("batch must be from 1 to {MAX_BATCH}"),
        )
        .hint("A batch is how many rows are deleted by one statement; 1000 is good.")
    })?;
    let done = run(rows)?;
    Ok(json!({
        "activity_rolled_up": done.rollup.rows,
        "rollup_busy": done.rollup.busy,
        "sessions_purged": done.sessions,
        "users_purged": done.users,
        "keys_purged": done.keys,
        "api_keys_purged": done.api_keys,
        "activity_months": done.activity.months,
        "activity_skipped": done.activity.skipped,
        "activity_purged": done.activity.rows,
        "more": done.more,
    }))
}

fn run(batch: u32) -> Result<Done> {
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
