//! The table `session_users`: one row a user, which is locked before the user's sessions are counted
//! or revoked, so that the cap and revoke-all are exact.

use pgrx::IntoDatum;
use pgrx::datum::{DatumWithOid, TimestampWithTimeZone};
use pgrx::pg_sys::BuiltinOid as T;
use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{self, Micros, timestamptz, timestamptz_datum};
use crate::pg::datum::uuid::uuid;
use crate::pg::roles::AsOwner;
use crate::pg::rows::Update;
use crate::pg::scan;
use crate::pg::statements::{Statement, bind};
use crate::pg::transaction;
use crate::tables::session_writes;

/// A user of a definition in an environment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserKey<'a> {
    /// The environment.
    pub env_id: i32,
    /// The definition.
    pub definition_id: i32,
    /// Who.
    pub identifier: &'a str,
}

impl<'a> UserKey<'a> {
    /// The key and more as parameters.
    fn bound<const N: usize>(self, more: [DatumWithOid<'a>; N]) -> Vec<DatumWithOid<'a>> {
        let key = [
            bind(self.env_id),
            bind(self.definition_id),
            bind(self.identifier),
        ];
        key.into_iter().chain(more).collect()
    }
}

static COUNT_IN_USER: Statement = Statement {
    sql: "INSERT INTO dialstack.session_users AS u \
              (env_id, definition_id, identifier, first_seen, last_seen, total_sessions) \
          VALUES ($1, $2, $3, $4, $4, 1) \
          ON CONFLICT (env_id, definition_id, identifier) DO UPDATE \
              SET last_seen = greatest(u.last_seen, excluded.last_seen), \
                  total_sessions = u.total_sessions + 1",
    parameters: &[T::INT4OID, T::INT4OID, T::TEXTOID, T::TIMESTAMPTZOID],
};

/// Waits also for the first session of a user that nobody sees yet: the conflicting insert does.
static LOCK_USER: Statement = Statement {
    sql: "INSERT INTO dialstack.session_users AS u \
              (env_id, definition_id, identifier, first_seen, last_seen, total_sessions) \
          VALUES ($1, $2, $3, '-infinity', '-infinity', 0) \
          ON CONFLICT (env_id, definition_id, identifier) DO UPDATE \
              SET total_sessions = u.total_sessions",
    parameters: &[T::INT4OID, T::INT4OID, T::TEXTOID],
};

static FORGET_UNKNOWN_USER: Statement = Statement {
    sql: "DELETE FROM dialstack.session_users \
           WHERE env_id = $1 AND definition_id = $2 AND identifier = $3 AND total_sessions = 0",
    parameters: &[T::INT4OID, T::INT4OID, T::TEXTOID],
};

/// Also those whose time is over: a refresh that is not committed yet may be giving them more. The
/// statement that follows sees what became of them.
static LOCK_UNREVOKED: Statement = Statement {
    sql: "SELECT 1 FROM dialstack.sessions \
           WHERE env_id = $1 AND definition_id = $2 AND subject = $3 AND revoked_at IS NULL \
             FOR NO KEY UPDATE",
    parameters: &[T::INT4OID, T::INT4OID, T::TEXTOID],
};

static LIVING: Statement = Statement {
    sql: "SELECT count(*) FROM dialstack.sessions \
           WHERE env_id = $1 AND definition_id = $2 AND subject = $3 \
             AND revoked_at IS NULL AND expires_at > $4",
    parameters: &[T::INT4OID, T::INT4OID, T::TEXTOID, T::TIMESTAMPTZOID],
};

static OLDEST: Statement = Statement {
    sql: "SELECT session_id FROM dialstack.sessions \
           WHERE env_id = $1 AND definition_id = $2 AND subject = $3 \
             AND revoked_at IS NULL AND expires_at > $4 \
           ORDER BY created_at, session_id LIMIT $5",
    parameters: &[
        T::INT4OID,
        T::INT4OID,
        T::TEXTOID,
        T::TIMESTAMPTZOID,
        T::INT8OID,
    ],
};

/// Columns of `session_users` that are written past SQL, counted from 1.
mod column {
    pub const ENV_ID: i16 = 1;
    pub const DEFINITION_ID: i16 = 2;
    pub const IDENTIFIER: i16 = 3;
    pub const LAST_SEEN: usize = 5;
    pub const TOTAL_SESSIONS: usize = 6;
}

/// Notes that a user gets one more session, and locks the user's row until the transaction ends.
pub fn count_in_user(user: UserKey<'_>, now: Micros) -> Result<()> {
    // What follows counts by the transaction's snapshot. Where that may be too old to show what was
    // waited for, only a statement notices, and fails.
    if !transaction::has_old_snapshot() && count_in_known(user, now)? {
        return Ok(());
    }
    // Else a new user, whom others may be making as well.
    let arguments = user.bound([bind(timestamptz(now))]);
    COUNT_IN_USER
        .execute(&AsOwner::enter()?, &arguments)
        .map(|_| ())
}

static COUNT_IN_KNOWN: Update = Update {
    rel: "",
    columns: &[column::LAST_SEEN, column::TOTAL_SESSIONS],
    statement: Statement {
        sql: "UPDATE dialstack.session_users SET last_seen = $4, total_sessions = $5 \
               WHERE env_id = $1 AND definition_id = $2 AND identifier = $3",
        parameters: &[
            T::INT4OID,
            T::INT4OID,
            T::TEXTOID,
            T::TIMESTAMPTZOID,
            T::INT8OID,
        ],
    },
};

/// The same for a user who is there; `false` for a new one.
fn count_in_known(user: UserKey<'_>, now: Micros) -> Result<bool> {
    let location: Option<crate::pg::rows::Location> = None;
    let Some(location) = location else {
        return Ok(false);
    };
    let key = [
        user.env_id.into_datum(),
        user.definition_id.into_datum(),
        user.identifier.into_datum(),
    ];
    let counted = COUNT_IN_KNOWN.run(location, &key, |known| {
        let seen = known.get::<TimestampWithTimeZone>(column::LAST_SEEN);
        let seen = seen.map_or(now, |seen| clock::micros(seen).max(now));
        let total = known.get::<i64>(column::TOTAL_SESSIONS).unwrap_or_default();
        let values = vec![
            timestamptz_datum(seen),
            total.saturating_add(1).into_datum(),
        ];
        Some((values, ()))
    })?;
    Ok(counted.is_some())
}

/// How many living sessions the user has. Exact after [`count_in_user`], until the transaction ends.
pub fn living(owner: &AsOwner, user: UserKey<'_>, now: Micros) -> Result<i64> {
    session_writes::lock_table()?;
    let key = user.bound([]);
    LOCK_UNREVOKED.execute(owner, &key)?;
    let arguments = user.bound([bind(timestamptz(now))]);
    let counts = LIVING.write(owner, &arguments, |row| row.required::<i64>(1))?;
    Ok(counts.into_iter().sum())
}

/// The user's `count` oldest living sessions.
pub fn oldest(owner: &AsOwner, user: UserKey<'_>, now: Micros, count: u32) -> Result<Vec<Uuid>> {
    let arguments = user.bound([bind(timestamptz(now)), bind(i64::from(count))]);
    OLDEST.write(owner, &arguments, |row| Ok(uuid(row.required(1)?)))
}

/// Locks the user's row and all that may still live of the user's sessions, does the work, which is
/// told how many they are, and leaves no row of a user who was never seen.
pub fn with_locked<T>(
    owner: &AsOwner,
    user: UserKey<'_>,
    work: impl FnOnce(u64) -> Result<T>,
) -> Result<T> {
    let key = user.bound([]);
    scan::lock_for_writing::<crate::tables::sessions::Sessions>()?;
    LOCK_USER.execute(owner, &key)?;
    session_writes::lock_table()?;
    let unrevoked = LOCK_UNREVOKED.execute(owner, &key)?;
    let done = work(unrevoked)?;
    FORGET_UNKNOWN_USER.execute(owner, &key)?;
    Ok(done)
}
