//! The table `activity`. Creates, refreshes and verifications of user sessions write their row here,
//! past SQL; what is rarer, or means many sessions, writes its rows in the statement that does the work.

use pgrx::datum::Inet;
use pgrx::pg_sys::BuiltinOid as T;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::{IntoDatum, pg_sys};
use serde_json::json;
use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{self, Micros, timestamptz_datum};
use crate::pg::datum::json::JsonText;
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::rows;
use crate::pg::statements::Statement;
use crate::tables::sessions::SessionRow;

/// Where a request came from, as far as the application tells, and with which API key.
#[derive(Clone, Copy, Default)]
pub struct Origin<'a> {
    /// Address of the user.
    pub ip: Option<&'a Inet>,
    /// User agent of the user.
    pub user_agent: Option<&'a str>,
    /// The API key that the caller presents.
    pub api_key_id: Option<Uuid>,
}

impl Origin<'_> {
    /// Nothing is told.
    pub const UNKNOWN: Origin<'static> = Origin {
        ip: None,
        user_agent: None,
        api_key_id: None,
    };

    /// From a caller with this API key, if any.
    pub const fn of_key(api_key_id: Option<Uuid>) -> Origin<'static> {
        Origin {
            api_key_id,
            ..Origin::UNKNOWN
        }
    }
}

/// Microseconds since the call began.
pub fn latency(began: Micros) -> i32 {
    i32::try_from(clock::now().saturating_sub(began))
        .unwrap_or(i32::MAX)
        .max(0)
}

/// One row: an operation on a session.
pub struct Entry<'a> {
    /// When it began.
    pub at: Micros,
    /// The session.
    pub session_id: &'a Uuid,
    /// Its environment.
    pub env_id: i32,
    /// Its definition; user sessions only.
    pub definition_id: Option<i32>,
    /// `user`, `account` or `client`.
    pub kind: &'a str,
    /// Identifier, account or user_identifier_key.
    pub subject: Option<&'a str>,
    /// `create`, `verify` or `refresh`.
    pub operation: &'static str,
    /// Why it failed, if it did.
    pub refused: Option<&'static str>,
    /// From where.
    pub origin: Origin<'a>,
    /// When the session was created, where its end moved.
    pub session_created_at: Option<Micros>,
    /// The end that it had, where that moved.
    pub expires_before: Option<Micros>,
    /// The end that it got.
    pub expires_after: Option<Micros>,
    /// Whether that was what was asked for.
    pub extended: bool,
}

impl<'a> Entry<'a> {
    /// An operation that succeeded on a session and did not move its end.
    pub fn of(session: &'a SessionRow, operation: &'static str, at: Micros) -> Self {
        Entry {
            at,
            session_id: &session.session_id,
            env_id: session.env_id,
            definition_id: session.definition_id,
            kind: &session.kind,
            subject: session.subject.as_deref(),
            operation,
            refused: None,
            origin: Origin::UNKNOWN,
            session_created_at: None,
            expires_before: None,
            expires_after: None,
            extended: false,
        }
    }

    /// What the column `detail` says.
    fn detail(&self) -> Option<JsonText> {
        let detail = match self.origin.api_key_id {
            Some(id) => json!({ "api_key_id": id.to_string() }),
            None if self.extended => json!({ "extended": true }),
            None => return None,
        };
        Some(JsonText::of(&detail))
    }
}

static INSERT: Statement = Statement {
    sql: "INSERT INTO dialstack.activity \
              (activity_id, at, session_id, env_id, definition_id, latency_us, month, kind, \
               operation, status, reason, subject, ip, user_agent, detail, xid, \
               session_created_at, expires_before, expires_after) OVERRIDING SYSTEM VALUE \
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
    parameters: &[
        T::INT8OID,
        T::TIMESTAMPTZOID,
        T::UUIDOID,
        T::INT4OID,
        T::INT4OID,
        T::INT4OID,
        T::INT2OID,
        T::TEXTOID,
        T::TEXTOID,
        T::TEXTOID,
        T::TEXTOID,
        T::TEXTOID,
        T::INETOID,
        T::TEXTOID,
        T::JSONBOID,
        T::XID8OID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
    ],
};

/// Adds a row.
pub fn write(entry: &Entry<'_>) -> Result<()> {
    let month = clock::utc_month(entry.at);
    let status = if entry.refused.is_some() {
        "fail"
    } else {
        "success"
    };
    // SAFETY: gives the transaction an id if it has none yet.
    let xid = unsafe { pg_sys::GetTopFullTransactionId() };
    // In the order of the columns.
    let values = [
        next_id()?.into_datum(),
        timestamptz_datum(entry.at),
        pg_uuid(entry.session_id).into_datum(),
        entry.env_id.into_datum(),
        entry.definition_id.into_datum(),
        latency(entry.at).into_datum(),
        month.into_datum(),
        entry.kind.into_datum(),
        entry.operation.into_datum(),
        status.into_datum(),
        entry.refused.into_datum(),
        entry.subject.into_datum(),
        entry.origin.ip.cloned().into_datum(),
        entry.origin.user_agent.into_datum(),
        entry.detail().into_datum(),
        Some(pg_sys::Datum::from(xid.value)),
        entry.session_created_at.and_then(timestamptz_datum),
        entry.expires_before.and_then(timestamptz_datum),
        entry.expires_after.and_then(timestamptz_datum),
    ];
    rows::insert("", &values, &INSERT)
}

mod server {
    use pgrx::pg_sys;

    unsafe extern "C-unwind" {
        pub(crate) fn nextval_internal(sequence: pg_sys::Oid, check_permissions: bool) -> i64;
    }
}

/// The next number of the identity column, which callers have no right to draw themselves.
fn next_id() -> Result<i64> {
    let sequence = unimplemented!();
    // SAFETY: takes the id of a sequence and raises ordinary errors, which the guard turns into panics
    // as the bindings do.
    Ok(unsafe { pg_guard_ffi_boundary(|| server::nextval_internal(sequence, false)) })
}

/// Notes an operation on a session that did not change it; `refused` says why it failed.
pub fn note(
    session: &SessionRow,
    operation: &'static str,
    refused: Option<&'static str>,
    began: Micros,
    origin: Origin<'_>,
) -> Result<()> {
    let entry = Entry {
        refused,
        origin,
        ..Entry::of(session, operation, began)
    };
    write(&entry)
}
