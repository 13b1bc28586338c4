//! Deleting old activity. A month is emptied at once, by TRUNCATE; a partition that holds also what
//! is kept, because it serves the same month of every year, row by row.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;

use crate::error::Result;
use crate::guc;
use crate::maintenance::horizon::Horizon;
use crate::maintenance::rollup;
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::pg::transaction;
use crate::pg::transaction::subtransaction::unless_busy;

/// The statements of one partition.
struct Partition {
    any: Statement,
    lock: Statement,
    truncate: Statement,
    delete: Statement,
}

macro_rules! partition {
    ($table:literal) => {
        Partition {
            any: Statement::new(concat!("SELECT 1 FROM dialstack.", $table, " LIMIT 1")),
            lock: Statement::new(concat!("LOCK TABLE dialstack.", $table, " IN ACCESS EXCLUSIVE MODE")),
            truncate: Statement::new(concat!("TRUNCATE dialstack.", $table)),
            // A skip scan over the environments: where nothing is old, it costs two look-ups each.
            delete: Statement::new(concat!(
                "WITH RECURSIVE envs (env_id) AS ( \
                         SELECT min(env_id) FROM dialstack.",
                $table,
                " UNION ALL \
                         SELECT (SELECT min(a.env_id) FROM dialstack.",
                $table,
                " a WHERE a.env_id > e.env_id) FROM envs e WHERE e.env_id IS NOT NULL), \
                     old AS ( \
                         SELECT a.place FROM envs e CROSS JOIN LATERAL ( \
                             SELECT a.ctid AS place FROM dialstack.",
                $table,
                " a WHERE a.env_id = e.env_id AND a.at < $1 \
                                AND (a.xid, a.activity_id) <= ( \
                                        SELECT r.xid, r.activity_id FROM dialstack.rollup_state r) \
                              ORDER BY a.at \
                              LIMIT $2 FOR UPDATE SKIP LOCKED) a \
                          LIMIT $2) \
                     DELETE FROM dialstack.",
                $table,
                " WHERE ctid = ANY (ARRAY(SELECT place FROM old))"
            )),
        }
    };
}

static PARTITIONS: [Partition; 12] = [
    partition!("activity_01"),
    partition!("activity_02"),
    partition!("activity_03"),
    partition!("activity_04"),
    partition!("activity_05"),
    partition!("activity_06"),
    partition!("activity_07"),
    partition!("activity_08"),
    partition!("activity_09"),
    partition!("activity_10"),
    partition!("activity_11"),
    partition!("activity_12"),
];

/// The twelve months up to the one of `$1`, in UTC: of each partition the latest that it can hold. `$2`
/// is the retention in microseconds; the last column, the same in each row, is the first moment that is
/// kept: the beginning of a month. `$3` is the time by which that is judged.
static MONTHS: Statement = Statement::new(
    "SELECT extract(month FROM m)::smallint, to_char(m, 'YYYY-MM'), \
                 (m + interval '1 month') AT TIME ZONE 'UTC', \
                 (m + interval '1 year') AT TIME ZONE 'UTC', \
                 date_trunc('month', ($3 - $2 * interval '1 microsecond') AT TIME ZONE 'UTC') \
                     AT TIME ZONE 'UTC' \
            FROM date_trunc('month', $1 AT TIME ZONE 'UTC') AS this (month) \
           CROSS JOIN generate_series( \
                     this.month - interval '11 months', this.month, interval '1 month') AS m \
           ORDER BY m",
);

struct Month {
    /// 1 to 12.
    number: i16,
    partition: &'static Partition,
    /// Year and month.
    label: String,
    /// The first moment after it.
    ends: Micros,
    /// When the partition is written again.
    returns: Micros,
    /// What is before that may go.
    keep_from: Micros,
}

fn months(owner: &AsOwner, horizon: &Horizon) -> Result<Vec<Month>> {
    let arguments = [
        bind(timestamptz(horizon.now)),
        bind(guc::activity_retention_micros()),
        bind(timestamptz(horizon.seen)),
    ];
    let months = MONTHS.read(owner, &arguments, |row| {
        let moment = |column| row.required::<TimestampWithTimeZone>(column).map(clock::micros);
        let number = row.required::<i16>(1)?;
        let index = usize::try_from(number - 1).ok();
        let Some(partition) = index.and_then(|index| PARTITIONS.get(index)) else {
            return Ok(None);
        };
        Ok(Some(Month {
            number,
            partition,
            label: row.required(2)?,
            ends: moment(3)?,
            returns: moment(4)?,
            keep_from: moment(5)?,
        }))
    })?;
    Ok(months.into_iter().flatten().collect())
}

/// What came of it.
#[derive(Default)]
pub struct PurgedActivity {
    /// Months that were emptied, as `YYYY-MM`.
    pub months: Vec<String>,
    /// Months that other transactions were using.
    pub skipped: Vec<String>,
    /// Rows that were deleted one by one.
    pub rows: u64,
    /// Whether there is more of it.
    pub more: bool,
}

/// Deletes activity that is older than the retention, by whole months. The lock of a month that was
/// emptied lasts until the transaction ends: this comes last.
pub fn activity(owner: &AsOwner, horizon: &Horizon, batch: u32) -> Result<PurgedActivity> {
    let mut purged = PurgedActivity::default();
    for month in months(owner, horizon)? {
        if horizon.is_late() {
            purged.more = true;
            break;
        }
        let before = month.keep_from;
        // With an old snapshot nobody can tell whether all of it is rolled up: row by row, what this
        // transaction does not see stays.
        if month.ends <= before && !transaction::has_old_snapshot() {
            empty(owner, month, &mut purged)?;
        } else {
            let deleted = unless_busy(owner, || thin_out(owner, &month, before, horizon, batch))?;
            let (rows, more) = deleted.unwrap_or((0, true));
            purged.rows += rows;
            purged.more |= more;
        }
    }
    purged.more |= !purged.skipped.is_empty();
    Ok(purged)
}

/// Empties a partition of which everything is old.
fn empty(owner: &AsOwner, month: Month, purged: &mut PurgedActivity) -> Result<()> {
    let Partition { any, lock, truncate, .. } = month.partition;
    let emptied = unless_busy(owner, || {
        if any.read(owner, &[], |_| Ok(()))?.is_empty() {
            return Ok(false);
        }
        lock.execute(owner, &[])?;
        // A new year's month may have begun while we waited: nobody writes it now.
        if clock::now() >= month.returns || !rollup::is_rolled_up(month.number)? {
            return Ok(false);
        }
        truncate.execute(owner, &[])?;
        Ok(true)
    })?;
    match emptied {
        Some(true) => purged.months.push(month.label),
        Some(false) => {}
        None => purged.skipped.push(month.label),
    }
    Ok(())
}

/// Deletes the rows of earlier years from a partition whose latest month is kept.
fn thin_out(
    owner: &AsOwner,
    month: &Month,
    before: Micros,
    horizon: &Horizon,
    batch: u32,
) -> Result<(u64, bool)> {
    let limit = i64::from(batch);
    let mut rows = 0;
    loop {
        let arguments = [bind(timestamptz(before)), bind(limit)];
        let deleted = month.partition.delete.execute(owner, &arguments)?;
        rows += deleted;
        if deleted == 0 {
            return Ok((rows, false));
        }
        if horizon.is_late() {
            return Ok((rows, true));
        }
        pg_sys::check_for_interrupts!();
    }
}
