//! Writing account and client sessions. Their tokens are derived from the row, so nothing of a token
//! is stored.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::BuiltinOid as T;
use uuid::Uuid;

use super::clock::{Micros, timestamptz};
use super::ids::{pg_uuid, uuid};
use super::owner::AsOwner;
use super::session_writes::purge_after;
use super::statements::{Statement, bind};
use super::{activity, notifications};
use crate::error::Result;
use crate::guc;

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

/// An account or client session about to be stored.
pub struct NewOpaque<'a> {
    /// Its id.
    pub session_id: Uuid,
    /// `account` or `client`.
    pub kind: &'static str,
    /// Its environment.
    pub env_id: i32,
    /// Account, or user_identifier_key.
    pub subject: Option<&'a str>,
    /// When it is created.
    pub now: Micros,
    /// When it ends.
    pub expires_at: Micros,
    /// The key that its token is made with.
    pub key_number: i32,
    /// Scopes of an account session.
    pub scopes: Option<Vec<String>>,
    /// What a client session reaches; `None` for account sessions.
    pub grants: Option<&'a Grants>,
    /// The API key that it is made with.
    pub api_key_id: Option<Uuid>,
}

static INSERT: Statement = Statement {
    sql: "WITH created AS ( \
              INSERT INTO dialstack.sessions \
                  (session_id, kind, env_id, subject, created_at, token_expires_at, expires_at, \
                   last_seen_at, purge_after, key_number, scopes, connected_account_ids, \
                   connect_webview_ids, user_identity_ids, api_key_id) \
              VALUES ($1, $2, $3, $4, $5, $6, $6, $5, ($7 AT TIME ZONE 'UTC')::date, $8, $9, $10, \
                      $11, $12, $13) \
              ON CONFLICT (env_id, subject) \
                  WHERE kind = 'client' AND revoked_at IS NULL AND subject IS NOT NULL \
                  DO NOTHING \
              RETURNING session_id) \
          INSERT INTO dialstack.activity \
              (at, month, session_id, env_id, kind, operation, status, subject, latency_us, \
               detail) \
          SELECT $5, extract(month FROM $5 AT TIME ZONE 'UTC'), session_id, $3, $2, 'create', \
                 'success', $4, $14, \
                 CASE WHEN $13 IS NOT NULL THEN jsonb_build_object('api_key_id', $13) END \
            FROM created",
    parameters: &[
        T::UUIDOID,
        T::TEXTOID,
        T::INT4OID,
        T::TEXTOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::TIMESTAMPTZOID,
        T::INT4OID,
        T::TEXTARRAYOID,
        T::UUIDARRAYOID,
        T::UUIDARRAYOID,
        T::UUIDARRAYOID,
        T::UUIDOID,
        T::INT4OID,
    ],
};

/// Stores the session, unless a living client session has its key: then `false`.
pub fn insert(owner: &AsOwner, session: &NewOpaque<'_>) -> Result<bool> {
    let arguments = [
        bind(pg_uuid(&session.session_id)),
        bind(session.kind),
        bind(session.env_id),
        bind(session.subject),
        bind(timestamptz(session.now)),
        bind(timestamptz(session.expires_at)),
        bind(purge_after(session.expires_at)),
        bind(session.key_number),
        bind(session.scopes.clone()),
        bind(
            session
                .grants
                .map(|grants| pg_all(&grants.connected_account_ids)),
        ),
        bind(
            session
                .grants
                .map(|grants| pg_all(&grants.connect_webview_ids)),
        ),
        bind(
            session
                .grants
                .map(|grants| pg_all(&grants.user_identity_ids)),
        ),
        bind(session.api_key_id.as_ref().map(pg_uuid)),
        bind(activity::latency(session.now)),
    ];
    Ok(INSERT.execute(owner, &arguments)? == 1)
}

/// Adds what is not there yet, in the order given; writes nothing when all of it is.
static GRANT: Statement = Statement {
    sql: "WITH granted AS ( \
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
    parameters: &[
        T::UUIDOID,
        T::UUIDARRAYOID,
        T::UUIDARRAYOID,
        T::UUIDARRAYOID,
        T::TIMESTAMPTZOID,
        T::INT4OID,
        T::UUIDOID,
    ],
};

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

static DELETE: Statement = Statement {
    sql: "WITH deleted AS ( \
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
    parameters: &[
        T::UUIDOID,
        T::INT4OID,
        T::TIMESTAMPTZOID,
        T::INT4OID,
        T::UUIDOID,
    ],
};

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

/// A living client session, with all that its functions return.
pub struct ClientSession {
    /// Its id.
    pub session_id: Uuid,
    /// user_identifier_key.
    pub user_identifier_key: Option<String>,
    /// When it was created.
    pub created_at: TimestampWithTimeZone,
    /// When it ends.
    pub expires_at: TimestampWithTimeZone,
    /// The key that its token is made with.
    pub key_number: u32,
    /// What it reaches.
    pub grants: Grants,
    /// The API key that made it.
    pub api_key_id: Option<Uuid>,
}

fn ids(row: &super::statements::Columns<'_, '_>, ordinal: usize) -> Result<Vec<Uuid>> {
    let ids: Vec<pgrx::Uuid> = row.get(ordinal)?.unwrap_or_default();
    Ok(ids.into_iter().map(uuid).collect())
}

fn read(row: &super::statements::Columns<'_, '_>) -> Result<ClientSession> {
    Ok(ClientSession {
        session_id: uuid(row.required(1)?),
        user_identifier_key: row.get(2)?,
        created_at: row.required(3)?,
        expires_at: row.required(4)?,
        key_number: row.required::<i32>(5)?.unsigned_abs(),
        grants: Grants {
            connected_account_ids: ids(row, 6)?,
            connect_webview_ids: ids(row, 7)?,
            user_identity_ids: ids(row, 8)?,
        },
        api_key_id: row.get(9)?.map(uuid),
    })
}

macro_rules! select_client {
    ($rest:literal) => {
        concat!(
            "SELECT session_id, subject, created_at, expires_at, key_number, \
                    connected_account_ids, connect_webview_ids, user_identity_ids, api_key_id \
               FROM dialstack.sessions \
              WHERE kind = 'client' AND env_id = $1 AND revoked_at IS NULL AND ",
            $rest
        )
    };
}

static BY_ID: Statement = Statement {
    sql: select_client!("expires_at > $2 AND session_id = $3"),
    parameters: &[T::INT4OID, T::TIMESTAMPTZOID, T::UUIDOID],
};

/// Also an expired one: it holds its key until it is put away.
static LOCK_BY_KEY: Statement = Statement {
    sql: select_client!("subject = $2 FOR UPDATE"),
    parameters: &[T::INT4OID, T::TEXTOID],
};

static BY_KEY: Statement = Statement {
    sql: select_client!("expires_at > $2 AND subject = $3"),
    parameters: &[T::INT4OID, T::TIMESTAMPTZOID, T::TEXTOID],
};

/// The living client session with this id.
pub fn by_id(
    owner: &AsOwner,
    env_id: i32,
    session_id: &Uuid,
    now: Micros,
) -> Result<Option<ClientSession>> {
    let arguments = [
        bind(env_id),
        bind(timestamptz(now)),
        bind(pg_uuid(session_id)),
    ];
    Ok(BY_ID.read(owner, &arguments, read)?.into_iter().next())
}

/// The living client session with this user_identifier_key.
pub fn by_key(
    owner: &AsOwner,
    env_id: i32,
    key: &str,
    now: Micros,
) -> Result<Option<ClientSession>> {
    let arguments = [bind(env_id), bind(timestamptz(now)), bind(key)];
    Ok(BY_KEY.read(owner, &arguments, read)?.into_iter().next())
}

/// The session that holds this user_identifier_key, living or expired, locked.
pub fn lock_by_key(owner: &AsOwner, env_id: i32, key: &str) -> Result<Option<ClientSession>> {
    let arguments = [bind(env_id), bind(key)];
    Ok(LOCK_BY_KEY
        .write(owner, &arguments, read)?
        .into_iter()
        .next())
}

/// A list's filters; what is absent does not filter.
#[derive(Default)]
pub struct ClientFilter<'a> {
    /// The session with this id.
    pub session_id: Option<Uuid>,
    /// The session with this key.
    pub user_identifier_key: Option<&'a str>,
    /// Those that hold this webview.
    pub connect_webview_id: Option<Uuid>,
    /// Those that hold this identity.
    pub user_identity_id: Option<Uuid>,
    /// Only those without a key (`true`), only those with one (`false`).
    pub without_key: Option<bool>,
}

static LIST: Statement = Statement {
    sql: select_client!(
        "expires_at > $2 \
           AND ($3 IS NULL OR session_id = $3) AND ($4 IS NULL OR subject = $4) \
           AND ($5 IS NULL OR connect_webview_ids @> ARRAY[$5]) \
           AND ($6 IS NULL OR user_identity_ids @> ARRAY[$6]) \
           AND ($7 IS NULL OR (subject IS NULL) = $7) \
         ORDER BY created_at DESC, session_id LIMIT $8 OFFSET $9"
    ),
    parameters: &[
        T::INT4OID,
        T::TIMESTAMPTZOID,
        T::UUIDOID,
        T::TEXTOID,
        T::UUIDOID,
        T::UUIDOID,
        T::BOOLOID,
        T::INT8OID,
        T::INT8OID,
    ],
};

static COUNT: Statement = Statement {
    sql: "SELECT count(*) FROM dialstack.sessions \
           WHERE kind = 'client' AND env_id = $1 AND revoked_at IS NULL AND expires_at > $2 \
             AND ($3 IS NULL OR session_id = $3) AND ($4 IS NULL OR subject = $4) \
             AND ($5 IS NULL OR connect_webview_ids @> ARRAY[$5]) \
             AND ($6 IS NULL OR user_identity_ids @> ARRAY[$6]) \
             AND ($7 IS NULL OR (subject IS NULL) = $7)",
    parameters: &[
        T::INT4OID,
        T::TIMESTAMPTZOID,
        T::UUIDOID,
        T::TEXTOID,
        T::UUIDOID,
        T::UUIDOID,
        T::BOOLOID,
    ],
};

/// A page of living client sessions, newest first, and how many there are on all pages.
pub fn list(
    owner: &AsOwner,
    env_id: i32,
    filter: &ClientFilter<'_>,
    page: &crate::session::Page,
    now: Micros,
) -> Result<(Vec<ClientSession>, i64)> {
    let filters = [
        bind(env_id),
        bind(timestamptz(now)),
        bind(filter.session_id.as_ref().map(pg_uuid)),
        bind(filter.user_identifier_key),
        bind(filter.connect_webview_id.as_ref().map(pg_uuid)),
        bind(filter.user_identity_id.as_ref().map(pg_uuid)),
        bind(filter.without_key),
    ];
    let total = COUNT
        .read(owner, &filters, |row| row.required::<i64>(1))?
        .into_iter()
        .sum();
    let mut arguments = Vec::from(filters);
    arguments.extend([bind(page.limit), bind(page.offset)]);
    Ok((LIST.read(owner, &arguments, read)?, total))
}
