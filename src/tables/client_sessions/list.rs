//! Reading living client sessions.

use uuid::Uuid;

use crate::error::Result;
use crate::pg::clock::{Micros, timestamptz};
use crate::pg::datum::uuid::{pg_uuid, uuid};
use crate::pg::roles::AsOwner;
use crate::pg::scan::lock_for_writing;
use crate::pg::statements::{Columns, Statement, bind};
use crate::session::Page;
use crate::tables::client_sessions::ClientSessions;
use crate::tables::client_sessions::change::{ClientSession, Grants};
use crate::tables::paging;

fn read(row: &Columns<'_, '_>) -> Result<ClientSession> {
    Ok(ClientSession {
        session_id: uuid(row.required(1)?),
        sealed_key: row.get(2)?,
        created_at: row.required(3)?,
        expires_at: row.required(4)?,
        key_number: row.required::<i32>(5)?.unsigned_abs(),
        grants: Grants {
            connected_account_ids: row.required(6)?,
            connect_webview_ids: row.required(7)?,
            user_identity_ids: row.required(8)?,
        },
        api_key_id: row.get(9)?.map(uuid),
    })
}

macro_rules! select_client {
    ($($rest:expr),*) => {
        concat!(
            "SELECT session_id, sealed_key, created_at, expires_at, key_number, \
                    connected_account_ids, connect_webview_ids, user_identity_ids, api_key_id ",
            unrevoked!(),
            $($rest),*
        )
    };
}

/// Where `$1` is the environment.
macro_rules! unrevoked {
    () => {
        " FROM dialstack.client_sessions \
           WHERE env_id = $1 AND revoked_at IS NULL AND "
    };
}

/// Where `$2` is the time, and the rest what a [`Filter`] says.
macro_rules! filtered {
    () => {
        "expires_at > $2 \
         AND ($3 IS NULL OR session_id = $3) AND ($4 IS NULL OR sealed_key = ANY ($4)) \
         AND ($5 IS NULL OR connect_webview_ids @> ARRAY[$5]) \
         AND ($6 IS NULL OR user_identity_ids @> ARRAY[$6]) \
         AND (NOT $7 OR sealed_key IS NULL)"
    };
}

static BY_ID: Statement = Statement::new(select_client!("expires_at > $2 AND session_id = $3"));

/// Of several the oldest: while the seal key is being rotated, two transactions may store one user_identifier_key in
/// two forms.
macro_rules! oldest {
    () => {
        " ORDER BY created_at, session_id LIMIT 1"
    };
}

/// Also an expired one: it holds its key until it is revoked.
static LOCK_BY_KEY: Statement = Statement::new(select_client!(
    "sealed_key IS NOT NULL AND sealed_key = ANY ($2)",
    oldest!(),
    " FOR UPDATE"
));

static BY_KEY: Statement = Statement::new(select_client!(
    "expires_at > $2 AND sealed_key IS NOT NULL AND sealed_key = ANY ($3)",
    oldest!()
));

/// The living client session with this id.
pub fn by_id(owner: &AsOwner, env_id: i32, session_id: &Uuid, now: Micros) -> Result<Option<ClientSession>> {
    let arguments = [bind(env_id), bind(timestamptz(now)), bind(pg_uuid(session_id))];
    Ok(BY_ID.read(owner, &arguments, read)?.into_iter().next())
}

/// The living client session whose user_identifier_key has one of these forms.
pub fn by_key(
    owner: &AsOwner,
    env_id: i32,
    key_forms: Vec<Vec<u8>>,
    now: Micros,
) -> Result<Option<ClientSession>> {
    let arguments = [bind(env_id), bind(timestamptz(now)), bind(key_forms)];
    Ok(BY_KEY.read(owner, &arguments, read)?.into_iter().next())
}

/// The session that holds a user_identifier_key with one of these forms, living or expired, locked.
pub fn lock_by_key(owner: &AsOwner, env_id: i32, key_forms: Vec<Vec<u8>>) -> Result<Option<ClientSession>> {
    lock_for_writing::<ClientSessions>()?;
    let arguments = [bind(env_id), bind(key_forms)];
    Ok(LOCK_BY_KEY.write(owner, &arguments, read)?.into_iter().next())
}

/// A list's filters; what is absent does not filter.
#[derive(Default)]
pub struct Filter {
    pub session_id: Option<Uuid>,
    /// The session whose key has one of these forms.
    pub key_forms: Option<Vec<Vec<u8>>>,
    /// Those that hold this webview.
    pub connect_webview_id: Option<Uuid>,
    /// Those that hold this identity.
    pub user_identity_id: Option<Uuid>,
    /// Only those without a key.
    pub without_key: bool,
}

static PAGE: Statement =
    Statement::new(select_client!(filtered!(), " ORDER BY created_at DESC, session_id LIMIT $8 OFFSET $9"));

static TOTAL: Statement = Statement::new(concat!("SELECT count(*) ", unrevoked!(), filtered!()));

/// A page of living client sessions, newest first, and how many there are on all pages.
pub fn list(
    owner: &AsOwner,
    env_id: i32,
    filter: Filter,
    page: &Page,
    now: Micros,
) -> Result<(Vec<ClientSession>, Option<i64>)> {
    let filters = vec![
        bind(env_id),
        bind(timestamptz(now)),
        bind(filter.session_id.as_ref().map(pg_uuid)),
        bind(filter.key_forms),
        bind(filter.connect_webview_id.as_ref().map(pg_uuid)),
        bind(filter.user_identity_id.as_ref().map(pg_uuid)),
        bind(filter.without_key),
    ];
    paging::read(owner, [&PAGE, &TOTAL], filters, page, true, read)
}
