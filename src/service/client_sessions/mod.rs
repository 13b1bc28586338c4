//! Client sessions: a token that reaches only what a user has connected.

mod arguments;
mod create;
mod scene;

use std::collections::HashMap;

use pgrx::datum::TimestampWithTimeZone;
use uuid::Uuid;

pub use arguments::Ids;
use arguments::{check_size, grants};
pub use create::{IfThere, Request};
pub use scene::Place;
use scene::{Scene, conflict, find, find_for_caller, gone, not_found, token};

use crate::error::{Code, Coded, Error, Result};
use crate::pg::datum::uuid::{pg_uuid, uuid};
use crate::pg::roles::AsOwner;
use crate::rls::device_count;
use crate::service::required;
use crate::service::revocations::{self, Which};
use crate::session::Page;
use crate::tables::activity::Origin;
use crate::tables::client_session_writes;
use crate::tables::client_sessions::{self as stored, ClientFilter, ClientSession};
use crate::tables::sessions::{self, change};

/// A client session as its functions return it.
pub struct ClientRow {
    pub workspace_id: pgrx::Uuid,
    pub client_session_id: pgrx::Uuid,
    pub token: String,
    pub user_identifier_key: Option<String>,
    pub created_at: TimestampWithTimeZone,
    pub expires_at: TimestampWithTimeZone,
    pub device_count: i64,
    pub connected_account_ids: Vec<pgrx::Uuid>,
    pub third_party_account_ids: Vec<pgrx::Uuid>,
    pub connect_webview_ids: Vec<pgrx::Uuid>,
    pub user_identity_ids: Vec<pgrx::Uuid>,
}

/// The rows of sessions of one environment. Their devices are counted by one query a table, not one a session.
fn rows(scene: &Scene, sessions: Vec<ClientSession>) -> Result<Vec<ClientRow>> {
    let mut accounts: Vec<Uuid> = sessions
        .iter()
        .flat_map(|s| s.grants.connected_account_ids.iter().copied())
        .collect();
    accounts.sort_unstable();
    accounts.dedup();
    let devices = device_count::by_account(&AsOwner::enter()?, &scene.env, &accounts)?;
    sessions
        .into_iter()
        .map(|session| one(scene, session, &devices))
        .collect()
}

fn one(scene: &Scene, session: ClientSession, devices: &HashMap<Uuid, i64>) -> Result<ClientRow> {
    let token = token(scene, &session)?.ok_or_else(gone)?;
    let count = |id: &Uuid| devices.get(id).copied().unwrap_or_default();
    let pg = |ids: &[Uuid]| ids.iter().map(pg_uuid).collect::<Vec<_>>();
    let accounts = pg(&session.grants.connected_account_ids);
    Ok(ClientRow {
        workspace_id: pgrx::Uuid::from_bytes(scene.env.product_id),
        client_session_id: pg_uuid(&session.session_id),
        token,
        user_identifier_key: session.user_identifier_key,
        created_at: session.created_at,
        expires_at: session.expires_at,
        device_count: session.grants.connected_account_ids.iter().map(count).sum(),
        connected_account_ids: accounts.clone(),
        third_party_account_ids: accounts,
        connect_webview_ids: pg(&session.grants.connect_webview_ids),
        user_identity_ids: pg(&session.grants.user_identity_ids),
    })
}

/// The living session of the key, or a new one.
///
/// # Errors
/// `CREATE_FAILED` for bad arguments; `PUBLISHABLE_KEY_MUST_CREATE_EMPTY_SESSION` and `PERMISSION_DENIED` for what
/// publishable keys may not do; `CONFLICT`; those of [`Scene::new`].
pub fn create(place: Place<'_>, request: Request<'_>, if_there: IfThere) -> Result<Vec<ClientRow>> {
    let scene = Scene::new(place, Code::CreateFailed)?;
    let session = create::make(&scene, request, if_there)?;
    rows(&scene, vec![session])
}

/// One session, by id or by key; without both that of the presented session token.
///
/// # Errors
/// `SESSION_NOT_FOUND`; `VERIFY_FAILED` without id, key and a good token; those of [`Scene::full`].
pub fn get(place: Place<'_>, id: Option<pgrx::Uuid>, key: Option<&str>) -> Result<Vec<ClientRow>> {
    let (scene, session) = find_for_caller(place, id.map(uuid), key)?;
    rows(&scene, vec![session])
}

/// The arguments of `client_session_list`.
pub struct List<'a> {
    pub place: Place<'a>,
    pub filter: ClientFilter<'a>,
    pub page: Option<i32>,
    pub per_page: Option<i32>,
}

/// A page of an environment's living client sessions, newest first, and how many there are on all pages.
///
/// # Errors
/// `LIST_FAILED` for bad arguments; those of [`Scene::full`].
pub fn list(call: &List<'_>) -> Result<(Vec<ClientRow>, Option<i64>)> {
    let code = Code::ListFailed;
    let page = Page::new(call.page, call.per_page).coded(code)?;
    let scene = Scene::full(call.place, code)?;
    let owner = AsOwner::enter()?;
    let (sessions, total) = stored::list(&owner, scene.env.env_id, &call.filter, &page, scene.now)?;
    // One whose key was revoked while it was created must not keep the others from being listed.
    let mut known = Vec::with_capacity(sessions.len());
    for session in sessions {
        if token(&scene, &session)?.is_some() {
            known.push(session);
        }
    }
    Ok((rows(&scene, known)?, Some(total)))
}

/// Adds to what a session reaches, from the next statement on.
///
/// # Errors
/// `CREATE_FAILED` where nothing is granted, or too much; `SESSION_NOT_FOUND`; those of [`Scene::full`].
pub fn grant_access(
    place: Place<'_>,
    id: Option<pgrx::Uuid>,
    key: Option<&str>,
    [accounts, webviews, identities]: [Ids; 3],
) -> Result<Vec<ClientRow>> {
    let id = id.map(uuid);
    let grants = &grants(accounts, webviews, identities)?;
    let code = Code::CreateFailed;
    let scene = Scene::full(place, code)?;
    if grants.is_empty() {
        return Err(Error::new(code, "nothing is granted")
            .hint("Give connected_account_ids, connect_webview_ids or user_identity_ids."));
    }
    let owner = AsOwner::enter()?;
    change::lock_table()?;
    let id = find(&owner, &scene, id, key, code)?.session_id;
    change::lock(&owner, &id)?;
    let before = find(&owner, &scene, Some(id), None, code)?;
    for (name, old, new) in [
        (
            "connected_account_ids",
            &before.grants.connected_account_ids,
            &grants.connected_account_ids,
        ),
        (
            "connect_webview_ids",
            &before.grants.connect_webview_ids,
            &grants.connect_webview_ids,
        ),
        (
            "user_identity_ids",
            &before.grants.user_identity_ids,
            &grants.user_identity_ids,
        ),
    ] {
        let added = new.iter().filter(|id| !old.contains(id)).count();
        check_size(old.len() + added, name)?;
    }
    if !client_session_writes::grant(&owner, &id, grants, scene.now, scene.caller.api_key_id())? {
        return Err(gone());
    }
    let session = find(&owner, &scene, Some(id), None, code)?;
    rows(&scene, vec![session])
}

/// The environment's client session with this id exists, dead or alive.
fn known(scene: &Scene, id: &Uuid) -> Result<()> {
    let row = sessions::by_id(id)?;
    let known = row.is_some_and(|row| row.kind == "client" && row.env_id == scene.env.env_id);
    if known { Ok(()) } else { Err(not_found()) }
}

/// Revokes a session: its token is dead, its row stays. Idempotent.
///
/// # Errors
/// `SESSION_NOT_FOUND`; `REVOKE_FAILED` for NULL; `CONFLICT`; those of [`Scene::full`].
pub fn revoke(place: Place<'_>, id: Option<pgrx::Uuid>) -> Result<()> {
    let session_id = uuid(required(id, "client_session_id", Code::RevokeFailed)?);
    let scene = Scene::full(place, Code::RevokeFailed)?;
    known(&scene, &session_id)?;
    let which = Which::Opaque {
        session_id,
        env_id: scene.env.env_id,
    };
    let owner = AsOwner::enter()?;
    let cause = revocations::REVOKED.by(Origin::of_key(scene.caller.api_key_id()));
    let revoked = revocations::revoke(&owner, &which, cause, scene.now)?;
    let row = sessions::by_id(&session_id)?;
    if revoked == 0 && row.is_some_and(|row| row.revoke_reason.is_none()) {
        return Err(conflict());
    }
    Ok(())
}

/// Deletes a session, token and row.
///
/// # Errors
/// `SESSION_NOT_FOUND`; `REVOKE_FAILED` for NULL; those of [`Scene::full`].
pub fn delete(place: Place<'_>, id: Option<pgrx::Uuid>) -> Result<()> {
    let session_id = uuid(required(id, "client_session_id", Code::RevokeFailed)?);
    let scene = Scene::full(place, Code::RevokeFailed)?;
    known(&scene, &session_id)?;
    let (env_id, key) = (scene.env.env_id, scene.caller.api_key_id());
    if client_session_writes::delete(&AsOwner::enter()?, &session_id, env_id, scene.now, key)? {
        return Ok(());
    }
    Err(gone())
}
