//! What is old enough to go and until when maintenance runs, and deleting rows that tables of the application may
//! reference.

use std::collections::BTreeSet;

use pgrx::pg_sys;

use crate::error::Result;
use crate::guc;
use crate::pg::clock::{self, Micros};
use crate::pg::roles::AsOwner;
use crate::pg::server;
use crate::pg::statements::{Statement, bind};
use crate::pg::transaction::subtransaction::{Tried, attempt};

/// After this a run ends and leaves the rest to the next one. What it has deleted stays locked until
/// then, and a log-in whose user has a session among that waits.
const RUN_FOR: Micros = 10 * clock::SECOND;

/// What may go, and the time that there is for it.
pub struct Horizon {
    /// When the run began.
    pub now: Micros,
    /// When the run before it began, or `now`, whichever is earlier. Nothing goes whose time had not come by
    /// then: where the clock has jumped ahead, one run deletes nothing that lives.
    pub seen: Micros,
    /// What died before that has been kept long enough.
    pub sessions_before: Micros,
    /// When to end: half of what the timeouts in force leave is kept for the last statement and the commit.
    until: Micros,
}

impl Horizon {
    /// The horizon of a run that begins now.
    pub fn new(ran_at: Micros) -> Self {
        let now = clock::now();
        let left = server::cancelled_at().map(|at| at.saturating_sub(now) / 2);
        Horizon {
            now,
            seen: now.min(ran_at),
            sessions_before: now.saturating_sub(guc::session_retention_micros()),
            until: now.saturating_add(left.unwrap_or(RUN_FOR).min(RUN_FOR)),
        }
    }

    /// What died, or was revoked, before that may go.
    pub fn dead_before(&self) -> Micros {
        self.sessions_before.min(self.seen)
    }

    /// Whether the run has lasted long enough.
    pub fn is_late(&self) -> bool {
        clock::now() >= self.until
    }

    /// Whether half of the time is over.
    pub fn is_half_over(&self) -> bool {
        clock::now() >= self.now + (self.until - self.now) / 2
    }
}

/// Repeats a step that does at most `batch` rows until one does fewer; returns how many they did, and whether `is_over`
/// ended that before.
pub fn repeat(batch: u32, is_over: impl Fn() -> bool, step: impl Fn() -> Result<u64>) -> Result<(u64, bool)> {
    let mut rows = 0;
    loop {
        let done = step()?;
        rows += done;
        if done < u64::from(batch) {
            return Ok((rows, false));
        }
        if is_over() {
            return Ok((rows, true));
        }
        pg_sys::check_for_interrupts!();
    }
}

/// Whether something may be checked as late as at commit, when all would be undone, about our tables or others whose rows
/// change with ours. Else what the caller has put off is none of our business.
static DEFERRABLE: Statement = Statement::new(
    "WITH RECURSIVE reached (oid) AS ( \
              SELECT oid FROM pg_class WHERE relnamespace = 'dialstack'::regnamespace \
              UNION \
              SELECT c.conrelid FROM reached r JOIN pg_constraint c ON c.confrelid = r.oid \
               WHERE c.contype = 'f' AND c.confdeltype NOT IN ('a', 'r')) \
          SELECT count(*) FROM reached r JOIN pg_constraint c ON r.oid IN (c.conrelid, c.confrelid) \
           WHERE c.condeferrable",
);

static CHECK_NOW: Statement = Statement::new("SET CONSTRAINTS ALL IMMEDIATE");

/// The table that a message of the server blames, in whatever language: by the names of table and constraint. A
/// cascade may have ended at a table that references ours through others.
static BLAMED: Statement = Statement::new(
    "SELECT r.oid::regclass::text \
       FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_class o ON o.oid = c.confrelid \
      WHERE c.contype = 'f' AND strpos($1, r.relname) > 0 \
        AND (strpos($1, c.conname) > 0 OR o.relnamespace = 'dialstack'::regnamespace) \
      ORDER BY strpos($1, c.conname) > 0 DESC, length(c.conname) + length(r.relname) DESC LIMIT 1",
);

/// Deletes rows, and notes those that can't be deleted and whether there is more to do.
pub struct Deleter<'run> {
    /// Our owner, who deletes.
    pub owner: &'run AsOwner,
    /// What may go, and the time that there is for it.
    pub horizon: &'run Horizon,
    /// Most rows that one statement deletes.
    pub batch: u32,
    deferrable: bool,
    /// The message about the last row that had to stay: that of the next one is often the same.
    message: String,
    /// How many rows had to stay.
    pub kept: u64,
    /// Tables that reference them.
    pub kept_for: BTreeSet<String>,
    /// Whether something was left because a lock was not to be had, or for lack of time.
    pub more: bool,
}

impl<'run> Deleter<'run> {
    /// A deleter that has deleted nothing yet.
    pub fn new(owner: &'run AsOwner, horizon: &'run Horizon, batch: u32) -> Result<Self> {
        Ok(Deleter {
            owner,
            horizon,
            batch,
            deferrable: DEFERRABLE.count(owner, &[])? > 0,
            message: String::new(),
            kept: 0,
            kept_for: BTreeSet::new(),
            more: false,
        })
    }

    /// Deletes the rows with these keys in a subtransaction, and returns how many went. Those that can't be deleted
    /// because of a constraint are found by halves, and handed to `keep`. `delete` locks what it deletes: two locks of a
    /// row, in two subtransactions, would cost far more.
    pub fn delete<K>(
        &mut self,
        keys: &[K],
        delete: &impl Fn(&[K]) -> Result<u64>,
        keep: &mut impl FnMut(&K),
    ) -> Result<u64> {
        if keys.is_empty() {
            return Ok(0);
        }
        let tried = attempt(self.owner, || {
            let deleted = delete(keys)?;
            if self.deferrable {
                // So is whatever else the transaction has deferred, triggers of others among it.
                let _role = self.owner.as_caller();
                CHECK_NOW.execute(self.owner, &[])?;
            }
            Ok(deleted)
        })?;
        match (tried, keys) {
            (Tried::Done(deleted), _) => Ok(deleted),
            (Tried::Forbidden(message), [key]) => {
                self.note(message)?;
                keep(key);
                Ok(0)
            }
            (Tried::Forbidden(_), _) if !self.horizon.is_late() => {
                let (first, second) = keys.split_at(keys.len() / 2);
                Ok(self.delete(first, delete, keep)? + self.delete(second, delete, keep)?)
            }
            _ => {
                self.more = true;
                Ok(0)
            }
        }
    }

    fn note(&mut self, message: String) -> Result<()> {
        self.kept += 1;
        if self.message != message {
            let blamed = BLAMED.read(self.owner, &[bind(&*message)], |row| row.required(1))?;
            self.kept_for.extend(blamed);
            self.message = message;
        }
        Ok(())
    }
}
