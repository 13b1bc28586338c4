//! The statements that make, prolong and change user sessions.

use std::cell::Cell;

use pgrx::datum::Inet;
use pgrx::pg_sys::BuiltinOid as T;
use uuid::Uuid;

use super::activity::{self, Entry, Origin};
use super::clock::{self, Micros, timestamptz};
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

static INSERT: Statement = Statement {
    sql: "INSERT INTO dialstack.sessions \
              (session_id, kind, env_id, definition_id, subject, created_at, token_expires_at, \
               expires_at, last_seen_at, purge_after, key_number, sealed_data, ip, user_agent) \
          VALUES ($1, 'user', $2, $3, $4, $5, $6, $7, $5, ($8 AT TIME ZONE 'UTC')::date, $9, $10, \
                  $11, $12)",
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
    ],
};

/// Stores a session, and notes it.
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
    ];
    INSERT.execute(owner, &arguments)?;
    let entry = Entry {
        at: session.now,
        session_id: &session.session_id,
        env_id: session.user.env_id,
        definition_id: Some(session.user.definition_id),
        kind: "user",
        subject: Some(session.user.identifier),
        operation: "create",
        refused: None,
        origin: session.origin,
        session_created_at: None,
        expires_before: None,
        expires_after: Some(session.expires_at),
        extended: false,
    };
    activity::write(owner, &entry)
}

/// One step of a session's refresh token.
pub struct Step<'a> {
    /// The session as it is expected to be: its generation, and its end, because an extension meanwhile
    /// must not be lost.
    pub from: &'a SessionRow,
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

/// The data of a session whose token was rotated, as it is now.
pub struct Rotated {
    /// The key that sealed it.
    pub key_number: u32,
    /// The data, encrypted.
    pub sealed_data: Option<Vec<u8>>,
}

/// Touches no indexed column but once a day, so that it stays a heap-only update.
static ROTATE: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET \
              generation = $3, rotated_at = $4, last_seen_at = $4, token_expires_at = $5, \
              expires_at = $6, purge_after = ($7 AT TIME ZONE 'UTC')::date, \
              ip = coalesce($8, ip), user_agent = coalesce($9, user_agent) \
           WHERE session_id = $1 AND generation = $2 AND expires_at = $10 \
             AND revoked_at IS NULL \
       RETURNING key_number, sealed_data, ip, user_agent",
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
        T::TIMESTAMPTZOID,
    ],
};

/// A step that took longer than this has waited: a tenth of a second.
const LATE: Micros = clock::SECOND / 10;

static TAKEN_AT: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET rotated_at = $2 WHERE session_id = $1",
    parameters: &[T::UUIDOID, T::TIMESTAMPTZOID],
};

/// Takes the step and notes it, unless the row is no longer as expected: then `None`.
pub fn rotate(owner: &AsOwner, step: &Step<'_>) -> Result<Option<Rotated>> {
    let row = step.from;
    let arguments = [
        bind(pg_uuid(&row.session_id)),
        bind(row.generation.cast_signed()),
        bind(step.to.cast_signed()),
        bind(timestamptz(step.now)),
        bind(timestamptz(step.token_expires_at)),
        bind(timestamptz(step.expires_at)),
        bind(purge_after(step.expires_at)),
        bind(step.origin.ip.cloned()),
        bind(step.origin.user_agent),
        bind(timestamptz(row.expires_at)),
    ];
    // An access token of before may live longer than a session whose definition has become stricter:
    // then there is something to forget.
    let _plain = (step.expires_at >= row.expires_at).then(PlainRefresh::begin);
    let rotated = ROTATE.write(owner, &arguments, |row| {
        let rotated = Rotated {
            key_number: row.required::<i32>(1)?.unsigned_abs(),
            sealed_data: row.get(2)?,
        };
        Ok((rotated, row.get::<Inet>(3)?, row.get::<String>(4)?))
    })?;
    let Some((rotated, ip, user_agent)) = rotated.into_iter().next() else {
        return Ok(None);
    };
    let entry = Entry {
        origin: Origin {
            ip: ip.as_ref(),
            user_agent: user_agent.as_deref(),
            ..step.origin
        },
        session_created_at: Some(row.created_at),
        expires_before: Some(row.expires_at),
        expires_after: Some(step.expires_at),
        ..Entry::of(row, "refresh", step.now)
    };
    activity::write(owner, &entry)?;
    // The reuse interval begins when the step is taken. A step that waited for a lock was taken later
    // than its caller came.
    let taken = clock::now();
    if taken.saturating_sub(step.now) > LATE {
        TAKEN_AT.execute(
            owner,
            &[bind(pg_uuid(&row.session_id)), bind(timestamptz(taken))],
        )?;
    }
    Ok(Some(rotated))
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
static EXTEND: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET expires_at = $2, \
                 purge_after = ($3 AT TIME ZONE 'UTC')::date \
           WHERE session_id = $1 AND revoked_at IS NULL AND expires_at = $4 \
       RETURNING ip, user_agent",
    parameters: &[
        T::UUIDOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
    ],
};

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

/// Moves a living user session's end and notes it as a refresh that extended it; `false` if the session
/// was revoked or its end moved meanwhile.
pub fn extend(owner: &AsOwner, row: &SessionRow, expires_at: Micros, now: Micros) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(&row.session_id)),
        bind(timestamptz(expires_at)),
        bind(purge_after(expires_at)),
        bind(timestamptz(row.expires_at)),
    ];
    let extended = EXTEND.write(owner, &arguments, |row| {
        Ok((row.get::<Inet>(1)?, row.get::<String>(2)?))
    })?;
    let Some((ip, user_agent)) = extended.into_iter().next() else {
        return Ok(false);
    };
    let entry = Entry {
        origin: Origin {
            ip: ip.as_ref(),
            user_agent: user_agent.as_deref(),
            api_key_id: None,
        },
        session_created_at: Some(row.created_at),
        expires_before: Some(row.expires_at),
        expires_after: Some(expires_at),
        extended: true,
        ..Entry::of(row, "refresh", now)
    };
    activity::write(owner, &entry)?;
    Ok(true)
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
