//! Work that needs locks which others may hold for ever: it is tried again for a while, and then given up.

use crate::error::{Code, Error, Result};
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::{Statement, bind};
use crate::pg::transaction::subtransaction::{unless_busy, unless_locked};

/// How long it is tried. One attempt waits for each lock as long as `unless_busy` does.
const PATIENCE: Micros = 5 * clock::SECOND;

/// Others, who wait behind an attempt, go on meanwhile.
static PAUSE: Statement = Statement::new("SELECT 1 FROM pg_sleep(0.2)");

/// The transactions that are older than `$1` and hold locks that can be in the way; of the server's own cleaning,
/// which gives way only to those who wait longer than `deadlock_timeout`, whether it is among them.
static BLOCKERS: Statement = Statement::new(
    "SELECT string_agg(DISTINCT b.who, ', '), coalesce(bool_or(b.gives_way), false) \
       FROM (SELECT CASE WHEN l.pid IS NULL THEN format('prepared transaction %L', p.gid) \
                         ELSE concat('process ', l.pid, ' (', \
                                     coalesce(a.state, a.backend_type), \
                                     ' since ' || a.state_change::timestamptz(0), ')') END AS who, \
                    a.backend_type = 'autovacuum worker' AS gives_way \
               FROM pg_locks l \
               JOIN pg_class c ON c.oid = l.relation \
                              AND c.relnamespace = 'dialstack'::regnamespace \
               JOIN pg_database d ON d.oid = l.database AND d.datname = current_database() \
               LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
               LEFT JOIN (pg_locks x JOIN pg_prepared_xacts p ON p.transaction = x.transactionid) \
                 ON l.pid IS NULL AND x.pid IS NULL AND x.virtualtransaction = l.virtualtransaction \
              WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() \
                AND (l.mode <> 'AccessShareLock' OR c.relname = 'scopes') \
                AND (a.backend_type = 'autovacuum worker' \
                     OR coalesce(a.xact_start, p.prepared, '-infinity') < $1)) b",
);

/// Does the work in a subtransaction that waits for no lock longer than a moment, and tries again for some seconds.
/// Between the attempts it holds none of its locks, so that nobody waits long because of it.
///
/// # Errors
/// `LOCK_NOT_AVAILABLE`, which names those who hold the locks; those of the work.
pub fn patiently<T>(owner: &AsOwner, work: impl Fn() -> Result<T>) -> Result<T> {
    let began = clock::now();
    while clock::now().saturating_sub(began) < PATIENCE {
        if let Some(done) = unless_busy(owner, &work)? {
            return Ok(done);
        }
        PAUSE.read(owner, &[], |_| Ok(()))?;
    }
    let blockers = || {
        BLOCKERS.read(owner, &[bind(timestamptz(began))], |row| {
            Ok((row.get::<String>(1)?, row.required::<bool>(2)?))
        })
    };
    let gives_way = blockers()?.into_iter().any(|(_, gives_way)| gives_way);
    if gives_way && let Some(done) = unless_locked(owner, Setting::long_lock_timeout, &work)? {
        return Ok(done);
    }
    let error = Error::new(
        Code::LockNotAvailable,
        "other transactions hold locks that this call needs; nothing was changed",
    );
    Err(match blockers()?.into_iter().find_map(|(who, _)| who) {
        Some(who) => error.hint(format!(
            "Let them end, or end them with pg_terminate_backend() or ROLLBACK PREPARED, and call again: {who}."
        )),
        None => error.hint("Call again; while it waits, pg_blocking_pids() says who holds the locks."),
    })
}
