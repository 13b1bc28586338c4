//! The table `activity`. Creates, refreshes and revocations write their row in the statement that
//! does the work; the rows written here stand alone.

use pgrx::datum::Inet;
use pgrx::pg_sys::BuiltinOid as T;
use uuid::Uuid;

use super::clock::{self, Micros, timestamptz};
use super::ids::pg_uuid;
use super::owner::AsOwner;
use super::sessions::SessionRow;
use super::statements::{Statement, bind};
use crate::error::Result;

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

static INSERT: Statement = Statement {
    sql: "INSERT INTO dialstack.activity \
              (at, month, session_id, env_id, definition_id, kind, operation, status, reason, \
               subject, ip, user_agent, latency_us, detail) \
          VALUES ($1, extract(month FROM $1 AT TIME ZONE 'UTC'), $2, $3, $4, $5, $6, $7, $8, $9, \
                  $10, $11, $12, \
                  CASE WHEN $13 IS NOT NULL THEN jsonb_build_object('api_key_id', $13) END)",
    parameters: &[
        T::TIMESTAMPTZOID,
        T::UUIDOID,
        T::INT4OID,
        T::INT4OID,
        T::TEXTOID,
        T::TEXTOID,
        T::TEXTOID,
        T::TEXTOID,
        T::TEXTOID,
        T::INETOID,
        T::TEXTOID,
        T::INT4OID,
        T::UUIDOID,
    ],
};

/// Notes an operation on a session; `refused` says why it failed.
pub fn note(
    owner: &AsOwner,
    session: &SessionRow,
    operation: &'static str,
    refused: Option<&'static str>,
    began: Micros,
    origin: Origin<'_>,
) -> Result<()> {
    let arguments = [
        bind(timestamptz(began)),
        bind(pg_uuid(&session.session_id)),
        bind(session.env_id),
        bind(session.definition_id),
        bind(session.kind.as_str()),
        bind(operation),
        bind(if refused.is_some() { "fail" } else { "success" }),
        bind(refused),
        bind(session.subject.as_deref()),
        bind(origin.ip.cloned()),
        bind(origin.user_agent),
        bind(latency(began)),
        bind(origin.api_key_id.as_ref().map(pg_uuid)),
    ];
    INSERT.execute(owner, &arguments).map(|_| ())
}
