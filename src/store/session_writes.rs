//! The statements that make, prolong and change user sessions.

use std::cell::Cell;

use pgrx::pg_sys::BuiltinOid as T;
use uuid::Uuid;

use super::activity::{self, Origin};
use super::clock::{self, Micros, timestamptz};
use super::ends::{NotingEnds, noting_ends};
use super::ids::pg_uuid;
use super::owner::AsOwner;
use super::session_users::UserKey;
use super::sessions::SessionRow;
use super::statements::{Statement, bind};
use crate::error::Result;
use crate::guc;

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

/// The day after which the row of a session that dies then may go.
pub fn purge_after(dies_at: Micros) -> pgrx::datum::TimestampWithTimeZone {
    timestamptz(dies_at.saturating_add(guc::session_retention_micros()))
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
macro_rules! insert_session {
    ($columns:literal, $values:literal) => {
        concat!(
            "WITH created AS ( \
                 INSERT INTO dialstack.sessions \
                     (session_id, kind, env_id, definition_id, subject, created_at, \
                      token_expires_at, expires_at, last_seen_at, purge_after, key_number, \
                      sealed_data, ip, user_agent) \
                 VALUES ($1, 'user', $2, $3, $4, $5, $6, $7, $5, \
                         ($8 AT TIME ZONE 'UTC')::date, $9, $10, $11, $12)) \
             INSERT INTO dialstack.activity \
                 (at, month, session_id, env_id, definition_id, kind, operation, status, subject, \
                  ip, user_agent, latency_us, detail",
            $columns,
            ") VALUES ($5, extract(month FROM $5 AT TIME ZONE 'UTC'), $1, $2, $3, 'user', 'create', \
                  'success', $4, $11, $12, $13, \
                  CASE WHEN $14 IS NOT NULL THEN jsonb_build_object('api_key_id', $14) END",
            $values,
            ")"
        )
    };
}

static INSERT: NotingEnds = noting_ends!(
    insert_session!(),
    ", expires_after",
    ", $7",
    &[
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
        T::UUIDOID,
    ]
);

/// Stores a session.
pub fn insert(owner: &AsOwner, session: NewSession<'_>) -> Result<()> {
    let arguments = [
        bind(pg_uuid(&session.session_id)),
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
        bind(session.origin.api_key_id.as_ref().map(pg_uuid)),
    ];
    INSERT.form(owner).execute(owner, &arguments).map(|_| ())
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
macro_rules! rotate_session {
    ($columns:literal, $values:literal) => {
        concat!(
            "WITH rotated AS ( \
                 UPDATE dialstack.sessions SET \
                     generation = $3, rotated_at = $4, last_seen_at = $4, token_expires_at = $5, \
                     expires_at = $6, purge_after = ($7 AT TIME ZONE 'UTC')::date, \
                     ip = coalesce($8, ip), user_agent = coalesce($9, user_agent) \
                  WHERE session_id = $1 AND generation = $2 AND expires_at = $11 \
                    AND revoked_at IS NULL \
              RETURNING env_id, definition_id, kind, subject, ip, user_agent, created_at) \
             INSERT INTO dialstack.activity \
                 (at, month, session_id, env_id, definition_id, kind, operation, status, subject, \
                  ip, user_agent, latency_us",
            $columns,
            ") SELECT $4, extract(month FROM $4 AT TIME ZONE 'UTC'), $1, env_id, definition_id, \
                      kind, 'refresh', 'success', subject, ip, user_agent, $10",
            $values,
            " FROM rotated"
        )
    };
}

static ROTATE: NotingEnds = noting_ends!(
    rotate_session!(),
    ", session_created_at, expires_before, expires_after",
    ", created_at, $11, $6",
    &[
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
    ]
);

/// A step that took longer than this has waited: a tenth of a second.
const LATE: Micros = clock::SECOND / 10;

static TAKEN_AT: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET rotated_at = $2 WHERE session_id = $1",
    parameters: &[T::UUIDOID, T::TIMESTAMPTZOID],
};

/// Takes the step, unless the row is no longer as expected: then `false`.
pub fn rotate(owner: &AsOwner, step: &Step<'_>) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(&step.session_id)),
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
    if ROTATE.form(owner).execute(owner, &arguments)? == 0 {
        return Ok(false);
    }
    // The reuse interval begins when the step is taken. A step that waited for a lock was taken later
    // than its caller came.
    let taken = clock::now();
    if taken.saturating_sub(step.now) > LATE {
        TAKEN_AT.execute(
            owner,
            &[bind(pg_uuid(&step.session_id)), bind(timestamptz(taken))],
        )?;
    }
    Ok(true)
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

/// The row is locked, so that the end which it had is the one that was read.
macro_rules! extend_session {
    ($columns:literal, $values:literal) => {
        concat!(
            "WITH extended AS ( \
                 UPDATE dialstack.sessions SET expires_at = $2, \
                        purge_after = ($3 AT TIME ZONE 'UTC')::date \
                  WHERE session_id = $1 AND revoked_at IS NULL AND expires_at = $4 \
              RETURNING env_id, definition_id, kind, subject, ip, user_agent, created_at) \
             INSERT INTO dialstack.activity \
                 (at, month, session_id, env_id, definition_id, kind, operation, status, subject, \
                  ip, user_agent, latency_us, detail",
            $columns,
            ") SELECT $5, extract(month FROM $5 AT TIME ZONE 'UTC'), $1, env_id, definition_id, \
                      kind, 'refresh', 'success', subject, ip, user_agent, $6, \
                      '{\"extended\": true}'::jsonb",
            $values,
            " FROM extended"
        )
    };
}

static EXTEND: NotingEnds = noting_ends!(
    extend_session!(),
    ", session_created_at, expires_before, expires_after",
    ", created_at, $4, $2",
    &[
        T::UUIDOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::INT4OID,
    ]
);

/// Locks the row of a session until the transaction ends.
static LOCK_ONE: Statement = Statement {
    sql: "SELECT 1 FROM dialstack.sessions WHERE session_id = $1 FOR UPDATE",
    parameters: &[T::UUIDOID],
};

/// Locks a session's row, so that what is read next stays true until it is written.
pub fn lock(owner: &AsOwner, session_id: &Uuid) -> Result<()> {
    LOCK_ONE
        .execute(owner, &[bind(pg_uuid(session_id))])
        .map(|_| ())
}

/// Replaces a living session's data; `false` if it was revoked meanwhile.
pub fn set_data(
    owner: &AsOwner,
    session_id: &Uuid,
    sealed_data: Vec<u8>,
    key_number: i32,
) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(session_id)),
        bind(sealed_data),
        bind(key_number),
    ];
    Ok(SET_DATA.execute(owner, &arguments)? == 1)
}

/// Moves a living session's end; `false` if it was revoked meanwhile.
pub fn set_expiry(owner: &AsOwner, session_id: &Uuid, expires_at: Micros) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(session_id)),
        bind(timestamptz(expires_at)),
        bind(purge_after(expires_at)),
    ];
    Ok(SET_EXPIRY.execute(owner, &arguments)? == 1)
}

/// Moves a living user session's end and notes it as a refresh that extended it; `false` if the session was
/// revoked or its end moved meanwhile.
pub fn extend(owner: &AsOwner, row: &SessionRow, expires_at: Micros, now: Micros) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(&row.session_id)),
        bind(timestamptz(expires_at)),
        bind(purge_after(expires_at)),
        bind(timestamptz(row.expires_at)),
        bind(timestamptz(now)),
        bind(activity::latency(now)),
    ];
    Ok(EXTEND.form(owner).execute(owner, &arguments)? == 1)
}

/// The day as it follows from the row and the retention of now.
static POSTPONE_PURGE: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET purge_after = \
              ((least(expires_at, coalesce(revoked_at, expires_at)) \
                + $2 * interval '1 microsecond') AT TIME ZONE 'UTC')::date \
           WHERE session_id = ANY ($1)",
    parameters: &[T::UUIDARRAYOID, T::INT8OID],
};

/// Moves the day after which the rows of these sessions may go. No verdict changes by it.
pub fn postpone_purge(owner: &AsOwner, sessions: Vec<pgrx::Uuid>) -> Result<u64> {
    let _plain = PlainRefresh::begin();
    let arguments = [bind(sessions), bind(guc::session_retention_micros())];
    POSTPONE_PURGE.execute(owner, &arguments)
}
