//! Listing sessions.

use pgrx::datum::{Inet, TimestampWithTimeZone};
use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::{Columns, Statement, bind};
use crate::session::Page;
use crate::tables::paging::List;

/// A session as lists show it.
pub struct Listed {
    pub session_id: pgrx::Uuid,
    /// Identifier of the user, or account.
    pub identifier: Option<String>,
    pub start_at: TimestampWithTimeZone,
    /// When it ends, or ended.
    pub end_at: TimestampWithTimeZone,
    pub active: bool,
    /// Creation or last refresh.
    pub last_seen_at: TimestampWithTimeZone,
    pub ip: Option<Inet>,
    pub user_agent: Option<String>,
}

fn listed(row: &Columns<'_, '_>) -> Result<Listed> {
    Ok(Listed {
        session_id: row.required(1)?,
        identifier: row.get(2)?,
        start_at: row.required(3)?,
        end_at: row.required(4)?,
        active: row.required(5)?,
        last_seen_at: row.required(6)?,
        ip: row.get(7)?,
        user_agent: row.get(8)?,
    })
}

macro_rules! columns {
    () => {
        "s.session_id, coalesce(s.identifier, s.subject), s.created_at, \
         least(s.expires_at, coalesce(s.revoked_at, s.expires_at)), \
         s.revoked_at IS NULL AND s.expires_at > $1, s.last_seen_at, s.ip, s.user_agent"
    };
}

macro_rules! of_definition {
    () => {
        "FROM dialstack.sessions s \
          WHERE env_id = $2 AND definition_id = $3 AND (NOT $4 OR (revoked_at IS NULL AND expires_at > $1))"
    };
}

static PAGE_OF_USER: Statement = Statement::new(concat!(
    "SELECT ",
    columns!(),
    " ",
    of_definition!(),
    " AND subject = $5 ORDER BY created_at DESC, session_id LIMIT $6 OFFSET $7"
));

static TOTAL_OF_USER: Statement =
    Statement::new(concat!("SELECT count(*) ", of_definition!(), " AND subject = $5"));

/// In the order of the index, so that a page costs what it shows: by identifier, newest last.
static PAGE_OF_ALL: Statement = Statement::new(concat!(
    "SELECT ",
    columns!(),
    " ",
    of_definition!(),
    " ORDER BY subject, created_at, session_id LIMIT $5 OFFSET $6"
));

static TOTAL_OF_ALL: Statement = Statement::new(concat!("SELECT count(*) ", of_definition!()));

/// What to list.
pub struct Filter<'a> {
    pub env_id: i32,
    pub definition_id: i32,
    /// One user's only.
    pub identifier: Option<&'a str>,
    /// Living ones only.
    pub active_only: bool,
}

/// A page of sessions, of one user the newest first, of all by identifier; and how many there are if that is asked for.
pub fn list(filter: &Filter<'_>, page: &Page, with_total: bool) -> Result<(Vec<Listed>, Option<i64>)> {
    let mut arguments = vec![
        bind(timestamptz(clock::now())),
        bind(filter.env_id),
        bind(filter.definition_id),
        bind(filter.active_only),
    ];
    arguments.extend(filter.identifier.map(bind));
    let list = match filter.identifier {
        Some(_) => List { page: &PAGE_OF_USER, total: &TOTAL_OF_USER },
        None => List { page: &PAGE_OF_ALL, total: &TOTAL_OF_ALL },
    };
    let _plain = Setting::no_jit();
    list.read(&AsOwner::enter()?, arguments, page, with_total, listed)
}

/// All that `session_info` shows.
pub struct Info {
    /// What lists show.
    pub listed: Listed,
    /// `user`, `account` or `client`.
    pub kind: String,
    /// Its product; gone once the environment is deleted.
    pub product: Option<String>,
    /// Its environment; gone once it is deleted.
    pub env: Option<String>,
    /// Its tag; user sessions only.
    pub tag: Option<String>,
    /// How often the refresh token has rotated.
    pub generation: i32,
    pub revoked_at: Option<TimestampWithTimeZone>,
    pub revoke_reason: Option<String>,
    pub scopes: Option<Vec<String>>,
    pub env_id: i32,
    /// Its user_identifier_key, encrypted; client sessions only.
    pub sealed_key: Option<Vec<u8>>,
}

/// Client sessions have neither a user nor scopes, and are never refreshed.
static INFO: Statement = Statement::new(concat!(
    "SELECT ",
    columns!(),
    ", s.kind, p.product, e.env, d.tag, s.generation, s.revoked_at, s.revoke_reason, s.scopes, \
           env_id, s.sealed_key \
           FROM (SELECT session_id, env_id, definition_id, subject, identifier, created_at, expires_at, \
                        last_seen_at, ip, user_agent, generation, revoked_at, revoke_reason, scopes, \
                        CASE WHEN definition_id IS NULL THEN 'account' ELSE 'user' END AS kind, \
                        NULL::bytea AS sealed_key \
                   FROM dialstack.sessions \
                  UNION ALL \
                 SELECT session_id, env_id, NULL, NULL, NULL, created_at, expires_at, created_at, NULL, \
                        NULL, 0, revoked_at, revoke_reason, NULL, 'client', sealed_key \
                   FROM dialstack.client_sessions) s \
           LEFT JOIN (dialstack.environments e JOIN dialstack.products p USING (product_id)) \
                  USING (env_id) \
           LEFT JOIN (SELECT definition_id, tag FROM dialstack.session_definitions) d \
                  USING (definition_id) \
          WHERE session_id = $2"
));

/// One session of any family, dead or alive.
pub fn info(session_id: &Uuid, now: Micros) -> Result<Option<Info>> {
    let owner = AsOwner::enter()?;
    let arguments = [bind(timestamptz(now)), bind(pg_uuid(session_id))];
    let rows = INFO.read(&owner, &arguments, |row| {
        Ok(Info {
            listed: listed(row)?,
            kind: row.required(9)?,
            product: row.get(10)?,
            env: row.get(11)?,
            tag: row.get(12)?,
            generation: row.required(13)?,
            revoked_at: row.get(14)?,
            revoke_reason: row.get(15)?,
            scopes: row.get(16)?,
            env_id: row.required(17)?,
            sealed_key: row.get(18)?,
        })
    })?;
    Ok(rows.into_iter().next())
}
