//! Storing a new user or account session: one statement that also counts it in the user's row and notes it
//! in the activity.

use crate::error::Result;
use crate::pg::clock::{self, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::tables::activity::Origin;
use crate::tables::sessions::{SessionRow, purge_after};

/// `$first` is a part of the WITH before the session. Only account sessions keep the API key in their row.
macro_rules! insert {
    ($first:literal, $kind:literal, $account:literal, $api_key_id:literal) => {
        Statement::new(concat!(
            "WITH ",
            $first,
            "stored AS ( \
                     INSERT INTO dialstack.sessions \
                         (session_id, created_at, expires_at, last_seen_at, \
                          env_id, definition_id, key_number, purge_after, subject, scopes, \
                          sealed_data, ip, user_agent, expires_in, identifier, api_key_id) \
                     VALUES ($1, $2, $4, $2, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $16, ",
            $api_key_id,
            ")) \
                 INSERT INTO dialstack.activity \
                     (at, month, session_id, api_key_id, env_id, definition_id, kind, operation, \
                      status, subject, account, ip, user_agent, latency_us, expires_after) \
                 VALUES ($2, extract(month FROM $2 AT TIME ZONE 'UTC'), $1, $15, $5, $6, '",
            $kind,
            "', 'create', 'success', coalesce($16, $9), ",
            $account,
            ", $12, $13, $3, $4)"
        ))
    };
}

/// A revocation of all of the user's sessions waits for the user's row, whichever of the rows is written first.
static INSERT_USER: Statement = insert!(
    "counted AS ( \
         INSERT INTO dialstack.session_users AS u \
             (env_id, definition_id, identifier, first_seen, last_seen, total_sessions) \
         VALUES ($5, $6, $9, $2, $2, 1) \
         ON CONFLICT (env_id, definition_id, identifier) DO UPDATE \
             SET last_seen = greatest(u.last_seen, excluded.last_seen), \
                 total_sessions = u.total_sessions + 1), ",
    "user",
    "NULL",
    "NULL"
);

static INSERT_ACCOUNT: Statement = insert!("", "account", "$9", "$15");

/// Stores a session. For a user session this waits for other calls that create or revoke sessions of the
/// same user.
///
/// # Errors
/// 40001 where the transaction's snapshot is older than the user's row (REPEATABLE READ and above).
pub fn insert(owner: &AsOwner, session: &SessionRow, origin: Origin<'_>) -> Result<()> {
    let now = session.created_at;
    let arguments = [
        bind(pg_uuid(&session.session_id)),
        bind(timestamptz(now)),
        bind(clock::latency(now)),
        bind(timestamptz(session.expires_at)),
        bind(session.env_id),
        bind(session.definition_id),
        bind(session.key_number.cast_signed()),
        bind(purge_after(session.expires_at)),
        bind(session.subject.as_str()),
        bind(session.scopes.clone()),
        bind(session.sealed_data.as_deref()),
        bind(origin.ip.cloned()),
        bind(origin.user_agent),
        bind(session.expires_in),
        bind(origin.api_key_id.as_ref().map(pg_uuid)),
        bind(session.identifier.as_deref()),
    ];
    let statement = if session.definition_id.is_some() { &INSERT_USER } else { &INSERT_ACCOUNT };
    statement.execute(owner, &arguments).map(|_| ())
}
