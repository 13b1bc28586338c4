//! Client sessions: a token that reaches only what a user has connected.

use std::collections::HashMap;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use uuid::Uuid;

use super::client_arguments::{Ids, grants};
use super::client_requests::{IfThere, Request, grant, make};
use super::client_scene::{Place, Scene, conflict, get, gone, not_found, token};
use super::function::{Result, functions};
use super::{pg_uuid, required, uuid};
use crate::error::{self, Code, Coded};
use crate::pg::roles::AsOwner;
use crate::rls::device_count;
use crate::service::revocations::{self, Which};
use crate::session::Page;
use crate::tables::activity::Origin;
use crate::tables::client_session_writes;
use crate::tables::client_sessions::{self, ClientFilter, ClientSession};

/// A client session as its functions return it.
struct ClientRow {
    workspace_id: pgrx::Uuid,
    client_session_id: pgrx::Uuid,
    token: String,
    user_identifier_key: Option<String>,
    created_at: TimestampWithTimeZone,
    expires_at: TimestampWithTimeZone,
    device_count: i64,
    connected_account_ids: Vec<pgrx::Uuid>,
    third_party_account_ids: Vec<pgrx::Uuid>,
    connect_webview_ids: Vec<pgrx::Uuid>,
    user_identity_ids: Vec<pgrx::Uuid>,
}

/// The rows of sessions of one environment; devices are counted for all at once.
fn rows((scene, sessions): (Scene, Vec<ClientSession>)) -> error::Result<Vec<ClientRow>> {
    let mut accounts: Vec<Uuid> = sessions
        .iter()
        .flat_map(|s| s.grants.connected_account_ids.iter().copied())
        .collect();
    accounts.sort_unstable();
    accounts.dedup();
    let devices = device_count::by_account(&AsOwner::enter()?, &scene.env, &accounts)?;
    sessions
        .into_iter()
        .map(|session| one(&scene, session, &devices))
        .collect()
}

fn one(
    scene: &Scene,
    session: ClientSession,
    devices: &HashMap<Uuid, i64>,
) -> error::Result<ClientRow> {
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

functions! { FUNCTIONS;
    rows {
        workspace_id: pgrx::Uuid,
        client_session_id: pgrx::Uuid,
        token: String,
        user_identifier_key: Option<String>,
        created_at: TimestampWithTimeZone,
        expires_at: TimestampWithTimeZone,
        device_count: i64,
        connected_account_ids: Vec<pgrx::Uuid>,
        third_party_account_ids: Vec<pgrx::Uuid>,
        connect_webview_ids: Vec<pgrx::Uuid>,
        user_identity_ids: Vec<pgrx::Uuid>,
    }

    /// Creates a client session and returns its token; a living one with the same user_identifier_key is returned
    /// unmodified.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_create(
        user_identifier_key: default!(Option<&str>, "NULL"),
        connected_account_ids: default!(Ids<'_>, "NULL"),
        connect_webview_ids: default!(Ids<'_>, "NULL"),
        user_identity_ids: default!(Ids<'_>, "NULL"),
        expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => rows shared {
        let request = Request {
            key: user_identifier_key,
            accounts: connected_account_ids,
            webviews: connect_webview_ids,
            identities: user_identity_ids,
            expires_at,
        };
        rows(make(Place { product, env }, request, IfThere::AsItIs)?)?
    }

    /// As client_session_create, but an expiry that is given replaces that of a living session.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_get_or_create(
        user_identifier_key: default!(Option<&str>, "NULL"),
        connected_account_ids: default!(Ids<'_>, "NULL"),
        connect_webview_ids: default!(Ids<'_>, "NULL"),
        user_identity_ids: default!(Ids<'_>, "NULL"),
        expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => rows shared {
        let request = Request {
            key: user_identifier_key,
            accounts: connected_account_ids,
            webviews: connect_webview_ids,
            identities: user_identity_ids,
            expires_at,
        };
        rows(make(Place { product, env }, request, IfThere::MoveExpiry)?)?
    }

    /// One client session, with the count of its devices; without id and key the caller's own.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_get(
        client_session_id: default!(Option<pgrx::Uuid>, "NULL"),
        user_identifier_key: default!(Option<&str>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => rows shared {
        let id = client_session_id.map(uuid);
        rows(get(Place { product, env }, id, user_identifier_key)?)?
    }

    /// A page of living client sessions, newest first.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_list(
        client_session_id: default!(Option<pgrx::Uuid>, "NULL"),
        user_identifier_key: default!(Option<&str>, "NULL"),
        connect_webview_id: default!(Option<pgrx::Uuid>, "NULL"),
        user_identity_id: default!(Option<pgrx::Uuid>, "NULL"),
        without_user_identifier_key: default!(Option<bool>, "NULL"),
        page: default!(Option<i32>, "1"),
        per_page: default!(Option<i32>, "10"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => page shared {
        let filter = ClientFilter {
            session_id: client_session_id.map(uuid),
            user_identifier_key,
            connect_webview_id: connect_webview_id.map(uuid),
            user_identity_id: user_identity_id.map(uuid),
            without_key: without_user_identifier_key.filter(|without| *without),
        };
        list(&ListCall { place: Place { product, env }, filter, page, per_page })?
    }

    /// Adds to what a client session reaches, from the next statement on; never takes away.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_grant_access(
        client_session_id: default!(Option<pgrx::Uuid>, "NULL"),
        user_identifier_key: default!(Option<&str>, "NULL"),
        connected_account_ids: default!(Ids<'_>, "NULL"),
        connect_webview_ids: default!(Ids<'_>, "NULL"),
        user_identity_ids: default!(Ids<'_>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) => rows shared {
        let grants = grants(connected_account_ids, connect_webview_ids, user_identity_ids)?;
        let id = client_session_id.map(uuid);
        rows(grant(Place { product, env }, id, user_identifier_key, &grants)?)?
    }

    /// Revokes a client session: its token is dead, its row stays.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_revoke(
        client_session_id: Option<pgrx::Uuid>,
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) -> Result<()> {
        Ok(revoke(Place { product, env }, client_session_id)?)
    }

    /// Deletes a client session, token and row.
    #[level(Client)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn client_session_delete(
        client_session_id: Option<pgrx::Uuid>,
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) -> Result<()> {
        Ok(delete(Place { product, env }, client_session_id)?)
    }
}

struct ListCall<'a> {
    place: Place<'a>,
    filter: ClientFilter<'a>,
    page: Option<i32>,
    per_page: Option<i32>,
}

fn list(call: &ListCall<'_>) -> error::Result<(Vec<ClientRow>, Option<i64>)> {
    let code = Code::ListFailed;
    let page = Page::new(call.page, call.per_page).coded(code)?;
    let scene = Scene::full(call.place, code)?;
    let owner = AsOwner::enter()?;
    let (sessions, total) =
        client_sessions::list(&owner, scene.env.env_id, &call.filter, &page, scene.now)?;
    // One whose key was revoked while it was created must not keep the others from being listed.
    let mut known = Vec::with_capacity(sessions.len());
    for session in sessions {
        if token(&scene, &session)?.is_some() {
            known.push(session);
        }
    }
    Ok((rows((scene, known))?, Some(total)))
}

/// The environment's client session with this id exists, dead or alive.
fn known(scene: &Scene, id: &Uuid) -> error::Result<()> {
    let row = crate::tables::sessions::by_id(id)?;
    let known = row.is_some_and(|row| row.kind == "client" && row.env_id == scene.env.env_id);
    if known { Ok(()) } else { Err(not_found()) }
}

fn revoke(place: Place<'_>, id: Option<pgrx::Uuid>) -> error::Result<()> {
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
    let row = crate::tables::sessions::by_id(&session_id)?;
    if revoked == 0 && row.is_some_and(|row| row.revoke_reason.is_none()) {
        return Err(conflict());
    }
    Ok(())
}

fn delete(place: Place<'_>, id: Option<pgrx::Uuid>) -> error::Result<()> {
    let session_id = uuid(required(id, "client_session_id", Code::RevokeFailed)?);
    let scene = Scene::full(place, Code::RevokeFailed)?;
    known(&scene, &session_id)?;
    let (env_id, key) = (scene.env.env_id, scene.caller.api_key_id());
    if client_session_writes::delete(&AsOwner::enter()?, &session_id, env_id, scene.now, key)? {
        return Ok(());
    }
    Err(gone())
}
