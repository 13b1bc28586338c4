//! Writing client sessions. Their tokens are derived from the row, so nothing of a token is stored.

use uuid::Uuid;

use crate::error::Result;
use crate::guc;
use crate::pg::clock::{Micros, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::service::notifications;
use crate::tables::activity;
use crate::tables::sessions::purge_after;

fn pg_all(ids: &[Uuid]) -> Vec<pgrx::Uuid> {
    ids.iter().map(pg_uuid).collect()
}

/// What a client session reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Connected accounts.
    pub connected_account_ids: Vec<Uuid>,
    /// Connect webviews.
    pub connect_webview_ids: Vec<Uuid>,
    /// User identities.
    pub user_identity_ids: Vec<Uuid>,
}

impl Grants {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.connected_account_ids.is_empty()
            && self.connect_webview_ids.is_empty()
            && self.user_identity_ids.is_empty()
    }
}

/// A client session about to be stored.
pub struct NewClient<'a> {
    /// Its id.
    pub session_id: Uuid,
    /// Its environment.
    pub env_id: i32,
    /// The user_identifier_key.
    pub key: Option<&'a str>,
    /// When it is created.
    pub now: Micros,
    /// When it ends.
    pub expires_at: Micros,
    /// The key that its token is made with.
    pub key_number: i32,
    /// What it reaches.
    pub grants: &'a Grants,
    /// The API key that it is made with.
    pub api_key_id: Option<Uuid>,
}

static INSERT: Statement = Statement::new(
    "WITH created AS ( \
              INSERT INTO dialstack.sessions \
                  (session_id, kind, env_id, subject, created_at, token_expires_at, expires_at, \
                   last_seen_at, purge_after, key_number, connected_account_ids, \
                   connect_webview_ids, user_identity_ids, api_key_id) \
              VALUES ($1, 'client', $2, $3, $4, $5, $5, $4, $6, $7, $8, $9, $10, $11) \
              ON CONFLICT (env_id, subject) \
                  WHERE kind = 'client' AND revoked_at IS NULL AND subject IS NOT NULL \
                  DO NOTHING \
              RETURNING session_id) \
          INSERT INTO dialstack.activity \
              (at, month, session_id, env_id, kind, operation, status, subject, latency_us, \
               detail) \
          SELECT $4, extract(month FROM $4 AT TIME ZONE 'UTC'), session_id, $2, 'client', 'create', \
                 'success', $3, $12, \
                 CASE WHEN $11 IS NOT NULL THEN jsonb_build_object('api_key_id', $11) END \
            FROM created",
);

/// Stores the session, unless a living one has its key: then `false`.
pub fn insert(owner: &AsOwner, session: &NewClient<'_>) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(&session.session_id)),
        bind(session.env_id),
        bind(session.key),
        bind(timestamptz(session.now)),
        bind(timestamptz(session.expires_at)),
        bind(purge_after(session.expires_at)),
        bind(session.key_number),
        bind(pg_all(&session.grants.connected_account_ids)),
        bind(pg_all(&session.grants.connect_webview_ids)),
        bind(pg_all(&session.grants.user_identity_ids)),
        bind(session.api_key_id.as_ref().map(pg_uuid)),
        bind(activity::latency(session.now)),
    ];
    Ok(INSERT.execute(owner, &arguments)? == 1)
}

/// Adds what is not there yet, in the order given; writes nothing when all of it is.
static GRANT: Statement = Statement::new(
    "WITH granted AS ( \
              UPDATE dialstack.sessions s SET \
                  connected_account_ids = connected_account_ids || ARRAY( \
                      SELECT id FROM unnest($2) WITH ORDINALITY t (id, n) \
                       WHERE id <> ALL (s.connected_account_ids) GROUP BY id ORDER BY min(n)), \
                  connect_webview_ids = connect_webview_ids || ARRAY( \
                      SELECT id FROM unnest($3) WITH ORDINALITY t (id, n) \
                       WHERE id <> ALL (s.connect_webview_ids) GROUP BY id ORDER BY min(n)), \
                  user_identity_ids = user_identity_ids || ARRAY( \
                      SELECT id FROM unnest($4) WITH ORDINALITY t (id, n) \
                       WHERE id <> ALL (s.user_identity_ids) GROUP BY id ORDER BY min(n)) \
               WHERE session_id = $1 AND kind = 'client' AND revoked_at IS NULL \
           RETURNING session_id, env_id, kind, subject) \
          INSERT INTO dialstack.activity \
              (at, month, session_id, env_id, kind, operation, status, subject, latency_us, \
               detail) \
          SELECT $5, extract(month FROM $5 AT TIME ZONE 'UTC'), session_id, env_id, kind, \
                 'grant', 'success', subject, $6, \
                 CASE WHEN $7 IS NOT NULL THEN jsonb_build_object('api_key_id', $7) END \
            FROM granted",
);

/// Adds to what a living client session reaches; `false` if it was revoked meanwhile.
pub fn grant(
    owner: &AsOwner,
    session_id: &Uuid,
    grants: &Grants,
    now: Micros,
    api_key_id: Option<Uuid>,
) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(session_id)),
        bind(pg_all(&grants.connected_account_ids)),
        bind(pg_all(&grants.connect_webview_ids)),
        bind(pg_all(&grants.user_identity_ids)),
        bind(timestamptz(now)),
        bind(activity::latency(now)),
        bind(api_key_id.as_ref().map(pg_uuid)),
    ];
    Ok(GRANT.execute(owner, &arguments)? == 1)
}

static DELETE: Statement = Statement::new(
    "WITH deleted AS ( \
              DELETE FROM dialstack.sessions \
               WHERE session_id = $1 AND kind = 'client' AND env_id = $2 \
           RETURNING session_id, env_id, kind, subject, \
                     revoked_at IS NULL AND expires_at > $3 AS lived), \
          logged AS ( \
              INSERT INTO dialstack.activity \
                  (at, month, session_id, env_id, kind, operation, status, subject, latency_us, \
                   detail) \
              SELECT $3, extract(month FROM $3 AT TIME ZONE 'UTC'), session_id, env_id, kind, \
                     'delete', 'success', subject, $4, \
                     CASE WHEN $5 IS NOT NULL THEN jsonb_build_object('api_key_id', $5) END \
                FROM deleted) \
          SELECT lived FROM deleted",
);

/// Deletes a client session, dead or alive; `false` if the environment has none with that id.
pub fn delete(
    owner: &AsOwner,
    session_id: &Uuid,
    env_id: i32,
    now: Micros,
    api_key_id: Option<Uuid>,
) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(session_id)),
        bind(env_id),
        bind(timestamptz(now)),
        bind(activity::latency(now)),
        bind(api_key_id.as_ref().map(pg_uuid)),
    ];
    let deleted = DELETE.write(owner, &arguments, |row| row.required::<bool>(1))?;
    // Its token dies with it.
    if deleted.contains(&true) && guc::notify_revocations() {
        notifications::revoked(owner, vec![pg_uuid(session_id)])?;
    }
    Ok(!deleted.is_empty())
}
