//! Storing a new user or account session: one statement that also counts it in the user's row and notes it
//! in the activity.

use pgrx::datum::Interval;
use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::tables::activity::Origin;
use crate::tables::sessions::purge_after;

/// A user or account session about to be stored.
pub struct NewSession<'a> {
    pub session_id: Uuid,
    pub env_id: i32,
    /// Its definition; none: an account session.
    pub definition_id: Option<i32>,
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
    /// The data of a user session, encrypted.
    pub sealed_data: Option<&'a [u8]>,
    /// How long it lives without a refresh, where its definition is not to say that.
    pub expires_in: Option<Interval>,
    /// The scopes of an account session.
    pub scopes: Option<Vec<String>>,
    /// For whom an account session is, if that was said.
    pub identifier: Option<&'a str>,
    pub origin: Origin<'a>,
}

/// `$first` is a part of the WITH before the session. Only account sessions keep the API key in their row.
macro_rules! insert {
    ($first:literal, $kind:literal, $account:literal, $api_key_id:literal) => {
        Statement::new(concat!(
            "WITH ",
            $first,
            "stored AS ( \
                     INSERT INTO dialstack.sessions \
                         (session_id, created_at, token_expires_at, expires_at, last_seen_at, \
                          env_id, definition_id, key_number, purge_after, subject, scopes, \
                          sealed_data, ip, user_agent, expires_in, identifier, api_key_id) \
                     VALUES ($1, $2, $3, $4, $2, $5, $6, $7, $8, $9, $10, $11, $12, $13, $17, $18, ",
            $api_key_id,
            ")) \
                 INSERT INTO dialstack.activity \
                     (at, month, session_id, api_key_id, env_id, definition_id, kind, operation, \
                      status, subject, account, ip, user_agent, latency_us, expires_after) \
                 VALUES ($2, $14, $1, $16, $5, $6, '",
            $kind,
            "', 'create', 'success', coalesce($18, $9), ",
            $account,
            ", $12, $13, $15, $4)"
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

static INSERT_ACCOUNT: Statement = insert!("", "account", "$9", "$16");

/// Stores a session. For a user session this waits for other calls that create or revoke sessions of the
/// same user.
///
/// # Errors
/// 40001 where the transaction's snapshot is older than the user's row (REPEATABLE READ and above).
pub fn insert(owner: &AsOwner, session: NewSession<'_>) -> Result<()> {
    let arguments = [
        bind(pg_uuid(&session.session_id)),
        bind(timestamptz(session.now)),
        bind(timestamptz(session.token_expires_at)),
        bind(timestamptz(session.expires_at)),
        bind(session.env_id),
        bind(session.definition_id),
        bind(session.key_number),
        bind(purge_after(session.expires_at)),
        bind(session.subject),
        bind(session.scopes),
        bind(session.sealed_data),
        bind(session.origin.ip.cloned()),
        bind(session.origin.user_agent),
        bind(clock::utc_month(session.now)),
        bind(clock::latency(session.now)),
        bind(session.origin.api_key_id.as_ref().map(pg_uuid)),
        bind(session.expires_in),
        bind(session.identifier),
    ];
    let statement = if session.definition_id.is_some() { &INSERT_USER } else { &INSERT_ACCOUNT };
    statement.execute(owner, &arguments).map(|_| ())
}
