//! Revocations that an administrator makes by hand, with UPDATE in psql: they are noted in the activity
//! like those that functions make, so that logs and dashboard know of them.

use std::cell::Cell;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::BuiltinOid as T;

use super::owner::AsOwner;
use super::statements::{Statement, bind};
use crate::error::Result;

thread_local! {
    static OURS: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, revocations are made by our own statements, which note them themselves.
pub struct Ours;

impl Ours {
    /// Begins such statements.
    pub fn begin() -> Self {
        OURS.with(|ours| ours.set(true));
        Ours
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        OURS.with(|ours| ours.set(false));
    }
}

/// Whether the running statement is one of ours.
pub fn is_ours() -> bool {
    OURS.with(Cell::get)
}

/// A session whose row was revoked.
pub struct Revoked {
    /// Its id.
    pub session_id: Option<pgrx::Uuid>,
    /// Its environment.
    pub env_id: Option<i32>,
    /// Its definition; user sessions only.
    pub definition_id: Option<i32>,
    /// `user`, `account` or `client`.
    pub kind: Option<String>,
    /// Identifier, account or user_identifier_key.
    pub subject: Option<String>,
    /// When it was created.
    pub created_at: Option<TimestampWithTimeZone>,
    /// The end that it had.
    pub expires_at: Option<TimestampWithTimeZone>,
    /// When it was revoked.
    pub revoked_at: Option<TimestampWithTimeZone>,
    /// Why.
    pub reason: Option<String>,
}

static NOTE: Statement = Statement {
    sql: "INSERT INTO dialstack.activity \
              (at, month, session_id, env_id, definition_id, kind, operation, status, reason, \
               subject, latency_us, detail, session_created_at, expires_before) \
          SELECT at, extract(month FROM at AT TIME ZONE 'UTC'), $2, $3, $4, $5, 'revoke', \
                 'success', $6, $7, 0, '{\"by_hand\": true}', $8, $9 \
            FROM (SELECT CASE WHEN isfinite($1) THEN $1 ELSE clock_timestamp() END AS at) t",
    parameters: &[
        T::TIMESTAMPTZOID,
        T::UUIDOID,
        T::INT4OID,
        T::INT4OID,
        T::TEXTOID,
        T::TEXTOID,
        T::TEXTOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
    ],
};

/// Notes it in the activity.
pub fn note(revoked: Revoked) -> Result<()> {
    let arguments = [
        bind(revoked.revoked_at),
        bind(revoked.session_id),
        bind(revoked.env_id),
        bind(revoked.definition_id),
        bind(revoked.kind),
        bind(revoked.reason),
        bind(revoked.subject),
        bind(revoked.created_at),
        bind(revoked.expires_at),
    ];
    NOTE.execute(&AsOwner::enter()?, &arguments).map(|_| ())
}
