//! Deleting what is dead for long: sessions, users of what was deleted, keys, the record of administration.
//!
//! Rows of sessions and of their users are taken with SKIP LOCKED, so that nothing here waits for them, and one that is
//! locked holds up no other. A call that wants a row which is about to go waits for it as for any deletion.

use pgrx::pg_sys;

use crate::error::Result;
use crate::guc;
use crate::maintenance::deleter::{Deleter, Horizon, repeat};
use crate::pg::clock::timestamptz;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::pg::transaction::subtransaction::unless_busy;
use crate::tables::{administration, signing_keys};

/// Sessions that are looked for at once. The next look begins behind what this one has deleted, which
/// is still in the index until the transaction ends: a look for each batch would read that again and
/// again.
const WINDOW: i64 = 100_000;

/// The statements that purge one of the tables of sessions.
struct Sessions {
    /// Those whose last day was over before `$1`.
    due: Statement,
    /// Of these ids, those that died before `$2` and that nobody else has locked.
    lock: Statement,
    /// Looks at the rows again on the next day.
    keep: Statement,
    /// Run before `delete`.
    before: Option<&'static Statement>,
    delete: Statement,
}

macro_rules! sessions {
    ($table:literal, $before:expr, $unless:literal) => {
        Sessions {
            due: Statement::new(concat!(
                "SELECT session_id FROM dialstack.",
                $table,
                " WHERE purge_after < ($1 AT TIME ZONE 'UTC')::date ORDER BY purge_after LIMIT $2"
            )),
            lock: Statement::new(concat!(
                "SELECT session_id FROM dialstack.",
                $table,
                " WHERE session_id = ANY ($1) AND least(expires_at, revoked_at) <= $2 \
                    FOR UPDATE SKIP LOCKED"
            )),
            keep: Statement::new(concat!(
                "UPDATE dialstack.",
                $table,
                " SET purge_after = ($2 AT TIME ZONE 'UTC')::date WHERE session_id = ANY ($1)"
            )),
            before: $before,
            delete: Statement::new(concat!(
                "DELETE FROM dialstack.",
                $table,
                " s WHERE session_id = ANY ($1)",
                $unless
            )),
        }
    };
}

/// Users' sessions whose user's row was locked just now stay until the next time.
static USERS_AND_ACCOUNTS: Sessions = sessions!(
    "sessions",
    Some(&REMEMBER_USERS),
    " AND NOT EXISTS ( \
          SELECT FROM dialstack.session_users u \
           WHERE u.env_id = s.env_id AND u.definition_id = s.definition_id \
             AND u.identifier = s.subject AND u.last_seen < s.last_seen_at)"
);

static CLIENTS: Sessions = sessions!("client_sessions", None, "");

/// Copies `last_seen_at` to the user's row before the session is purged.
static REMEMBER_USERS: Statement = Statement::new(
    "WITH newest AS ( \
              SELECT env_id, definition_id, subject, max(last_seen_at) AS last_seen \
                FROM dialstack.sessions \
               WHERE session_id = ANY ($1) AND definition_id IS NOT NULL \
               GROUP BY env_id, definition_id, subject), \
          behind AS ( \
              SELECT u.env_id, u.definition_id, u.identifier, n.last_seen \
                FROM newest n \
                JOIN dialstack.session_users u \
                  ON u.env_id = n.env_id AND u.definition_id = n.definition_id \
                 AND u.identifier = n.subject \
               WHERE u.last_seen < n.last_seen \
                 FOR NO KEY UPDATE OF u SKIP LOCKED) \
          UPDATE dialstack.session_users u SET last_seen = b.last_seen \
            FROM behind b \
           WHERE u.env_id = b.env_id AND u.definition_id = b.definition_id \
             AND u.identifier = b.identifier",
);

/// Deletes the sessions that are dead for longer than the retention. Those that a table of the application
/// references are looked at again on the next day, so that they are not in the way of others.
pub fn sessions(deleter: &mut Deleter<'_>) -> Result<u64> {
    Ok(purge(deleter, &USERS_AND_ACCOUNTS)? + purge(deleter, &CLIENTS)?)
}

fn purge(deleter: &mut Deleter<'_>, table: &'static Sessions) -> Result<u64> {
    let (owner, horizon) = (deleter.owner, deleter.horizon);
    let mut rows = 0;
    // However little time there is, one batch is done.
    let mut is_first = true;
    loop {
        let arguments = [bind(timestamptz(horizon.sessions_before)), bind(WINDOW)];
        let due = table.due.read(owner, &arguments, |row| row.required::<pgrx::Uuid>(1))?;
        let mut settled = 0;
        for ids in due.chunks(deleter.batch as usize) {
            if horizon.is_late() && !is_first {
                deleter.more = true;
                return Ok(rows);
            }
            is_first = false;
            let mut kept = Vec::new();
            let delete = |ids: &[pgrx::Uuid]| purge_batch(owner, table, horizon, ids);
            let deleted = deleter.delete(ids, &delete, &mut |id| kept.push(*id))?;
            rows += deleted;
            settled += deleted + kept.len() as u64;
            if !kept.is_empty() {
                let arguments = [bind(kept), bind(timestamptz(horizon.sessions_before))];
                table.keep.execute(owner, &arguments)?;
            }
            pg_sys::check_for_interrupts!();
        }
        if settled == 0 {
            // What is left is locked by somebody, or was alive at the run before.
            deleter.more |= !due.is_empty();
            return Ok(rows);
        }
    }
}

fn purge_batch(
    owner: &AsOwner,
    table: &'static Sessions,
    horizon: &Horizon,
    ids: &[pgrx::Uuid],
) -> Result<u64> {
    let arguments = [bind(ids.to_vec()), bind(timestamptz(horizon.dead_before()))];
    let dead = table.lock.write(owner, &arguments, |row| row.required::<pgrx::Uuid>(1))?;
    // Even a DELETE of no row would empty the caches of every backend.
    if dead.is_empty() {
        return Ok(0);
    }
    if let Some(before) = table.before {
        before.execute(owner, &[bind(dead.clone())])?;
    }
    table.delete.execute(owner, &[bind(dead)])
}

/// Environments and definitions that are gone, with users left but no session. A skip scan: the
/// primary key is looked up once for each pair.
static ORPHANED: Statement = Statement::new(
    "WITH RECURSIVE pairs AS ( \
              (SELECT env_id, definition_id FROM dialstack.session_users \
                ORDER BY env_id, definition_id LIMIT 1) \
              UNION ALL \
              SELECT next.* FROM pairs p CROSS JOIN LATERAL ( \
                  SELECT u.env_id, u.definition_id FROM dialstack.session_users u \
                   WHERE (u.env_id, u.definition_id) > (p.env_id, p.definition_id) \
                   ORDER BY u.env_id, u.definition_id LIMIT 1) next) \
          SELECT env_id, definition_id FROM pairs p \
           WHERE (NOT EXISTS (SELECT FROM dialstack.environments e WHERE e.env_id = p.env_id) \
                  OR NOT EXISTS (SELECT FROM dialstack.session_definitions d \
                                  WHERE d.definition_id = p.definition_id)) \
             AND NOT EXISTS (SELECT FROM dialstack.sessions s \
                              WHERE s.env_id = p.env_id AND s.definition_id = p.definition_id)",
);

/// The next users, by name.
static USERS: Statement = Statement::new(
    "SELECT identifier FROM dialstack.session_users \
           WHERE env_id = $1 AND definition_id = $2 AND identifier > $3 \
           ORDER BY identifier LIMIT $4",
);

static FORGET_USERS: Statement = Statement::new(
    "DELETE FROM dialstack.session_users u \
           USING (SELECT env_id, definition_id, identifier FROM dialstack.session_users \
                   WHERE env_id = $1 AND definition_id = $2 AND identifier = ANY ($3) \
                     FOR UPDATE SKIP LOCKED) gone \
           WHERE u.env_id = gone.env_id AND u.definition_id = gone.definition_id \
             AND u.identifier = gone.identifier",
);

/// Deletes the users of deleted environments and definitions once they have no session left. All other
/// users stay: only they show how many there ever were, and who comes back.
pub fn users(deleter: &mut Deleter<'_>) -> Result<u64> {
    let owner = deleter.owner;
    let mut rows = 0;
    let orphaned: Vec<(i32, i32)> = ORPHANED.read(owner, &[], FromRow::from_row)?;
    for (env_id, definition_id) in orphaned {
        let mut last = String::new();
        loop {
            if deleter.horizon.is_late() {
                deleter.more = true;
                return Ok(rows);
            }
            let arguments = [bind(env_id), bind(definition_id), bind(last), bind(i64::from(deleter.batch))];
            let users = USERS.read(owner, &arguments, |row| row.required::<String>(1))?;
            let Some(next) = users.last().cloned() else {
                break;
            };
            last = next;
            let forget = |users: &[String]| {
                let arguments = [bind(env_id), bind(definition_id), bind(users.to_vec())];
                FORGET_USERS.execute(owner, &arguments)
            };
            rows += deleter.delete(&users, &forget, &mut |_| ())?;
            pg_sys::check_for_interrupts!();
        }
    }
    Ok(rows)
}

static OLD_KEYS: Statement =
    Statement::new("SELECT kid FROM dialstack.signing_keys WHERE state = 'revoked' AND revoked_at < $1");

static DELETE_KEYS: Statement = Statement::new("DELETE FROM dialstack.signing_keys WHERE kid = ANY ($1)");

/// Deletes keys that were revoked longer ago than the retention, unless somebody else is changing keys.
pub fn keys(deleter: &mut Deleter<'_>) -> Result<u64> {
    let owner = deleter.owner;
    let arguments = [bind(timestamptz(deleter.horizon.dead_before()))];
    let old = OLD_KEYS.read(owner, &arguments, |row| row.required::<String>(1))?;
    let delete = |kids: &[String]| {
        signing_keys::lock(owner)?;
        DELETE_KEYS.execute(owner, &[bind(kids.to_vec())])
    };
    deleter.delete(&old, &delete, &mut |_| ())
}

/// A publishable key stays while there is a client session that it made: other publishable keys reach
/// that only as long as it is known what made it.
static OLD_API_KEYS: Statement = Statement::new(
    "SELECT api_key_id FROM dialstack.api_keys k \
           WHERE least(k.revoked_at, k.expires_at) < $1 \
             AND (k.kind <> 'publishable' OR NOT EXISTS ( \
                 SELECT FROM dialstack.client_sessions s \
                  WHERE s.env_id = k.env_id AND s.api_key_id = k.api_key_id))",
);

static DELETE_API_KEYS: Statement =
    Statement::new("DELETE FROM dialstack.api_keys WHERE api_key_id = ANY ($1)");

/// Deletes API keys that were revoked or have expired longer ago than the retention.
pub fn api_keys(deleter: &mut Deleter<'_>) -> Result<u64> {
    let owner = deleter.owner;
    let arguments = [bind(timestamptz(deleter.horizon.dead_before()))];
    let old = OLD_API_KEYS.read(owner, &arguments, |row| row.required::<pgrx::Uuid>(1))?;
    let delete = |ids: &[pgrx::Uuid]| DELETE_API_KEYS.execute(owner, &[bind(ids.to_vec())]);
    deleter.delete(&old, &delete, &mut |_| ())
}

/// Deletes the record of what administrators did longer ago than its retention.
pub fn administration(deleter: &mut Deleter<'_>) -> Result<u64> {
    let Deleter { owner, horizon, batch, .. } = *deleter;
    let before = horizon.seen.saturating_sub(guc::administration_retention_micros());
    let delete = || administration::delete(owner, before, i64::from(batch));
    let (rows, more) =
        unless_busy(owner, || repeat(batch, || horizon.is_late(), delete))?.unwrap_or((0, true));
    deleter.more |= more;
    Ok(rows)
}
