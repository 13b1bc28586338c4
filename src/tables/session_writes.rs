//! Making user and account sessions; extending user sessions and changing their data.

use pgrx::IntoDatum;
use pgrx::datum::{Date, Inet};
use pgrx::pg_sys::BuiltinOid as T;
use uuid::Uuid;

use crate::error::Result;
use crate::guc;
use crate::pg::clock::{self, Micros, timestamptz, timestamptz_datum};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::rows;
use crate::pg::scan;
use crate::pg::statements::{Statement, bind};
use crate::pg::without_news::WithoutNews;
use crate::tables::activity::{self, Entry, Origin};
use crate::tables::sessions::SessionRow;

/// The day after which the row of a session that dies then may go.
pub fn purge_after(dies_at: Micros) -> Date {
    clock::utc_date(dies_at.saturating_add(guc::session_retention_micros()))
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

static INSERT: Statement = Statement {
    sql: "INSERT INTO dialstack.sessions \
              (session_id, created_at, token_expires_at, expires_at, last_seen_at, rotated_at, \
               revoked_at, env_id, definition_id, generation, key_number, purge_after, kind, \
               subject, revoke_reason, scopes, connected_account_ids, connect_webview_ids, \
               user_identity_ids, sealed_data, ip, user_agent, api_key_id) \
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
                  $19, $20, $21, $22, $23)",
    parameters: &[
        T::UUIDOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::INT4OID,
        T::INT4OID,
        T::INT4OID,
        T::INT4OID,
        T::DATEOID,
        T::TEXTOID,
        T::TEXTOID,
        T::TEXTOID,
        T::TEXTARRAYOID,
        T::UUIDARRAYOID,
        T::UUIDARRAYOID,
        T::UUIDARRAYOID,
        T::BYTEAOID,
        T::INETOID,
        T::TEXTOID,
        T::UUIDOID,
    ],
};

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
    let now = timestamptz_datum(session.now);
    // In the order of the columns.
    let values = [
        pg_uuid(&session.session_id).into_datum(),
        now,
        timestamptz_datum(session.token_expires_at),
        timestamptz_datum(session.expires_at),
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
    rows::insert("", &values, &INSERT)?;
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

/// Locks the table as who writes to it, for who reads by statements first.
pub fn lock_table() -> Result<()> {
    scan::lock_for_writing::<crate::tables::sessions::Sessions>()
}

/// Locks a session's row, so that what is read next stays true until it is written.
pub fn lock(owner: &AsOwner, session_id: &Uuid) -> Result<()> {
    lock_table()?;
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
    let _silent = rows::are_changed_as_told("")?.then(WithoutNews::begin);
    let arguments = [bind(sessions), bind(guc::session_retention_micros())];
    POSTPONE_PURGE.execute(owner, &arguments)
}
