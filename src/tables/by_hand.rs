//! What an administrator does to sessions by hand, with UPDATE in psql, noted in the activity: a
//! revocation like one by function, and an end that was moved as `by_hand`, which is no operation and in
//! no log, but without which the dashboard would count wrong.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::BuiltinOid as T;

use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};

/// A session whose row was changed.
pub struct Changed {
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
    pub ended_at: Option<TimestampWithTimeZone>,
    /// The end that it has.
    pub expires_at: Option<TimestampWithTimeZone>,
    /// Whether it was revoked before.
    pub was_revoked: bool,
    /// When it was revoked.
    pub revoked_at: Option<TimestampWithTimeZone>,
    /// Why.
    pub reason: Option<String>,
}

/// `$6` is the end that it got, NULL where it was revoked. Whatever somebody wrote, nothing has happened
/// in the future.
static NOTE: Statement = Statement {
    sql: "INSERT INTO dialstack.activity \
              (at, month, session_id, env_id, definition_id, kind, operation, status, reason, \
               subject, latency_us, detail, session_created_at, expires_before, expires_after) \
          SELECT at, extract(month FROM at AT TIME ZONE 'UTC'), $2, $3, $4, $5, \
                 CASE WHEN $6 IS NULL THEN 'revoke' ELSE 'by_hand' END, \
                 'success', $7, $8, 0, '{\"by_hand\": true}', $9, $10, $6 \
            FROM (SELECT CASE WHEN isfinite($1) THEN least($1, clock_timestamp()) \
                         ELSE clock_timestamp() END AS at) t",
    parameters: &[
        T::TIMESTAMPTZOID,
        T::UUIDOID,
        T::INT4OID,
        T::INT4OID,
        T::TEXTOID,
        T::TIMESTAMPTZOID,
        T::TEXTOID,
        T::TEXTOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
    ],
};

/// Notes a revocation, or an end that moved; other changes are nobody's news.
pub fn note(changed: Changed) -> Result<()> {
    let revoked = changed.revoked_at.is_some();
    if changed.was_revoked || (!revoked && changed.ended_at == changed.expires_at) {
        return Ok(());
    }
    let arguments = [
        bind(changed.revoked_at),
        bind(changed.session_id),
        bind(changed.env_id),
        bind(changed.definition_id),
        bind(changed.kind),
        bind(changed.expires_at.filter(|_| !revoked)),
        bind(changed.reason),
        bind(changed.subject),
        bind(changed.created_at),
        bind(changed.ended_at),
    ];
    NOTE.execute(&AsOwner::enter()?, &arguments).map(|_| ())
}
