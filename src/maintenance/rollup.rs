//! The rollups: what the dashboard needs to know of the activity, counted in bounded steps.
//!
//! Rows of activity become visible in the order of neither their time nor their number. Each carries
//! the id of its transaction, and those of transactions that are over are all there: a step counts
//! what lies between the row that the last step ended with and the oldest transaction that is
//! still running. Whoever reads adds the rows behind that mark, so that each is counted once.

use pgrx::datum::TimestampWithTimeZone;

use crate::error::Result;
use crate::maintenance::deleter::{Horizon, repeat};
use crate::pg::clock::{self, timestamptz};
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::tables::persons::Person;

/// CTEs that make changes of what is counted of sessions from the CTE `uncounted`.
macro_rules! of_sessions {
    () => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/maintenance/rollup/of_sessions.sql"))
    };
}

/// The same, and of what is counted of users: all of it in the CTE `changes`.
macro_rules! changes {
    () => {
        concat!(
            $crate::maintenance::rollup::of_sessions!(),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/maintenance/rollup/known.sql")),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/maintenance/rollup/of_users.sql")),
            ", changes AS MATERIALIZED (SELECT * FROM of_sessions UNION ALL SELECT * FROM of_users)"
        )
    };
}
pub(crate) use {changes, of_sessions};

/// One session at a time rolls up. What the step then reads is what the step before it left.
static LOCK: Statement = Statement::new("SELECT 1 FROM dialstack.rollup_state FOR UPDATE SKIP LOCKED");

static STEP: Statement = Statement::new(concat!(
    include_str!("rollup/step.sql"),
    changes!(),
    include_str!("rollup/store.sql"),
    include_str!("rollup/keep.sql")
));

/// Waits for a session that rolls up. An update, not a lock: so one fails that would roll up by an older snapshot.
static LOCK_AND_WAIT: Statement =
    Statement::new("UPDATE dialstack.rollup_state SET activity_id = activity_id");

static FORGET_USER: Statement = Statement::new(concat!(
    include_str!("rollup/forget_user.sql"),
    include_str!("rollup/of_users.sql"),
    ", changes AS MATERIALIZED (SELECT * FROM of_users)",
    include_str!("rollup/store.sql"),
    "SELECT count(*) FROM known"
));

/// Seconds that are over are not asked for any more; one range of the primary key a metric.
static FORGET_SECONDS: Statement = Statement::new(
    "DELETE FROM dialstack.activity_rollup WHERE ctid = ANY (ARRAY( \
         SELECT s.ctid \
           FROM (SELECT t.env_id, t.definition_id, t.metric FROM dialstack.activity_rollup t \
                  WHERE t.grain = 'total' \
                    AND t.metric IN ('ends', 'active_until', 'seen_until') OFFSET 0) t, \
                dialstack.activity_rollup s \
          WHERE s.grain = 'second' AND s.env_id = t.env_id \
            AND s.definition_id = t.definition_id AND s.metric = t.metric \
            AND s.bucket <= $2 - interval '1 hour' LIMIT $1))",
);

/// Definitions with their environments that were counted, where one of the two is deleted.
macro_rules! deleted {
    () => {
        "SELECT t.env_id, t.definition_id FROM dialstack.activity_rollup t \
          WHERE t.grain = 'total' \
            AND (NOT EXISTS (SELECT 1 FROM dialstack.environments e WHERE e.env_id = t.env_id) \
                 OR t.definition_id > 0 \
                    AND NOT EXISTS (SELECT 1 FROM dialstack.session_definitions d \
                                     WHERE d.definition_id = t.definition_id)) \
          GROUP BY t.env_id, t.definition_id OFFSET 0"
    };
}

/// Nobody asks for these any more, and they name people.
static FORGET_USERS: Statement = Statement::new(concat!(
    "DELETE FROM dialstack.rollup_users WHERE ctid = ANY (ARRAY( \
             SELECT r.ctid FROM (",
    deleted!(),
    ") g, dialstack.rollup_users r \
              WHERE r.env_id = g.env_id AND r.definition_id = g.definition_id LIMIT $1))"
));

/// The totals last: by them the others are found.
static FORGET_COUNTS: Statement = Statement::new(concat!(
    "DELETE FROM dialstack.activity_rollup WHERE ctid = ANY (ARRAY( \
             SELECT r.ctid FROM (",
    deleted!(),
    ") g, (VALUES (1, 'second'), (2, 'quarter'), (3, 'day'), (4, 'total')) AS o (n, grain), \
             dialstack.activity_rollup r \
              WHERE r.grain = o.grain AND r.env_id = g.env_id \
                AND r.definition_id = g.definition_id \
              ORDER BY o.n LIMIT $1))"
));

/// Most rows that are counted as waiting.
const MAX_WAITING: i64 = 100_000;

/// Rows behind the mark, of a month or of all: so many, or fewer.
static WAITING: Statement = Statement::new(
    "SELECT count(*) FROM (SELECT FROM dialstack.activity a \
               WHERE (a.xid, a.activity_id) > ((SELECT r.xid FROM dialstack.rollup_state r), \
                                               (SELECT r.activity_id FROM dialstack.rollup_state r)) \
                 AND ($2 IS NULL OR a.month = $2) \
               LIMIT $1) w",
);

/// The transaction that is the oldest of those running, wherever on the server: rows of it and of all younger ones
/// wait.
static HOLDER: Statement = Statement::new(
    "SELECT concat('process ', pid, ' of database ' || datname, ' (', state, ')'), xact_start \
            FROM pg_stat_activity \
           WHERE backend_xid = pg_snapshot_xmin(pg_current_snapshot())::xid \
             AND pid <> pg_backend_pid() \
           UNION ALL \
          SELECT format('prepared transaction %L of database %s', gid, database), prepared \
            FROM pg_prepared_xacts \
           WHERE transaction = pg_snapshot_xmin(pg_current_snapshot())::xid",
);

/// Takes a person out of what is counted of users, until the transaction ends with everyone else's rolling up kept out.
/// The person's rows in `session_users` must still be there.
pub fn forget_user(owner: &AsOwner, person: &Person<'_>) -> Result<()> {
    LOCK_AND_WAIT.execute(owner, &[])?;
    let arguments = [
        bind(person.env_ids.clone()),
        bind(timestamptz(clock::now())),
        bind(person.definition_ids.clone()),
        bind(person.identifier),
    ];
    FORGET_USER.execute(owner, &arguments).map(|_| ())
}

/// What a call of [`roll_up`] did.
#[derive(Default)]
pub struct Counts {
    /// Rows of activity that were rolled up.
    pub rows: u64,
    /// Whether time ran out before all was rolled up that could be.
    pub more: bool,
    /// Whether another session is rolling up: then nothing was done.
    pub busy: bool,
    /// Rows that are left, as far as they were counted.
    pub waiting: i64,
    /// The transaction that keeps them from being rolled up, and since when it runs.
    pub held_by: Option<(String, Option<TimestampWithTimeZone>)>,
}

/// Rolls up what there is, in steps of at most `batch` rows, until half of the time is over; at least one
/// step. All of it is one transaction, the caller's.
pub fn roll_up(batch: u32, horizon: &Horizon) -> Result<Counts> {
    let owner = AsOwner::enter_by_index()?;
    let mut counts = Counts::default();
    if LOCK.execute(&owner, &[])? == 0 {
        counts.busy = true;
        return Ok(counts);
    }
    let arguments = [bind(i64::from(batch)), bind(timestamptz(horizon.seen))];
    let step = || STEP.count_writing(&owner, &arguments).map(i64::unsigned_abs);
    (counts.rows, counts.more) = repeat(batch, || horizon.is_half_over(), step)?;
    // What is not asked for any more. In this order: by the counts users are found.
    for statement in [&FORGET_SECONDS, &FORGET_USERS, &FORGET_COUNTS] {
        let forget = || statement.execute(&owner, &arguments);
        if repeat(batch, || horizon.is_half_over(), forget)?.1 {
            counts.more = true;
            break;
        }
    }
    counts.waiting = WAITING.count_writing(&owner, &[bind(MAX_WAITING), bind(None::<i16>)])?;
    if counts.waiting > 0 && !counts.more {
        let holder = HOLDER.write(&owner, &[], |row| Ok((row.required(1)?, row.get(2)?)))?;
        counts.held_by = holder.into_iter().next();
    }
    Ok(counts)
}

/// Whether all activity of a month (1 to 12) is rolled up, so that it may be truncated. Ask under the
/// lock that truncating takes: then nobody is writing more of it. The snapshot is taken under it too, so
/// not at REPEATABLE READ.
pub fn is_rolled_up(month: i16) -> Result<bool> {
    Ok(WAITING.count_writing(&AsOwner::enter_by_index()?, &[bind(1_i64), bind(month)])? == 0)
}
