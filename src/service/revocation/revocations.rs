//! The statements that end sessions. Locking order: the user's row, then sessions.

use pgrx::datum::DatumWithOid;
use uuid::Uuid;

use crate::error::{Code, Error, Result};
use crate::guc;
use crate::pg::clock::{Micros, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::pg::transaction;
use crate::service::revocation::notifications;
use crate::session::verdict::REVOKED_FOR_REUSE;
use crate::tables::activity::{self, Origin};
use crate::tables::client_sessions;
use crate::tables::session_users::{self, UserKey};
use crate::tables::sessions::change::lock;
use crate::tables::sessions::{self, purge_after};

/// Which sessions to revoke. Each form is a statement of its own, so that each has the plan of its
/// index.
pub enum Which<'a> {
    /// The user or account session with this id, if it is of this environment and definition.
    One {
        /// The session.
        session_id: Uuid,
        /// Its environment.
        env_id: i32,
        /// Its definition; none: an account session.
        definition_id: Option<i32>,
    },
    /// All of a user, but for one.
    User {
        /// Whose.
        user: UserKey<'a>,
        /// The one that stays.
        except: Option<Uuid>,
    },
    /// The client session with this id, if it is of this environment.
    Client {
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
    /// All of a definition in one environment.
    Tag {
        /// The environment.
        env_id: i32,
        /// The definition.
        definition_id: i32,
    },
    /// Every session.
    All,
}

macro_rules! revocation {
    ($condition:literal) => {
        revocation!(
            "sessions",
            "definition_id, CASE WHEN definition_id IS NULL THEN 'account' ELSE 'user' END AS kind, \
             subject, ip, user_agent",
            $condition
        )
    };
    (client $condition:literal) => {
        revocation!(
            "client_sessions",
            "NULL::integer AS definition_id, 'client' AS kind, NULL::text AS subject, \
             NULL::inet AS ip, NULL::text AS user_agent",
            $condition
        )
    };
    ($table:literal, $of_family:literal, $condition:literal) => {
        Statement::new(concat!(
                "WITH revoked AS ( \
                     UPDATE dialstack.",
                $table,
                " SET revoked_at = $1, revoke_reason = $2, purge_after = $3 \
                      WHERE revoked_at IS NULL AND expires_at > $1 AND ",
                $condition,
                " RETURNING session_id, env_id, created_at, expires_at, ",
                $of_family,
                "), \
                 logged AS ( \
                     INSERT INTO dialstack.activity \
                         (at, month, session_id, api_key_id, env_id, definition_id, kind, \
                          operation, status, reason, subject, ip, user_agent, latency_us, \
                          session_created_at, expires_before) \
                     SELECT $1, extract(month FROM $1 AT TIME ZONE 'UTC'), session_id, $9, env_id, \
                            definition_id, kind, $4, $5, $2, subject, coalesce($6, ip), \
                            coalesce($7, user_agent), $8, created_at, expires_at \
                       FROM revoked) \
                 SELECT count(*), ARRAY(SELECT session_id FROM revoked LIMIT $10) FROM revoked"
            ))
    };
}

static REVOKE_ONE: Statement =
    revocation!("session_id = $11 AND env_id = $12 AND definition_id IS NOT DISTINCT FROM $13");

static REVOKE_CLIENT: Statement = revocation!(
    client "session_id = $11 AND env_id = $12");

static REVOKE_USER: Statement = revocation!(
    "env_id = $11 AND definition_id = $12 AND subject = $13 \
         AND ($14 IS NULL OR session_id <> $14)"
);

static REVOKE_KEY: Statement = revocation!("key_number = $11 AND definition_id IS NULL");

static REVOKE_KEY_CLIENTS: Statement = revocation!(client "key_number = $11");

static REVOKE_ENV: Statement = revocation!("env_id = $11");

static REVOKE_ENV_CLIENTS: Statement = revocation!(client "env_id = $11");

static REVOKE_DEFINITION: Statement = revocation!("definition_id = $11");

static REVOKE_TAG: Statement = revocation!("env_id = $11 AND definition_id = $12");

static REVOKE_ALL: Statement = revocation!("true");

static REVOKE_ALL_CLIENTS: Statement = revocation!(client "true");

/// Keeps creates out until the transaction ends, so that a whole environment or definition dies
/// without a straggler and without a deadlock. Verifies and refreshes go on.
static KEEP_CREATES_OUT: Statement =
    Statement::new("LOCK TABLE dialstack.session_users IN SHARE ROW EXCLUSIVE MODE");

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
    origin: Origin::UNKNOWN,
};
/// A newer session took its place.
pub const EVICTED: Cause<'_> = Cause {
    reason: "evicted",
    operation: "evict",
    status: "success",
    origin: Origin::UNKNOWN,
};
/// An old refresh token was presented.
pub const REUSED: Cause<'_> = Cause {
    reason: REVOKED_FOR_REUSE,
    operation: "reuse",
    status: "fail",
    origin: Origin::UNKNOWN,
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

/// Revokes the living sessions among those meant, and returns how many. Idempotent.
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
        bind(cause.origin.api_key_id.as_ref().map(pg_uuid)),
        bind(notified()),
    ];
    match which {
        Which::One {
            session_id,
            env_id,
            definition_id,
        } => {
            // A refresh that is not committed yet may be giving it more time: wait for it.
            lock(owner, session_id)?;
            arguments.extend([
                bind(pg_uuid(session_id)),
                bind(*env_id),
                bind(*definition_id),
            ]);
            run(owner, &[&REVOKE_ONE], &arguments)
        }
        Which::User { user, except } => {
            session_users::with_locked(owner, *user, now, |unrevoked| {
                if unrevoked == 0 {
                    return Ok(0);
                }
                arguments.extend([
                    bind(user.env_id),
                    bind(user.definition_id),
                    bind(user.identifier),
                    bind(except.as_ref().map(pg_uuid)),
                ]);
                run(owner, &[&REVOKE_USER], &arguments)
            })
        }
        Which::Client { session_id, env_id } => {
            client_sessions::change::lock(owner, session_id)?;
            arguments.extend([bind(pg_uuid(session_id)), bind(*env_id)]);
            run(owner, &[&REVOKE_CLIENT], &arguments)
        }
        Which::Key(key_number) => {
            arguments.push(bind(*key_number));
            run(owner, &[&REVOKE_KEY, &REVOKE_KEY_CLIENTS], &arguments)
        }
        Which::Env(env_id) => {
            arguments.push(bind(*env_id));
            let statements = [&REVOKE_ENV, &REVOKE_ENV_CLIENTS];
            revoke_many(owner, &statements, &arguments, now, |env, _| env == *env_id)
        }
        Which::Definition(definition_id) => {
            arguments.push(bind(*definition_id));
            revoke_many(owner, &[&REVOKE_DEFINITION], &arguments, now, |_, of| {
                of == Some(*definition_id)
            })
        }
        Which::Tag {
            env_id,
            definition_id,
        } => {
            arguments.extend([bind(*env_id), bind(*definition_id)]);
            revoke_many(owner, &[&REVOKE_TAG], &arguments, now, |env, of| {
                env == *env_id && of == Some(*definition_id)
            })
        }
        Which::All => {
            let statements = [&REVOKE_ALL, &REVOKE_ALL_CLIENTS];
            revoke_many(owner, &statements, &arguments, now, |_, _| true)
        }
    }
}

/// How many of the revoked sessions' ids are needed: those of which listeners are notified, and one more.
fn notified() -> i64 {
    if guc::notify_revocations() {
        i64::try_from(notifications::MOST).map_or(i64::MAX, |most| most + 1)
    } else {
        0
    }
}

/// Runs revocations, notifies those who listen, and returns how many sessions were revoked.
fn run(owner: &AsOwner, statements: &[&Statement], arguments: &[DatumWithOid<'_>]) -> Result<u64> {
    let mut revoked = 0;
    for statement in statements {
        let rows = statement.write(owner, arguments, |row| {
            Ok((row.required::<i64>(1)?, row.required::<Vec<pgrx::Uuid>>(2)?))
        })?;
        for (count, sessions) in rows {
            revoked += count.unsigned_abs();
            notifications::revoked(owner, sessions)?;
        }
    }
    Ok(revoked)
}

/// Revokes by statements that mean many users' sessions, with creates kept out. `meant` says which sessions those
/// are, by their environment and definition.
///
/// # Errors
/// `CONFLICT` where the transaction's snapshot is too old to show one of them.
fn revoke_many(
    owner: &AsOwner,
    statements: &[&Statement],
    arguments: &[DatumWithOid<'_>],
    now: Micros,
    meant: impl Fn(i32, Option<i32>) -> bool,
) -> Result<u64> {
    KEEP_CREATES_OUT.execute(owner, &[])?;
    let revoked = run(owner, statements, arguments)?;
    // At READ COMMITTED the statements saw all that there is.
    let missed = transaction::has_old_snapshot()
        && (sessions::any(|row| row.lives(now) && meant(row.env_id, row.definition_id))?
            || client_sessions::any(|row| row.lives(now) && meant(row.env_id, None))?);
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
