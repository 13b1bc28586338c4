//! Client sessions: a token that reaches only what a user has connected.

use std::collections::HashMap;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use uuid::Uuid;

use super::client_arguments::{Ids, grants};
use super::client_requests::{IfThere, Request, grant, make};
use super::client_scene::{Place, Scene, conflict, get, gone, not_found, token};
use super::{pg_uuid, required, uuid};
use crate::error::{self, Code, Coded};
use crate::pg::roles::AsOwner;
use crate::rls::device_count;
use crate::service::revocations::{self, Which};
use crate::session::Page;
use crate::tables::activity::Origin;
use crate::tables::client_session_writes;
use crate::tables::client_sessions::{self, ClientFilter, ClientSession};

type ClientColumns = (
    pgrx::Uuid,
    pgrx::Uuid,
    String,
    Option<String>,
    TimestampWithTimeZone,
    TimestampWithTimeZone,
    i64,
    Vec<pgrx::Uuid>,
    Vec<pgrx::Uuid>,
    Vec<pgrx::Uuid>,
    Vec<pgrx::Uuid>,
);

/// The columns of sessions of one environment; devices are counted for all at once.
fn columns(scene: &Scene, sessions: Vec<ClientSession>) -> error::Result<Vec<ClientColumns>> {
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

fn one(
    scene: &Scene,
    session: ClientSession,
    devices: &HashMap<Uuid, i64>,
) -> error::Result<ClientColumns> {
    let token = token(scene, &session)?.ok_or_else(gone)?;
    let count = |id: &Uuid| devices.get(id).copied().unwrap_or_default();
    let pg = |ids: &[Uuid]| ids.iter().map(pg_uuid).collect::<Vec<_>>();
    let accounts = pg(&session.grants.connected_account_ids);
    Ok((
        pgrx::Uuid::from_bytes(scene.env.product_id),
        pg_uuid(&session.session_id),
        token,
        session.user_identifier_key,
        session.created_at,
        session.expires_at,
        session.grants.connected_account_ids.iter().map(count).sum(),
        accounts.clone(),
        accounts,
        pg(&session.grants.connect_webview_ids),
        pg(&session.grants.user_identity_ids),
    ))
}

/// Declares the functions that return client sessions, all with the same columns.
macro_rules! client_functions {
    ($(
        $(#[$meta:meta])*
        fn $name:ident($($arguments:tt)*) = $found:expr;
    )*) => { $(
        $(#[$meta])*
        #[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
        fn $name($($arguments)*) -> Result<
            TableIterator<
                'static,
                (
                    name!(workspace_id, pgrx::Uuid),
                    name!(client_session_id, pgrx::Uuid),
                    name!(token, String),
                    name!(user_identifier_key, Option<String>),
                    name!(created_at, TimestampWithTimeZone),
                    name!(expires_at, TimestampWithTimeZone),
                    name!(device_count, i64),
                    name!(connected_account_ids, Vec<pgrx::Uuid>),
                    name!(third_party_account_ids, Vec<pgrx::Uuid>),
                    name!(connect_webview_ids, Vec<pgrx::Uuid>),
                    name!(user_identity_ids, Vec<pgrx::Uuid>),
                ),
            >,
            ErrorReport,
        > {
            let (scene, sessions): (Scene, Vec<ClientSession>) = $found;
            Ok(TableIterator::new(columns(&scene, sessions)?))
        }
    )* };
}

client_functions! {
    /// Creates a client session; a living one with the same user_identifier_key is returned as it is.
    fn client_session_create(
        user_identifier_key: default!(Option<&str>, "NULL"),
        connected_account_ids: default!(Ids, "NULL"),
        connect_webview_ids: default!(Ids, "NULL"),
        user_identity_ids: default!(Ids, "NULL"),
        expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) = make(
        Place { product, env },
        Request {
            key: user_identifier_key,
            accounts: connected_account_ids,
            webviews: connect_webview_ids,
            identities: user_identity_ids,
            expires_at,
        },
        IfThere::AsItIs,
    )?;

    /// The same, but an expiry that is given replaces the old one.
    fn client_session_get_or_create(
        user_identifier_key: default!(Option<&str>, "NULL"),
        connected_account_ids: default!(Ids, "NULL"),
        connect_webview_ids: default!(Ids, "NULL"),
        user_identity_ids: default!(Ids, "NULL"),
        expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) = make(
        Place { product, env },
        Request {
            key: user_identifier_key,
            accounts: connected_account_ids,
            webviews: connect_webview_ids,
            identities: user_identity_ids,
            expires_at,
        },
        IfThere::MoveExpiry,
    )?;

    /// One client session; with neither id nor key that of the presented session token.
    fn client_session_get(
        client_session_id: default!(Option<pgrx::Uuid>, "NULL"),
        user_identifier_key: default!(Option<&str>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) = get(Place { product, env }, client_session_id.map(uuid), user_identifier_key)?;

    /// Adds to what a client session reaches, effective at the next statement; never removes.
    fn client_session_grant_access(
        client_session_id: default!(Option<pgrx::Uuid>, "NULL"),
        user_identifier_key: default!(Option<&str>, "NULL"),
        connected_account_ids: default!(Ids, "NULL"),
        connect_webview_ids: default!(Ids, "NULL"),
        user_identity_ids: default!(Ids, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) = {
        let grants = grants(connected_account_ids, connect_webview_ids, user_identity_ids)?;
        grant(
            Place { product, env },
            client_session_id.map(uuid),
            user_identifier_key,
            &grants,
        )?
    };
}

struct ListCall<'a> {
    place: Place<'a>,
    filter: ClientFilter<'a>,
    page: Option<i32>,
    per_page: Option<i32>,
}

fn list(call: &ListCall<'_>) -> error::Result<(Vec<ClientColumns>, i64)> {
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
    Ok((columns(&scene, known)?, total))
}

/// A page of living client sessions, newest first.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
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
) -> Result<
    TableIterator<
        'static,
        (
            name!(workspace_id, pgrx::Uuid),
            name!(client_session_id, pgrx::Uuid),
            name!(token, String),
            name!(user_identifier_key, Option<String>),
            name!(created_at, TimestampWithTimeZone),
            name!(expires_at, TimestampWithTimeZone),
            name!(device_count, i64),
            name!(connected_account_ids, Vec<pgrx::Uuid>),
            name!(third_party_account_ids, Vec<pgrx::Uuid>),
            name!(connect_webview_ids, Vec<pgrx::Uuid>),
            name!(user_identity_ids, Vec<pgrx::Uuid>),
            name!(total, i64),
        ),
    >,
    ErrorReport,
> {
    let filter = ClientFilter {
        session_id: client_session_id.map(uuid),
        user_identifier_key,
        connect_webview_id: connect_webview_id.map(uuid),
        user_identity_id: user_identity_id.map(uuid),
        without_key: without_user_identifier_key.filter(|without| *without),
    };
    let (rows, total) = list(&ListCall {
        place: Place { product, env },
        filter,
        page,
        per_page,
    })?;
    Ok(TableIterator::new(rows.into_iter().map(move |row| {
        (
            row.0, row.1, row.2, row.3, row.4, row.5, row.6, row.7, row.8, row.9, row.10, total,
        )
    })))
}

/// The environment's client session with this id exists, dead or alive.
fn known(scene: &Scene, id: &Uuid) -> error::Result<()> {
    let row = crate::tables::sessions::by_id(id)?;
    let known = row.is_some_and(|row| row.kind == "client" && row.env_id == scene.env.env_id);
    if known { Ok(()) } else { Err(not_found()) }
}

/// Revokes a client session: its token is dead, its row stays. Idempotent.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn client_session_revoke(
    client_session_id: Option<pgrx::Uuid>,
    product: default!(Option<&str>, "NULL"),
    env: default!(Option<&str>, "NULL"),
) -> Result<(), ErrorReport> {
    Ok(revoke(Place { product, env }, client_session_id)?)
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

/// Deletes a client session: token and row are gone.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn client_session_delete(
    client_session_id: Option<pgrx::Uuid>,
    product: default!(Option<&str>, "NULL"),
    env: default!(Option<&str>, "NULL"),
) -> Result<(), ErrorReport> {
    Ok(delete(Place { product, env }, client_session_id)?)
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
