//! Writing client sessions, each change noted in the activity by the same statement. Tokens are derived from the
//! row, so nothing of a token is stored.

use pgrx::datum::TimestampWithTimeZone;
use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::scan::lock_for_writing;
use crate::pg::statements::{Statement, bind};
use crate::session::verdict::REVOKED_AS_EXPIRED;
use crate::tables::client_sessions::ClientSessions;
use crate::tables::sessions::purge_after;

/// What a client session reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    pub connected_account_ids: Vec<pgrx::Uuid>,
    pub connect_webview_ids: Vec<pgrx::Uuid>,
    pub user_identity_ids: Vec<pgrx::Uuid>,
}

impl Grants {
    /// Each kind, with its name.
    pub fn kinds(&mut self) -> [(&'static str, &mut Vec<pgrx::Uuid>); 3] {
        [
            ("connected_account_ids", &mut self.connected_account_ids),
            ("connect_webview_ids", &mut self.connect_webview_ids),
            ("user_identity_ids", &mut self.user_identity_ids),
        ]
    }

    pub fn is_empty(&self) -> bool {
        *self == Grants::default()
    }
}

/// A living client session, with all that its functions return of it; or one that is to be stored.
pub struct ClientSession {
    pub session_id: Uuid,
    /// Its user_identifier_key, encrypted.
    pub sealed_key: Option<Vec<u8>>,
    pub created_at: TimestampWithTimeZone,
    pub expires_at: TimestampWithTimeZone,
    /// The key that its token is made with.
    pub key_number: u32,
    pub grants: Grants,
    /// The API key that made it.
    pub api_key_id: Option<Uuid>,
}

static INSERT: Statement = Statement::new(
    "WITH created AS ( \
              INSERT INTO dialstack.client_sessions \
                  (session_id, created_at, expires_at, env_id, key_number, purge_after, sealed_key, \
                   connected_account_ids, connect_webview_ids, user_identity_ids, api_key_id) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
              ON CONFLICT (env_id, sealed_key) \
                  WHERE revoked_at IS NULL AND sealed_key IS NOT NULL DO NOTHING \
              RETURNING session_id) \
          INSERT INTO dialstack.activity \
              (at, month, session_id, api_key_id, env_id, kind, operation, status, latency_us, \
               expires_after) \
          SELECT $2, extract(month FROM $2 AT TIME ZONE 'UTC'), session_id, $11, $4, 'client', 'create', \
                 'success', $12, $3 \
            FROM created",
);

/// Stores the session, unless an unrevoked one has its key: then `false`.
pub fn insert(owner: &AsOwner, env_id: i32, session: &ClientSession) -> Result<bool> {
    let now = clock::micros(session.created_at);
    let arguments = [
        bind(pg_uuid(&session.session_id)),
        bind(session.created_at),
        bind(session.expires_at),
        bind(env_id),
        bind(session.key_number.cast_signed()),
        bind(purge_after(clock::micros(session.expires_at))),
        bind(session.sealed_key.as_deref()),
        bind(session.grants.connected_account_ids.clone()),
        bind(session.grants.connect_webview_ids.clone()),
        bind(session.grants.user_identity_ids.clone()),
        bind(session.api_key_id.as_ref().map(pg_uuid)),
        bind(clock::latency(now)),
    ];
    Ok(INSERT.execute(owner, &arguments)? == 1)
}

static LOCK_ONE: Statement =
    Statement::new("SELECT 1 FROM dialstack.client_sessions WHERE session_id = $1 FOR UPDATE");

/// Locks a session's row until the transaction ends, so that what is read next stays true until it is written.
pub fn lock(owner: &AsOwner, session_id: &Uuid) -> Result<()> {
    lock_for_writing::<ClientSessions>()?;
    LOCK_ONE.execute(owner, &[bind(pg_uuid(session_id))]).map(|_| ())
}

static FREE_KEY: Statement = Statement::new(
    "UPDATE dialstack.client_sessions SET revoked_at = $2, revoke_reason = $3 \
           WHERE session_id = $1 AND revoked_at IS NULL",
);

/// Revokes an expired client session so that its user_identifier_key can be used again. Nobody asked for its end: no
/// activity.
pub fn free_key(owner: &AsOwner, session_id: &Uuid, now: Micros) -> Result<()> {
    let arguments = [bind(pg_uuid(session_id)), bind(timestamptz(now)), bind(REVOKED_AS_EXPIRED)];
    FREE_KEY.execute(owner, &arguments).map(|_| ())
}

static SET_GRANTS: Statement = Statement::new(
    "WITH granted AS ( \
              UPDATE dialstack.client_sessions \
                 SET connected_account_ids = $2, connect_webview_ids = $3, user_identity_ids = $4 \
               WHERE session_id = $1 AND revoked_at IS NULL \
           RETURNING session_id, env_id) \
          INSERT INTO dialstack.activity \
              (at, month, session_id, api_key_id, env_id, kind, operation, status, latency_us) \
          SELECT $5, extract(month FROM $5 AT TIME ZONE 'UTC'), session_id, $7, env_id, 'client', 'grant', \
                 'success', $6 \
            FROM granted",
);

/// Stores what a session that is locked now reaches, which is more than before; `false` if it was revoked meanwhile.
pub fn set_grants(
    owner: &AsOwner,
    session: &ClientSession,
    now: Micros,
    api_key_id: Option<Uuid>,
) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(&session.session_id)),
        bind(session.grants.connected_account_ids.clone()),
        bind(session.grants.connect_webview_ids.clone()),
        bind(session.grants.user_identity_ids.clone()),
        bind(timestamptz(now)),
        bind(clock::latency(now)),
        bind(api_key_id.as_ref().map(pg_uuid)),
    ];
    Ok(SET_GRANTS.execute(owner, &arguments)? == 1)
}

static DELETE: Statement = Statement::new(
    "WITH deleted AS ( \
              DELETE FROM dialstack.client_sessions WHERE session_id = $1 \
           RETURNING session_id, env_id, created_at, expires_at, \
                     revoked_at IS NULL AND expires_at > $2 AS lived), \
          logged AS ( \
              INSERT INTO dialstack.activity \
                  (at, month, session_id, api_key_id, env_id, kind, operation, status, latency_us, \
                   session_created_at, expires_before) \
              SELECT $2, extract(month FROM $2 AT TIME ZONE 'UTC'), session_id, $4, env_id, 'client', \
                     'delete', 'success', $3, created_at, CASE WHEN lived THEN expires_at END \
                FROM deleted) \
          SELECT lived, \
                 CASE WHEN $5 AND lived THEN pg_notify('dialstack_sessions', session_id::text)::text END \
            FROM deleted",
);

/// Deletes a client session, dead or alive, and returns whether it lived; `None` if there is none with that id.
/// With `notify` programs that LISTEN learn of the end of one that lived.
pub fn delete(
    owner: &AsOwner,
    session_id: &Uuid,
    now: Micros,
    api_key_id: Option<Uuid>,
    notify: bool,
) -> Result<Option<bool>> {
    let arguments = [
        bind(pg_uuid(session_id)),
        bind(timestamptz(now)),
        bind(clock::latency(now)),
        bind(api_key_id.as_ref().map(pg_uuid)),
        bind(notify),
    ];
    let deleted = DELETE.write(owner, &arguments, |row| row.required::<bool>(1))?;
    Ok(deleted.into_iter().next())
}
