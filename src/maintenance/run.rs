//! What keeps the database clean, in bounded steps.
//!
//! It is safe beside everything else and beside itself: rows that somebody has locked are left for the
//! next time, and so is what needs a table's lock that is not to be had at once.

use serde_json::{Value, json};

use crate::error::{Code, Error, Result};
use crate::guc;
use crate::maintenance::deleter::{Deleter, Horizon};
use crate::maintenance::{purge, purge_activity, rollup};
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::roles::AsOwner;
use crate::pg::scan::lock_for_writing;
use crate::pg::statements::{Statement, bind};
use crate::pg::transaction::subtransaction::unless_busy;
use crate::service::required;
use crate::tables::session_users::SessionUsers;

/// Most rows of a batch.
const MAX_BATCH: u32 = 100_000;

static LAST: Statement = Statement::new("SELECT ran_at, done FROM dialstack.rollup_state");

/// Only the run that has the row locked, for its rollups, notes itself.
static NOTE: Statement = Statement::new(
    "UPDATE dialstack.rollup_state \
            SET ran_at = $1, took = clock_timestamp() - $1, done = $2",
);

/// Does what there is to do, `batch` rows at a time, and says what it did.
///
/// # Errors
/// `DEFINE_FAILED` unless `batch` is from 1 to 100,000.
pub fn maintain(batch: Option<i32>) -> Result<Value> {
    let batch = required(batch, "batch", Code::DefineFailed)?;
    let rows = u32::try_from(batch).ok();
    let rows = rows.filter(|rows| (1..=MAX_BATCH).contains(rows));
    let rows = rows.ok_or_else(|| {
        Error::new(Code::DefineFailed, format!("batch must be from 1 to {MAX_BATCH}"))
            .hint("A batch is how many rows are deleted by one statement; 1000 is good.")
    })?;
    let owner = AsOwner::enter()?;
    let last =
        LAST.read(&owner, &[], |row| Ok((clock::micros(row.required(1)?), row.get::<JsonText>(2)?)))?;
    let (ran_at, before) = last.into_iter().next().unwrap_or((Micros::MIN, None));
    let horizon = Horizon::new(ran_at);
    // Sessions that can't be deleted are looked at once a day: the answer is about the whole day.
    let day = |at: Micros| clock::utc_date(at.saturating_sub(guc::session_retention_micros()));
    let is_today = day(ran_at) == day(horizon.now);
    let before = before.filter(|_| is_today).and_then(|done| done.parse().ok());
    let done = run(&owner, rows, &horizon, before.unwrap_or_default())?;
    if done["rollup_busy"] == false {
        let arguments = [bind(timestamptz(horizon.now)), bind(JsonText::of(&done))];
        NOTE.execute(&owner, &arguments)?;
    }
    Ok(done)
}

/// Does it. `before` is what the run before has answered on the same day.
fn run(owner: &AsOwner, batch: u32, horizon: &Horizon, before: Value) -> Result<Value> {
    // First, because activity stays until it is counted.
    let rollup = rollup::roll_up(batch, horizon)?;
    let mut deleter = Deleter::new(owner, horizon, batch)?;
    // Each step is a subtransaction, so that one that meets a lock undoes only itself.
    // A deletion of an environment keeps everybody out.
    let joined = unless_busy(owner, lock_for_writing::<SessionUsers>)?.is_some();
    deleter.more = !joined;
    let (mut sessions, mut users) = (0, 0);
    if joined {
        sessions = purge::sessions(&mut deleter)?;
    }
    let sessions_kept = before["sessions_kept"].as_u64().unwrap_or(0) + std::mem::take(&mut deleter.kept);
    if joined {
        users = purge::users(&mut deleter)?;
    }
    let keys = purge::keys(&mut deleter)?;
    let api_keys = purge::api_keys(&mut deleter)?;
    let administration = purge::administration(&mut deleter)?;
    let activity = purge_activity::activity(&mut deleter)?;
    let mut kept_for = deleter.kept_for;
    if sessions_kept > 0 {
        let known = before["kept_for"].as_array().into_iter().flatten();
        kept_for.extend(known.filter_map(|table| table.as_str().map(str::to_owned)));
    }
    let (held_by, held_since) = rollup.held_by.unzip();
    Ok(json!({
        "activity_rolled_up": rollup.rows,
        "rollup_busy": rollup.busy,
        "activity_waiting": rollup.waiting,
        "held_by": held_by,
        "held_since": held_since.flatten(),
        "sessions_purged": sessions,
        "sessions_kept": sessions_kept,
        "users_purged": users,
        "keys_purged": keys,
        "api_keys_purged": api_keys,
        "other_rows_kept": deleter.kept,
        "kept_for": kept_for,
        "activity_months": activity.months,
        "activity_skipped": activity.skipped,
        "activity_purged": activity.rows,
        "administration_purged": administration,
        "more": rollup.more || deleter.more,
    }))
}
