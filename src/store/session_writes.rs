//! Making user and account sessions; prolonging and changing user sessions.

use std::cell::Cell;

use pgrx::datum::{Date, Inet, TimestampWithTimeZone};
use pgrx::pg_sys::BuiltinOid as T;
use pgrx::{IntoDatum, pg_sys};
use uuid::Uuid;

use super::activity::{self, Entry, Origin};
use super::clock::{self, Micros, timestamptz};
use super::ids::pg_uuid;
use super::owner::AsOwner;
use super::relations::{self, Rel};
use super::rows::Table;
use super::scan::Key;
use super::sessions::SessionRow;
use super::statements::{Statement, bind};
use crate::error::Result;
use crate::guc;

thread_local! {
    static WITHOUT_NEWS: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, updates of `sessions` change no verdict that anybody remembers; the invalidation
/// trigger then stays silent.
struct WithoutNews;

impl WithoutNews {
    fn begin() -> Self {
        WITHOUT_NEWS.with(|flag| flag.set(true));
        WithoutNews
    }
}

impl Drop for WithoutNews {
    fn drop(&mut self) {
        WITHOUT_NEWS.with(|flag| flag.set(false));
    }
}

/// Whether the running statement changes no verdict.
pub fn is_without_news() -> bool {
    WITHOUT_NEWS.with(Cell::get)
}

/// The day after which the row of a session that dies then may go.
pub fn purge_after(dies_at: Micros) -> Date {
    clock::utc_date(dies_at.saturating_add(guc::session_retention_micros()))
}

/// Columns of `sessions` that are written past SQL, counted from 1.
mod column {
    pub const SESSION_ID: i16 = 1;
    pub const TOKEN_EXPIRES_AT: usize = 3;
    pub const EXPIRES_AT: usize = 4;
    pub const LAST_SEEN_AT: usize = 5;
    pub const ROTATED_AT: usize = 6;
    pub const REVOKED_AT: usize = 7;
    pub const GENERATION: usize = 10;
    pub const KEY_NUMBER: usize = 11;
    pub const PURGE_AFTER: usize = 12;
    pub const SEALED_DATA: usize = 20;
    pub const IP: usize = 21;
    pub const USER_AGENT: usize = 22;
}

fn moment(at: Micros) -> Option<pg_sys::Datum> {
    timestamptz(at).into_datum()
}

/// A user or account session about to be stored.
pub struct NewSession<'a> {
    /// Its id.
    pub session_id: Uuid,
    /// What only one family has.
    pub kind: Kind<'a>,
    /// Its environment.
    pub env_id: i32,
    /// Identifier or account.
    pub subject: &'a str,
    /// When it is created.
    pub now: Micros,
    /// When its first token expires.
    pub token_expires_at: Micros,
    /// When it ends unless it is refreshed.
    pub expires_at: Micros,
    /// The key that sealed the data or makes the token.
    pub key_number: i32,
    /// From where.
    pub origin: Origin<'a>,
}

/// A family of sessions, and what only that has.
pub enum Kind<'a> {
    /// User sessions.
    User {
        /// The definition.
        definition_id: i32,
        /// The data, encrypted.
        sealed_data: &'a [u8],
    },
    /// Account sessions.
    Account {
        /// The scopes that it holds.
        scopes: Vec<String>,
    },
}

/// Stores a session, and notes it.
pub fn insert(session: NewSession<'_>) -> Result<()> {
    let (kind, definition_id, sealed_data, scopes, api_key_id) = match session.kind {
        Kind::User {
            definition_id,
            sealed_data,
        } => ("user", Some(definition_id), Some(sealed_data), None, None),
        Kind::Account { scopes } => {
            let api_key_id = session.origin.api_key_id;
            ("account", None, None, Some(scopes), api_key_id)
        }
    };
    let now = moment(session.now);
    // In the order of the columns.
    let values = [
        pg_uuid(&session.session_id).into_datum(),
        now,
        moment(session.token_expires_at),
        moment(session.expires_at),
        now,
        None,
        None,
        session.env_id.into_datum(),
        definition_id.into_datum(),
        0.into_datum(),
        session.key_number.into_datum(),
        purge_after(session.expires_at).into_datum(),
        kind.into_datum(),
        session.subject.into_datum(),
        None,
        scopes.into_datum(),
        None,
        None,
        None,
        sealed_data.into_datum(),
        session.origin.ip.cloned().into_datum(),
        session.origin.user_agent.into_datum(),
        api_key_id.as_ref().map(pg_uuid).into_datum(),
    ];
    Table::open(Rel::Sessions)?.insert(&values)?;
    activity::write(&Entry {
        at: session.now,
        session_id: &session.session_id,
        env_id: session.env_id,
        definition_id,
        kind,
        subject: Some(session.subject),
        operation: "create",
        refused: None,
        origin: session.origin,
        session_created_at: None,
        expires_before: None,
        // Dashboards count user sessions.
        expires_after: definition_id.map(|_| session.expires_at),
        extended: false,
    })
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

/// Takes the step and notes it, unless the row is no longer as expected, or a trigger of somebody else
/// keeps it as it is: then `None`. Touches no indexed column but once a day, so that it stays a heap-only
/// update.
pub fn rotate(step: &Step<'_>) -> Result<Option<Rotated>> {
    let row = step.from;
    let key = [Key::uuid(column::SESSION_ID, row.session_id.as_bytes())];
    let sessions = Table::open(Rel::Sessions)?;
    let Some(stored) = sessions.lock(Rel::SessionsById, &key)? else {
        return Ok(None);
    };
    let ends_at = |column| {
        stored
            .get::<TimestampWithTimeZone>(column)
            .map(clock::micros)
    };
    let as_expected = stored.get(column::GENERATION) == Some(row.generation.cast_signed())
        && ends_at(column::EXPIRES_AT) == Some(row.expires_at)
        && ends_at(column::REVOKED_AT).is_none();
    if !as_expected {
        return Ok(None);
    }
    let rotated = Rotated {
        key_number: stored
            .get::<i32>(column::KEY_NUMBER)
            .map_or(0, i32::unsigned_abs),
        sealed_data: stored.get(column::SEALED_DATA),
    };
    let ip = step
        .origin
        .ip
        .cloned()
        .or_else(|| stored.get::<Inet>(column::IP));
    let user_agent = match step.origin.user_agent {
        Some(user_agent) => Some(user_agent.to_owned()),
        None => stored.get::<String>(column::USER_AGENT),
    };
    let taken = stored.update(&[
        (column::GENERATION, step.to.cast_signed().into_datum()),
        // The reuse interval begins when the step is taken, which may have waited for the lock.
        (column::ROTATED_AT, moment(clock::now())),
        (column::LAST_SEEN_AT, moment(step.now)),
        (column::TOKEN_EXPIRES_AT, moment(step.token_expires_at)),
        (column::EXPIRES_AT, moment(step.expires_at)),
        (
            column::PURGE_AFTER,
            purge_after(step.expires_at).into_datum(),
        ),
        (column::IP, ip.clone().into_datum()),
        (column::USER_AGENT, user_agent.as_deref().into_datum()),
    ])?;
    if !taken {
        return Ok(None);
    }
    // An access token of before may live longer than a session whose definition has become stricter:
    // then there is something to forget.
    if step.expires_at < row.expires_at {
        relations::invalidate(relations::oid(Rel::Sessions)?)?;
    }
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
    activity::write(&entry)?;
    Ok(Some(rotated))
}

static SET_DATA: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET sealed_data = $2, key_number = $3 \
           WHERE session_id = $1 AND revoked_at IS NULL",
    parameters: &[T::UUIDOID, T::BYTEAOID, T::INT4OID],
};

static SET_EXPIRY: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET expires_at = $2, \
                 purge_after = $3 \
           WHERE session_id = $1 AND revoked_at IS NULL",
    parameters: &[T::UUIDOID, T::TIMESTAMPTZOID, T::DATEOID],
};

/// The row is locked, so that the end which it had is the one that was read.
static EXTEND: Statement = Statement {
    sql: "UPDATE dialstack.sessions SET expires_at = $2, \
                 purge_after = $3 \
           WHERE session_id = $1 AND revoked_at IS NULL AND expires_at = $4 \
       RETURNING ip, user_agent",
    parameters: &[T::UUIDOID, T::TIMESTAMPTZOID, T::DATEOID, T::TIMESTAMPTZOID],
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
    activity::write(&entry)?;
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
    let _silent = WithoutNews::begin();
    let arguments = [bind(sessions), bind(guc::session_retention_micros())];
    POSTPONE_PURGE.execute(owner, &arguments)
}
