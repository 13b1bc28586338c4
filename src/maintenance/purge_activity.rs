//! Deleting old activity. A month is emptied at once, by TRUNCATE; a partition that holds also what
//! is kept, because it serves the same month of every year, row by row.

use pgrx::datum::TimestampWithTimeZone;

use crate::error::Result;
use crate::guc;
use crate::maintenance::deleter::{Deleter, repeat};
use crate::maintenance::rollup;
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::pg::transaction;
use crate::pg::transaction::subtransaction::unless_busy;

static ANY: Statement = Statement::new("SELECT 1 FROM dialstack.activity WHERE month = $1 LIMIT 1");

/// A skip scan over the environments: where nothing is old, it costs two look-ups each. `$1` is the month, whose
/// partition alone is read.
static DELETE: Statement = Statement::new(
    "WITH RECURSIVE envs (env_id) AS ( \
             SELECT min(env_id) FROM dialstack.activity WHERE month = $1 \
             UNION ALL \
             SELECT (SELECT min(a.env_id) FROM dialstack.activity a WHERE a.month = $1 AND a.env_id > e.env_id) \
               FROM envs e WHERE e.env_id IS NOT NULL), \
         old AS ( \
             SELECT a.place FROM envs e CROSS JOIN LATERAL ( \
                 SELECT a.ctid AS place FROM dialstack.activity a \
                  WHERE a.month = $1 AND a.env_id = e.env_id AND a.at < $2 \
                    AND (a.xid, a.activity_id) <= ( \
                            SELECT r.xid, r.activity_id FROM dialstack.rollup_state r) \
                  ORDER BY a.at \
                  LIMIT $3 FOR UPDATE SKIP LOCKED) a \
              LIMIT $3) \
         DELETE FROM dialstack.activity WHERE month = $1 AND ctid = ANY (ARRAY(SELECT place FROM old))",
);

/// Locks and empties the partition of a month.
macro_rules! emptying {
    ($($table:literal)+) => {
        [$((
            Statement::new(concat!("LOCK TABLE dialstack.", $table, " IN ACCESS EXCLUSIVE MODE")),
            Statement::new(concat!("TRUNCATE dialstack.", $table)),
        )),+]
    };
}

static EMPTYING: [(Statement, Statement); 12] = emptying!(
    "activity_01" "activity_02" "activity_03" "activity_04" "activity_05" "activity_06"
    "activity_07" "activity_08" "activity_09" "activity_10" "activity_11" "activity_12"
);

/// The twelve months up to the one of `$1`, in UTC: of each partition the latest that it can hold. Their numbers (1 to
/// 12), year and month, whether all of it may go, when the partition is written again, and, the same in each row, the
/// first moment that is kept: the beginning of a month. `$2` is the retention in microseconds, `$3` the time by which
/// that is judged.
static MONTHS: Statement = Statement::new(
    "SELECT extract(month FROM m)::smallint, to_char(m, 'YYYY-MM'), m + interval '1 month' <= kept.month, \
                 (m + interval '1 year') AT TIME ZONE 'UTC', kept.month AT TIME ZONE 'UTC' \
            FROM date_trunc('month', $1 AT TIME ZONE 'UTC') AS this (month) \
           CROSS JOIN date_trunc('month', ($3 - $2 * interval '1 microsecond') AT TIME ZONE 'UTC') \
                   AS kept (month) \
           CROSS JOIN generate_series( \
                     this.month - interval '11 months', this.month, interval '1 month') AS m \
           ORDER BY m",
);

/// As [`MONTHS`] says.
type Month = (i16, String, bool, TimestampWithTimeZone, TimestampWithTimeZone);

/// What came of it.
#[derive(Default)]
pub struct PurgedActivity {
    /// Months that were emptied, as `YYYY-MM`.
    pub months: Vec<String>,
    /// Months that other transactions were using.
    pub skipped: Vec<String>,
    /// Rows that were deleted one by one.
    pub rows: u64,
}

/// Deletes activity that is older than the retention, by whole months. The lock of a month that was
/// emptied lasts until the transaction ends: this comes last.
pub fn activity(deleter: &mut Deleter<'_>) -> Result<PurgedActivity> {
    let Deleter { owner, horizon, batch, .. } = *deleter;
    let mut purged = PurgedActivity::default();
    // Else a statement would lock the partitions of all months.
    let _of_one_month = Setting::custom_plans();
    let arguments = [
        bind(timestamptz(horizon.now)),
        bind(guc::activity_retention_micros()),
        bind(timestamptz(horizon.seen)),
    ];
    let months: Vec<Month> = MONTHS.read(owner, &arguments, FromRow::from_row)?;
    for (month, label, is_old, returns, kept_from) in months {
        if horizon.is_late() {
            deleter.more = true;
            break;
        }
        // With an old snapshot nobody can tell whether all of it is rolled up: row by row, what this
        // transaction does not see stays.
        if is_old && !transaction::has_old_snapshot() {
            match empty(owner, month, clock::micros(returns))? {
                Some(true) => purged.months.push(label),
                Some(false) => {}
                None => purged.skipped.push(label),
            }
        } else {
            // Rows of earlier years, in a partition whose latest month is kept.
            let arguments = [bind(month), bind(kept_from), bind(i64::from(batch))];
            let delete = || DELETE.execute(owner, &arguments);
            let (rows, more) =
                unless_busy(owner, || repeat(batch, || horizon.is_late(), delete))?.unwrap_or((0, true));
            purged.rows += rows;
            deleter.more |= more;
        }
    }
    deleter.more |= !purged.skipped.is_empty();
    Ok(purged)
}

/// Empties a partition of which everything is old, and which is written again at that time; whether there was something
/// to be emptied. `None` where another transaction was using it.
fn empty(owner: &AsOwner, month: i16, returns: Micros) -> Result<Option<bool>> {
    let Some((lock, truncate)) = usize::try_from(month - 1).ok().and_then(|n| EMPTYING.get(n)) else {
        return Ok(Some(false));
    };
    unless_busy(owner, || {
        if ANY.read(owner, &[bind(month)], |_| Ok(()))?.is_empty() {
            return Ok(false);
        }
        lock.execute(owner, &[])?;
        // A new year's month may have begun while we waited: nobody writes it now.
        if clock::now() >= returns || !rollup::is_rolled_up(month)? {
            return Ok(false);
        }
        truncate.execute(owner, &[])?;
        Ok(true)
    })
}
