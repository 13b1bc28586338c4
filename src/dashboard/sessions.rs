//! Lists of sessions, and all about one.

use pgrx::datum::{Inet, TimestampWithTimeZone};

use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock::{self, timestamptz};
use crate::pg::datum::uuid::uuid;
use crate::pg::roles::AsOwner;
use crate::pg::settings::Setting;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::service::keys::key_ring;
use crate::service::setup::configuration;
use crate::service::{caller, required};
use crate::session::{Page, check_identifier};
use crate::tables::paging;
use crate::tables::{client_sessions, sessions};

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

/// A page of a definition's sessions in one environment, and how many there are on all pages.
///
/// # Errors
/// `LIST_FAILED` for bad arguments; `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`, `DEFINITION_NOT_FOUND`; those of
/// [`caller::narrow`].
pub fn list<R: FromRow>(
    [product, env, tag]: [Option<&str>; 3],
    identifier: Option<&str>,
    active_only: Option<bool>,
    [page, per_page]: [Option<i32>; 2],
    with_total: Option<bool>,
) -> Result<(Vec<R>, Option<i64>)> {
    let code = Code::ListFailed;
    let page = Page::new(page, per_page).coded(code)?;
    let product = required(product, "product", code)?;
    let env = required(env, "env", code)?;
    let tag = required(tag, "tag", code)?;
    let active_only = required(active_only, "active_only", code)?;
    let with_total = required(with_total, "with_total", code)?;
    check_identifier("identifier", identifier).coded(code)?;
    let env = configuration::env(product, env)?;
    caller::narrow(env.env_id)?;
    let definition_id = configuration::definition(&env.product_id, tag)?.definition_id;
    let mut arguments =
        vec![bind(timestamptz(clock::now())), bind(env.env_id), bind(definition_id), bind(active_only)];
    arguments.extend(identifier.map(bind));
    let list = match identifier {
        Some(_) => [&PAGE_OF_USER, &TOTAL_OF_USER],
        None => [&PAGE_OF_ALL, &TOTAL_OF_ALL],
    };
    let _plain = Setting::no_jit();
    paging::read(&AsOwner::enter()?, list, arguments, &page, with_total, R::from_row)
}

/// The columns of `session_info`.
pub type Info = (
    pgrx::Uuid,
    Option<String>,
    TimestampWithTimeZone,
    TimestampWithTimeZone,
    bool,
    TimestampWithTimeZone,
    Option<Inet>,
    Option<String>,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    i32,
    Option<TimestampWithTimeZone>,
    Option<String>,
    Option<Vec<String>>,
);

/// Client sessions have neither a user nor scopes, and are never refreshed.
static INFO: Statement = Statement::new(concat!(
    "SELECT ",
    columns!(),
    ", s.kind, p.product, e.env, d.tag, s.generation, s.revoked_at, s.revoke_reason, s.scopes \
           FROM (SELECT session_id, env_id, definition_id, subject, identifier, created_at, expires_at, \
                        last_seen_at, ip, user_agent, generation, revoked_at, revoke_reason, scopes, \
                        CASE WHEN definition_id IS NULL THEN 'account' ELSE 'user' END AS kind \
                   FROM dialstack.sessions \
                  UNION ALL \
                 SELECT session_id, env_id, NULL, NULL, NULL, created_at, expires_at, created_at, NULL, \
                        NULL, 0, revoked_at, revoke_reason, NULL, 'client' \
                   FROM dialstack.client_sessions) s \
           LEFT JOIN (dialstack.environments e JOIN dialstack.products p USING (product_id)) \
                  USING (env_id) \
           LEFT JOIN (SELECT definition_id, tag FROM dialstack.session_definitions) d \
                  USING (definition_id) \
          WHERE session_id = $2"
));

/// One session of any family, dead or alive.
///
/// # Errors
/// `SESSION_NOT_FOUND`; `LIST_FAILED` for NULL; those of [`caller::narrow`].
pub fn info(session_id: Option<pgrx::Uuid>) -> Result<Vec<Info>> {
    let session_id = required(session_id, "session_id", Code::ListFailed)?;
    let not_found = || {
        Error::new(Code::SessionNotFound, "there is no session with that id")
            .hint("It may have been purged, or never existed; dialstack.session_list() shows what there is.")
    };
    let id = uuid(session_id);
    let client = client_sessions::by_id(&id)?;
    let of_client = client.as_ref().map(|row| row.env_id);
    let env_id = of_client.or(sessions::by_id(&id)?.map(|row| row.env_id)).ok_or_else(not_found)?;
    caller::narrow(env_id)?;
    let arguments = [bind(timestamptz(clock::now())), bind(session_id)];
    let mut rows: Vec<Info> = INFO.read(&AsOwner::enter()?, &arguments, FromRow::from_row)?;
    let (_, identifier, ..) = rows.first_mut().ok_or_else(not_found)?;
    if let Some(sealed) = client.and_then(|row| row.sealed_key) {
        *identifier = key_ring::open_identifier_key(env_id, &sealed)?.map(|key| key.to_string());
    }
    Ok(rows)
}
