//! The statements that make, prolong and end sessions.
//!
//! Locking order: the user's `session_users` row, then `sessions` rows. What must see the sessions
//! of a user exactly touches that row first and then runs a second statement, whose snapshot is
//! newer: as one statement it would miss the session whose creator it waited for.

use std::cell::Cell;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::BuiltinOid as T;
use uuid::Uuid;

use super::activity::{self, Origin};
use super::clock::{self, Micros, timestamptz};
use super::owner::AsOwner;
use super::sessions::{self, SessionRow};
use super::statements::{Statement, bind};
use super::transaction;
use crate::error::{Code, Error, Result};
use crate::guc;
use crate::session::verdict::REVOKED_FOR_REUSE;

thread_local! {
    static PLAIN_REFRESH: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, updates of `sessions` are refreshes, which change no verdict that anybody
/// remembers; the invalidation trigger then stays silent.
struct PlainRefresh;

impl PlainRefresh {
    fn begin() -> Self {
        PLAIN_REFRESH.with(|flag| flag.set(true));
        PlainRefresh
    }
}

impl Drop for PlainRefresh {
    fn drop(&mut self) {
        PLAIN_REFRESH.with(|flag| flag.set(false));
    }
}

/// Whether the running statement is a plain refresh.
pub fn is_plain_refresh() -> bool {
    PLAIN_REFRESH.with(Cell::get)
}

fn uuid(id: &Uuid) -> pgrx::Uuid {
    pgrx::Uuid::from_bytes(*id.as_bytes())
}

/// The day after which the row of a session that dies then may go.
pub fn purge_after(dies_at: Micros) -> pgrx::datum::TimestampWithTimeZone {
    timestamptz(dies_at.saturating_add(guc::session_retention_micros()))
}

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

/// Notes that a user gets one more session, and locks the user's row until the transaction ends.
pub fn count_in_user(owner: &AsOwner, user: UserKey<'_>, now: Micros) -> Result<()> {
    let arguments = [
        bind(user.env_id),
        bind(user.definition_id),
        bind(user.identifier),
        bind(timestamptz(now)),
    ];
    COUNT_IN_USER.execute(owner, &arguments).map(|_| ())
}

/// How many living sessions the user has. Exact after [`count_in_user`], until the transaction ends.
pub fn living(owner: &AsOwner, user: UserKey<'_>, now: Micros) -> Result<i64> {
    let key = [
        bind(user.env_id),
        bind(user.definition_id),
        bind(user.identifier),
    ];
    LOCK_UNREVOKED.execute(owner, &key)?;
    let arguments = [
        bind(user.env_id),
        bind(user.definition_id),
        bind(user.identifier),
        bind(timestamptz(now)),
    ];
    let counts = LIVING.write(owner, &arguments, |row| row.required::<i64>(1))?;
    Ok(counts.into_iter().sum())
}

/// The user's `count` oldest living sessions.
pub fn oldest(owner: &AsOwner, user: UserKey<'_>, now: Micros, count: u32) -> Result<Vec<Uuid>> {
    let arguments = [
        bind(user.env_id),
        bind(user.definition_id),
        bind(user.identifier),
        bind(timestamptz(now)),
        bind(i64::from(count)),
    ];
    OLDEST.write(owner, &arguments, |row| {
        Ok(Uuid::from_bytes(*row.required::<pgrx::Uuid>(1)?.as_bytes()))
    })
}

/// A user session about to be stored.
pub struct NewSession<'a> {
    /// Its id.
    pub session_id: Uuid,
    /// Whose.
    pub user: UserKey<'a>,
    /// When it is created.
    pub now: Micros,
    /// When its first access token expires.
    pub token_expires_at: Micros,
    /// When it ends unless it is refreshed.
    pub expires_at: Micros,
    /// The key that sealed the data.
    pub key_number: i32,
    /// The data, encrypted.
    pub sealed_data: Vec<u8>,
    /// From where.
    pub origin: Origin<'a>,
}

/// The session and its activity row, in one statement.
static INSERT: Statement = Statement {
    sql: "WITH created AS ( \
              INSERT INTO dialstack.sessions \
                  (session_id, kind, env_id, definition_id, subject, created_at, \
                   token_expires_at, expires_at, last_seen_at, purge_after, key_number, \
                   sealed_data, ip, user_agent) \
              VALUES ($1, 'user', $2, $3, $4, $5, $6, $7, $5, \
                      ($8 AT TIME ZONE 'UTC')::date, $9, $10, $11, $12)) \
          INSERT INTO dialstack.activity \
              (at, month, session_id, env_id, definition_id, kind, operation, status, subject, \
               ip, user_agent, latency_us) \
          VALUES ($5, extract(month FROM $5 AT TIME ZONE 'UTC'), $1, $2, $3, 'user', 'create', \
                  'success', $4, $11, $12, $13)",
    parameters: &[
        T::UUIDOID,
        T::INT4OID,
        T::INT4OID,
        T::TEXTOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::INT4OID,
        T::BYTEAOID,
        T::INETOID,
        T::TEXTOID,
        T::INT4OID,
    ],
};

/// Stores a session.
pub fn insert(owner: &AsOwner, session: NewSession<'_>) -> Result<()> {
    let arguments = [
        bind(uuid(&session.session_id)),
        bind(session.user.env_id),
        bind(session.user.definition_id),
        bind(session.user.identifier),
        bind(timestamptz(session.now)),
        bind(timestamptz(session.token_expires_at)),
        bind(timestamptz(session.expires_at)),
        bind(purge_after(session.expires_at)),
        bind(session.key_number),
        bind(session.sealed_data),
        bind(session.origin.ip.cloned()),
        bind(session.origin.user_agent),
        bind(activity::latency(session.now)),
    ];
    INSERT.execute(owner, &arguments).map(|_| ())
}

/// One step of a session's refresh token.
pub struct Step<'a> {
    /// The session.
    pub session_id: Uuid,
    /// The generation that is expected in the row.
    pub from: u32,
    /// The end that is expected in the row: an extension meanwhile must not be lost.
    pub ends_at: Micros,
    /// The generation that it gets.
    pub to: u32,
    /// When.
    pub now: Micros,
    /// When the new access token expires.
    pub token_expires_at: Micros,
    /// When the session now ends unless it is refreshed.
    pub expires_at: Micros,
    /// From where; what is absent stays as it was.
    pub origin: Origin<'a>,
}

/// Touches no indexed column but once a day, so that it stays a heap-only update.
static ROTATE: Statement = Statement {
    sql: "WITH rotated AS ( \
              UPDATE dialstack.sessions SET \
                  generation = $3, rotated_at = $4, last_seen_at = $4, token_expires_at = $5, \
                  expires_at = $6, purge_after = ($7 AT TIME ZONE 'UTC')::date, \
                  ip = coalesce($8, ip), user_agent = coalesce($9, user_agent) \
               WHERE session_id = $1 AND generation = $2 AND expires_at = $11 \
                 AND revoked_at IS NULL \
           RETURNING env_id, definition_id, kind, subject, ip, user_agent) \
          INSERT INTO dialstack.activity \
              (at, month, session_id, env_id, definition_id, kind, operation, status, subject, \
               ip, user_agent, latency_us) \
          SELECT $4, extract(month FROM $4 AT TIME ZONE 'UTC'), $1, env_id, definition_id, kind, \
                 'refresh', 'success', subject, ip, user_agent, $10 \
            FROM rotated",
    parameters: &[
        T::UUIDOID,
        T::INT4OID,
        T::INT4OID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::INETOID,
        T::TEXTOID,
        T::INT4OID,
        T::TIMESTAMPTZOID,
    ],
};

/// A step that took longer than this has waited: a tenth of a second.
const LATE: Micros = clock::SECOND / 10;

static TAKEN_AT: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET rotated_at = $2 WHERE session_id = $1",
    parameters: &[T::UUIDOID, T::TIMESTAMPTZOID],
};

/// Takes the step, unless the row is no longer as expected: then `false`.
pub fn rotate(owner: &AsOwner, step: &Step<'_>) -> Result<bool> {
    let arguments = [
        bind(uuid(&step.session_id)),
        bind(step.from.cast_signed()),
        bind(step.to.cast_signed()),
        bind(timestamptz(step.now)),
        bind(timestamptz(step.token_expires_at)),
        bind(timestamptz(step.expires_at)),
        bind(purge_after(step.expires_at)),
        bind(step.origin.ip.cloned()),
        bind(step.origin.user_agent),
        bind(activity::latency(step.now)),
        bind(timestamptz(step.ends_at)),
    ];
    let _plain = PlainRefresh::begin();
    if ROTATE.execute(owner, &arguments)? == 0 {
        return Ok(false);
    }
    // The reuse interval begins when the step is taken. A step that waited for a lock was taken later
    // than its caller came.
    let taken = clock::now();
    if taken.saturating_sub(step.now) > LATE {
        TAKEN_AT.execute(
            owner,
            &[bind(uuid(&step.session_id)), bind(timestamptz(taken))],
        )?;
    }
    Ok(true)
}

/// Which sessions to revoke. Each form is a statement of its own, so that each has the plan of its
/// index.
pub enum Which<'a> {
    /// The one with this id, if it is of this environment and definition.
    One {
        /// The session.
        session_id: Uuid,
        /// Its environment.
        env_id: i32,
        /// Its definition.
        definition_id: i32,
    },
    /// All of a user, but for one.
    User {
        /// Whose.
        user: UserKey<'a>,
        /// The one that stays.
        except: Option<Uuid>,
    },
    /// The account or client session with this id, if it is of this environment.
    Opaque {
        /// The session.
        session_id: Uuid,
        /// Its environment.
        env_id: i32,
    },
    /// All account and client sessions whose token was made with this key.
    Key(i32),
    /// All of an environment.
    Env(i32),
    /// All of a definition.
    Definition(i32),
    /// Every session.
    All,
}

macro_rules! revoke_where {
    ($condition:literal) => {
        concat!(
            "WITH revoked AS ( \
                 UPDATE dialstack.sessions SET revoked_at = $1, revoke_reason = $2, \
                     purge_after = ($3 AT TIME ZONE 'UTC')::date \
                  WHERE revoked_at IS NULL AND expires_at > $1 AND ",
            $condition,
            " RETURNING session_id, env_id, definition_id, kind, subject, ip, user_agent) \
             INSERT INTO dialstack.activity \
                 (at, month, session_id, env_id, definition_id, kind, operation, status, reason, \
                  subject, ip, user_agent, latency_us) \
             SELECT $1, extract(month FROM $1 AT TIME ZONE 'UTC'), session_id, env_id, \
                    definition_id, kind, $4, $5, $2, subject, coalesce($6, ip), \
                    coalesce($7, user_agent), $8 \
               FROM revoked"
        )
    };
}

/// The types of what every revocation binds, and of what it binds beside that.
macro_rules! revoke_parameters {
    ($($more:expr),*) => {
        &[
            T::TIMESTAMPTZOID,
            T::TEXTOID,
            T::TIMESTAMPTZOID,
            T::TEXTOID,
            T::TEXTOID,
            T::INETOID,
            T::TEXTOID,
            T::INT4OID,
            $($more),*
        ]
    };
}

static REVOKE_ONE: Statement = Statement {
    sql: revoke_where!("session_id = $9 AND env_id = $10 AND definition_id = $11"),
    parameters: revoke_parameters!(T::UUIDOID, T::INT4OID, T::INT4OID),
};

static REVOKE_OPAQUE: Statement = Statement {
    sql: revoke_where!("session_id = $9 AND env_id = $10 AND definition_id IS NULL"),
    parameters: revoke_parameters!(T::UUIDOID, T::INT4OID),
};

/// The same for one that has expired: its key is needed.
static PUT_AWAY: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET revoked_at = $2, revoke_reason = $3 \
           WHERE session_id = $1 AND revoked_at IS NULL",
    parameters: &[T::UUIDOID, T::TIMESTAMPTZOID, T::TEXTOID],
};

static REVOKE_USER: Statement = Statement {
    sql: revoke_where!(
        "env_id = $9 AND definition_id = $10 AND subject = $11 \
         AND ($12 IS NULL OR session_id <> $12)"
    ),
    parameters: revoke_parameters!(T::INT4OID, T::INT4OID, T::TEXTOID, T::UUIDOID),
};

static REVOKE_KEY: Statement = Statement {
    sql: revoke_where!("key_number = $9 AND definition_id IS NULL"),
    parameters: revoke_parameters!(T::INT4OID),
};

static REVOKE_ENV: Statement = Statement {
    sql: revoke_where!("env_id = $9"),
    parameters: revoke_parameters!(T::INT4OID),
};

static REVOKE_DEFINITION: Statement = Statement {
    sql: revoke_where!("definition_id = $9"),
    parameters: revoke_parameters!(T::INT4OID),
};

static REVOKE_ALL: Statement = Statement {
    sql: revoke_where!("true"),
    parameters: revoke_parameters!(),
};

/// Keeps creates out until the transaction ends, so that a whole environment or definition dies
/// without a straggler and without a deadlock. Verifies and refreshes go on.
static KEEP_CREATES_OUT: Statement = Statement {
    sql: "LOCK TABLE dialstack.session_users IN SHARE ROW EXCLUSIVE MODE",
    parameters: &[],
};

/// Why sessions are revoked, and how it shows in their activity.
#[derive(Clone, Copy)]
pub struct Cause<'a> {
    /// What the row's `revoke_reason` says.
    pub reason: &'static str,
    /// `revoke`, `reuse` or `evict`.
    pub operation: &'static str,
    /// `success`, or `fail` where the caller's own operation failed by it.
    pub status: &'static str,
    /// Who caused it, where that is not the session's own user.
    pub origin: Origin<'a>,
}

impl Cause<'_> {
    /// The same, caused from there.
    pub const fn by(self, origin: Origin<'_>) -> Cause<'_> {
        Cause {
            reason: self.reason,
            operation: self.operation,
            status: self.status,
            origin,
        }
    }
}

/// Somebody asked for it.
pub const REVOKED: Cause<'_> = Cause {
    reason: "revoked",
    operation: "revoke",
    status: "success",
    origin: Origin {
        ip: None,
        user_agent: None,
    },
};
/// A newer session took its place.
pub const EVICTED: Cause<'_> = Cause {
    reason: "evicted",
    operation: "evict",
    status: "success",
    origin: Origin {
        ip: None,
        user_agent: None,
    },
};
/// An old refresh token was presented.
pub const REUSED: Cause<'_> = Cause {
    reason: REVOKED_FOR_REUSE,
    operation: "reuse",
    status: "fail",
    origin: Origin {
        ip: None,
        user_agent: None,
    },
};
/// The key that it depends on was revoked.
pub const KEY_REVOKED: Cause<'_> = Cause {
    reason: "key_revoked",
    ..REVOKED
};
/// Its environment was deleted.
pub const ENV_DELETED: Cause<'_> = Cause {
    reason: "env_deleted",
    ..REVOKED
};
/// Its definition was deleted.
pub const DEFINITION_DELETED: Cause<'_> = Cause {
    reason: "definition_deleted",
    ..REVOKED
};
/// The instance got a new identity.
pub const INSTANCE_RESET: Cause<'_> = Cause {
    reason: "instance_reset",
    ..REVOKED
};

/// Revokes the living sessions among those meant, and tells how many. Idempotent.
pub fn revoke(owner: &AsOwner, which: &Which<'_>, cause: Cause<'_>, now: Micros) -> Result<u64> {
    let mut arguments = vec![
        bind(timestamptz(now)),
        bind(cause.reason),
        bind(purge_after(now)),
        bind(cause.operation),
        bind(cause.status),
        bind(cause.origin.ip.cloned()),
        bind(cause.origin.user_agent),
        bind(activity::latency(now)),
    ];
    match which {
        Which::One {
            session_id,
            env_id,
            definition_id,
        } => {
            // A refresh that is not committed yet may be giving it more time: wait for it.
            lock(owner, session_id)?;
            arguments.extend([bind(uuid(session_id)), bind(*env_id), bind(*definition_id)]);
            REVOKE_ONE.execute(owner, &arguments)
        }
        Which::User { user, except } => {
            let key = [
                bind(user.env_id),
                bind(user.definition_id),
                bind(user.identifier),
            ];
            LOCK_USER.execute(owner, &key)?;
            LOCK_UNREVOKED.execute(owner, &key)?;
            arguments.extend(key);
            arguments.push(bind(except.as_ref().map(uuid)));
            let revoked = REVOKE_USER.execute(owner, &arguments)?;
            FORGET_UNKNOWN_USER.execute(owner, &arguments[8..11])?;
            Ok(revoked)
        }
        Which::Opaque { session_id, env_id } => {
            lock(owner, session_id)?;
            arguments.extend([bind(uuid(session_id)), bind(*env_id)]);
            REVOKE_OPAQUE.execute(owner, &arguments)
        }
        Which::Key(key_number) => {
            arguments.push(bind(*key_number));
            REVOKE_KEY.execute(owner, &arguments)
        }
        Which::Env(env_id) => {
            arguments.push(bind(*env_id));
            revoke_many(owner, &REVOKE_ENV, &arguments, now, |row| {
                row.env_id == *env_id
            })
        }
        Which::Definition(definition_id) => {
            arguments.push(bind(*definition_id));
            revoke_many(owner, &REVOKE_DEFINITION, &arguments, now, |row| {
                row.definition_id == Some(*definition_id)
            })
        }
        Which::All => revoke_many(owner, &REVOKE_ALL, &arguments, now, |_| true),
    }
}

/// Revokes by a statement that means many users' sessions, with creates kept out.
///
/// # Errors
/// `CONFLICT` where the transaction's snapshot is too old to show one of them.
fn revoke_many(
    owner: &AsOwner,
    statement: &Statement,
    arguments: &[DatumWithOid<'_>],
    now: Micros,
    meant: impl Fn(&SessionRow) -> bool,
) -> Result<u64> {
    KEEP_CREATES_OUT.execute(owner, &[])?;
    let revoked = statement.execute(owner, arguments)?;
    // At READ COMMITTED the statement saw all that there is.
    let missed =
        transaction::has_old_snapshot() && sessions::any(|row| row.lives(now) && meant(row))?;
    if missed { Err(conflict()) } else { Ok(revoked) }
}

/// A living session that the transaction's snapshot does not show as it is.
pub fn conflict() -> Error {
    Error::new(
        Code::Conflict,
        "a session changed after this transaction began",
    )
    .hint("Retry the transaction.")
}

/// Frees the user_identifier_key of a client session that has expired, or whose token's key is gone.
pub fn put_away(
    owner: &AsOwner,
    session_id: &Uuid,
    reason: &'static str,
    now: Micros,
) -> Result<()> {
    let arguments = [bind(uuid(session_id)), bind(timestamptz(now)), bind(reason)];
    PUT_AWAY.execute(owner, &arguments).map(|_| ())
}

static SET_DATA: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET sealed_data = $2, key_number = $3 \
           WHERE session_id = $1 AND revoked_at IS NULL",
    parameters: &[T::UUIDOID, T::BYTEAOID, T::INT4OID],
};

static SET_EXPIRY: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET expires_at = $2, \
                 purge_after = ($3 AT TIME ZONE 'UTC')::date \
           WHERE session_id = $1 AND revoked_at IS NULL",
    parameters: &[T::UUIDOID, T::TIMESTAMPTZOID, T::TIMESTAMPTZOID],
};

/// Locks the row of a session until the transaction ends.
static LOCK_ONE: Statement = Statement {
    sql: "SELECT 1 FROM dialstack.sessions WHERE session_id = $1 FOR UPDATE",
    parameters: &[T::UUIDOID],
};

/// Locks a session's row, so that what is read next stays true until it is written.
pub fn lock(owner: &AsOwner, session_id: &Uuid) -> Result<()> {
    LOCK_ONE
        .execute(owner, &[bind(uuid(session_id))])
        .map(|_| ())
}

/// Replaces a living session's data; `false` if it was revoked meanwhile.
pub fn set_data(
    owner: &AsOwner,
    session_id: &Uuid,
    sealed_data: Vec<u8>,
    key_number: i32,
) -> Result<bool> {
    let arguments = [bind(uuid(session_id)), bind(sealed_data), bind(key_number)];
    Ok(SET_DATA.execute(owner, &arguments)? == 1)
}

/// Moves a living session's end; `false` if it was revoked meanwhile.
pub fn set_expiry(owner: &AsOwner, session_id: &Uuid, expires_at: Micros) -> Result<bool> {
    let arguments = [
        bind(uuid(session_id)),
        bind(timestamptz(expires_at)),
        bind(purge_after(expires_at)),
    ];
    Ok(SET_EXPIRY.execute(owner, &arguments)? == 1)
}
