//! Client sessions: a token that reaches only what a user has connected.

use std::collections::HashMap;
use std::rc::Rc;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use uuid::Uuid;

use super::account_sessions::MAX_LIFE;
use super::{pg_uuid, required, uuid};
use crate::error::{self, Code, Coded, Error};
use crate::guc;
use crate::session::verdict::REVOKED_AS_EXPIRED;
use crate::session::{Expected, Page, Span, check_identifier};
use crate::store::caller::{self, Caller};
use crate::store::clock::{self, Micros};
use crate::store::configuration::Env;
use crate::store::opaque_sessions::{
    self as stored, ClientFilter, ClientSession, Grants, NewOpaque,
};
use crate::store::owner::AsOwner;
use crate::store::session_writes::{self, Which};
use crate::store::verdict::{self, Verdict};
use crate::store::{api_keys, device_count, keys, random, transaction};
use crate::token::api_key::ApiKeyKind;
use crate::token::{KeyError, KeyRing, OpaqueFamily, Purpose, opaque};

/// How long a client session lives unless it is told otherwise.
const DEFAULT_LIFE: Span = Span {
    months: 12,
    days: 0,
    micros: 0,
};

/// Most ids of one kind that a client session may reach.
const MAX_GRANTS: usize = 1000;

/// What the functions take to say which environment is meant.
#[derive(Clone, Copy)]
struct Place<'a> {
    product: Option<&'a str>,
    env: Option<&'a str>,
}

/// Who calls, and in which environment.
struct Scene {
    caller: Caller,
    env: Rc<Env>,
    ring: Rc<KeyRing>,
    now: Micros,
}

impl Scene {
    fn new(place: Place<'_>, code: Code) -> error::Result<Self> {
        let caller = caller::caller()?;
        let env = caller.env(place.product, place.env, code)?;
        Ok(Scene {
            caller,
            env,
            ring: keys::ring()?,
            now: clock::now(),
        })
    }

    /// The same, for what publishable keys may not do.
    fn full(place: Place<'_>, code: Code) -> error::Result<Self> {
        let scene = Scene::new(place, code)?;
        scene.caller.full()?;
        Ok(scene)
    }
}

/// Ids as they are given: none where the argument is left out.
type Ids = Option<Vec<Option<pgrx::Uuid>>>;

fn ids(given: Ids, name: &'static str) -> error::Result<Vec<Uuid>> {
    let code = Code::CreateFailed;
    let given = given.unwrap_or_default();
    let mut ids = Vec::with_capacity(given.len());
    for id in given {
        let id = uuid(id.ok_or_else(|| {
            Error::new(code, format!("{name} holds a null")).hint("Leave the nulls out.")
        })?);
        if !ids.contains(&id) {
            ids.push(id);
        }
        check_size(ids.len(), name)?;
    }
    Ok(ids)
}

fn check_size(count: usize, name: &'static str) -> error::Result<()> {
    if count <= MAX_GRANTS {
        return Ok(());
    }
    Err(Error::new(
        Code::CreateFailed,
        format!("{name} would hold too many ids"),
    )
    .hint(format!(
        "A client session reaches at most {MAX_GRANTS} of a kind."
    )))
}

fn grants(accounts: Ids, webviews: Ids, identities: Ids) -> error::Result<Grants> {
    Ok(Grants {
        connected_account_ids: ids(accounts, "connected_account_ids")?,
        connect_webview_ids: ids(webviews, "connect_webview_ids")?,
        user_identity_ids: ids(identities, "user_identity_ids")?,
    })
}

/// The end that was asked for, or none.
fn end(expires_at: Option<TimestampWithTimeZone>, now: Micros) -> error::Result<Option<Micros>> {
    let Some(at) = expires_at.map(clock::micros) else {
        return Ok(None);
    };
    if at <= now || at > clock::add(now, &MAX_LIFE, Code::CreateFailed)? {
        return Err(Error::new(
            Code::CreateFailed,
            "expires_at is not a time that a client session can end",
        )
        .hint("Give a time to come within ten years, or leave it out for one year."));
    }
    Ok(Some(at))
}

/// What a session is created with.
struct Wanted<'a> {
    key: Option<&'a str>,
    grants: Grants,
    expires_at: Option<Micros>,
}

impl Wanted<'_> {
    /// What a publishable key may not ask for.
    fn check_publishable(&self) -> error::Result<()> {
        if !self.grants.is_empty() {
            return Err(Error::new(
                Code::PublishableKeyMustCreateEmptySession,
                "a publishable key may not grant anything",
            )
            .hint("Grant access from your backend, with a secret key."));
        }
        if self.key.is_none() {
            return Err(Error::new(
                Code::PermissionDenied,
                "a publishable key must name a user_identifier_key",
            )
            .hint("Use a long random value that only this user's client knows."));
        }
        Ok(())
    }
}

/// Publishable keys reach only what publishable keys made, and only while it holds no grant.
fn check_reach(session: &ClientSession) -> error::Result<()> {
    let made_by = match session.api_key_id {
        Some(id) => api_keys::by_id(&id)?.map(|key| key.kind),
        None => None,
    };
    if made_by == Some(ApiKeyKind::Publishable) && session.grants.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::PermissionDenied,
        "a publishable key does not reach the session of this user_identifier_key",
    )
    .hint("Get it from your backend, with a secret key."))
}

/// The living session of the key, or a new one.
fn create(scene: &Scene, wanted: &Wanted<'_>, move_expiry: bool) -> error::Result<ClientSession> {
    if let Some(key) = wanted.key {
        check_identifier("user_identifier_key", key).coded(Code::CreateFailed)?;
    }
    if scene.caller.publishable().is_some() {
        wanted.check_publishable()?;
    }
    let owner = AsOwner::enter()?;
    // One living session a key, by a unique index: who comes second finds the first one's, unless
    // that is gone again by then.
    for attempt in 0.. {
        if let Some(session) = reuse(&owner, scene, wanted, move_expiry)? {
            return Ok(session);
        }
        let session_id = random::uuid()?;
        if insert(&owner, scene, wanted, session_id)? {
            return stored::by_id(&owner, scene.env.env_id, &session_id, scene.now)?
                .ok_or_else(conflict);
        }
        // An old snapshot will never show what stands in the way.
        if attempt > 0 && transaction::has_old_snapshot() {
            break;
        }
        pgrx::check_for_interrupts!();
    }
    Err(conflict())
}

fn conflict() -> Error {
    Error::new(
        Code::Conflict,
        "a session of this key was made after this transaction began",
    )
    .hint("Retry the transaction.")
}

/// The living session of the key. An expired one is put away, so that the key is free.
fn reuse(
    owner: &AsOwner,
    scene: &Scene,
    wanted: &Wanted<'_>,
    move_expiry: bool,
) -> error::Result<Option<ClientSession>> {
    let Some(key) = wanted.key else {
        return Ok(None);
    };
    let env_id = scene.env.env_id;
    let Some(mut session) = stored::lock_by_key(owner, env_id, key)? else {
        return Ok(None);
    };
    let put_away = if clock::micros(session.expires_at) <= scene.now {
        Some(REVOKED_AS_EXPIRED)
    } else if token(scene, &session).is_err() {
        Some(session_writes::KEY_REVOKED.reason)
    } else {
        None
    };
    if let Some(reason) = put_away {
        session_writes::put_away(owner, &session.session_id, reason, scene.now)?;
        return Ok(None);
    }
    let publishable = scene.caller.publishable().is_some();
    if publishable {
        check_reach(&session)?;
    }
    if let (true, Some(at)) = (move_expiry, wanted.expires_at) {
        if publishable {
            return Err(Error::new(
                Code::PermissionDenied,
                "a publishable key does not change an expiry",
            )
            .hint("Leave expires_at out."));
        }
        session_writes::set_expiry(owner, &session.session_id, at)?;
        session.expires_at = clock::timestamptz(at);
    }
    Ok(Some(session))
}

fn insert(
    owner: &AsOwner,
    scene: &Scene,
    wanted: &Wanted<'_>,
    session_id: Uuid,
) -> error::Result<bool> {
    let code = Code::CreateFailed;
    let expires_at = match wanted.expires_at {
        Some(at) => at,
        None => clock::ceil_to_second(clock::add(scene.now, &DEFAULT_LIFE, code)?),
    };
    let number = scene
        .ring
        .active_number(Purpose::Token)
        .ok_or(KeyError::Unavailable(Purpose::Token))?;
    stored::insert(
        owner,
        &NewOpaque {
            session_id,
            kind: "client",
            env_id: scene.env.env_id,
            subject: wanted.key,
            now: scene.now,
            expires_at,
            key_number: number.cast_signed(),
            scopes: None,
            grants: Some(&wanted.grants),
            api_key_id: scene.caller.api_key_id(),
        },
    )
}

/// One session, by id or by key.
fn find(
    owner: &AsOwner,
    scene: &Scene,
    id: Option<Uuid>,
    key: Option<&str>,
    code: Code,
) -> error::Result<ClientSession> {
    let env_id = scene.env.env_id;
    let found = match (id, key) {
        (Some(id), None) => stored::by_id(owner, env_id, &id, scene.now)?,
        (None, Some(key)) => stored::by_key(owner, env_id, key, scene.now)?,
        (None, None) => {
            return Err(
                Error::new(code, "client_session_id or user_identifier_key is needed")
                    .hint("Name the session by one of the two."),
            );
        }
        (Some(id), Some(key)) => stored::by_id(owner, env_id, &id, scene.now)?
            .filter(|session| session.user_identifier_key.as_deref() == Some(key)),
    };
    found.ok_or_else(not_found)
}

/// The error for a session that was there a moment ago.
fn gone() -> Error {
    if transaction::has_old_snapshot() {
        conflict()
    } else {
        not_found()
    }
}

fn not_found() -> Error {
    Error::new(
        Code::SessionNotFound,
        "there is no such living client session",
    )
    .hint("dialstack.client_session_list() shows those of an environment.")
}

/// The session of the current token: what a user's own connection may see without an API key.
fn own(place: Place<'_>) -> error::Result<(Scene, ClientSession)> {
    let expected = Expected {
        product: place.product,
        env: place.env,
        ..Expected::default()
    };
    let verdict = match guc::token() {
        Some(token) => verdict::verify(&token, &expected)?,
        None => {
            return Err(Error::new(Code::VerifyFailed, "no session token is presented").hint(
                "Name a client_session_id or user_identifier_key, or present a token with SET LOCAL dialstack_sessions.token.",
            ));
        }
    };
    let Verdict::Live(live) = verdict else {
        return Err(Error::new(
            Code::VerifyFailed,
            "the presented session token is not good",
        )
        .hint("dialstack.session_verify() tells the reason."));
    };
    caller::narrow(live.row.env_id)?;
    let session_id = live.row.session_id;
    let scene = Scene {
        caller: Caller::Server,
        env: live.env,
        ring: keys::ring()?,
        now: clock::now(),
    };
    let session = stored::by_id(&AsOwner::enter()?, scene.env.env_id, &session_id, scene.now)?;
    Ok((scene, session.ok_or_else(not_found)?))
}

fn get(
    place: Place<'_>,
    id: Option<Uuid>,
    key: Option<&str>,
) -> error::Result<(Scene, Vec<ClientSession>)> {
    if id.is_none() && key.is_none() {
        let (scene, session) = own(place)?;
        return Ok((scene, vec![session]));
    }
    let scene = Scene::full(place, Code::ListFailed)?;
    let session = find(&AsOwner::enter()?, &scene, id, key, Code::ListFailed)?;
    Ok((scene, vec![session]))
}

fn grant(
    place: Place<'_>,
    id: Option<Uuid>,
    key: Option<&str>,
    grants: &Grants,
) -> error::Result<(Scene, Vec<ClientSession>)> {
    let code = Code::CreateFailed;
    let scene = Scene::full(place, code)?;
    if grants.is_empty() {
        return Err(Error::new(code, "nothing is granted")
            .hint("Give connected_account_ids, connect_webview_ids or user_identity_ids."));
    }
    let owner = AsOwner::enter()?;
    let id = find(&owner, &scene, id, key, code)?.session_id;
    session_writes::lock(&owner, &id)?;
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
    if !stored::grant(&owner, &id, grants, scene.now)? {
        return Err(gone());
    }
    let session = find(&owner, &scene, Some(id), None, code)?;
    Ok((scene, vec![session]))
}

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

/// The session's token, derived anew; an error when its key was revoked.
fn token(scene: &Scene, session: &ClientSession) -> Result<String, KeyError> {
    opaque::issue(
        &scene.ring,
        OpaqueFamily::ClientSession,
        scene.env.mode,
        Some(session.key_number),
        session.session_id,
    )
}

fn one(
    scene: &Scene,
    session: ClientSession,
    devices: &HashMap<Uuid, i64>,
) -> error::Result<ClientColumns> {
    let token = token(scene, &session)?;
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
    ) = {
        let scene = Scene::new(Place { product, env }, Code::CreateFailed)?;
        let grants = grants(connected_account_ids, connect_webview_ids, user_identity_ids)?;
        let expires_at = end(expires_at, scene.now)?;
        let wanted = Wanted { key: user_identifier_key, grants, expires_at };
        let session = create(&scene, &wanted, false)?;
        (scene, vec![session])
    };

    /// The same, but an expiry that is given replaces the old one.
    fn client_session_get_or_create(
        user_identifier_key: default!(Option<&str>, "NULL"),
        connected_account_ids: default!(Ids, "NULL"),
        connect_webview_ids: default!(Ids, "NULL"),
        user_identity_ids: default!(Ids, "NULL"),
        expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) = {
        let scene = Scene::new(Place { product, env }, Code::CreateFailed)?;
        let grants = grants(connected_account_ids, connect_webview_ids, user_identity_ids)?;
        let expires_at = end(expires_at, scene.now)?;
        let wanted = Wanted { key: user_identifier_key, grants, expires_at };
        let session = create(&scene, &wanted, true)?;
        (scene, vec![session])
    };

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
    let (sessions, total) = stored::list(&owner, scene.env.env_id, &call.filter, &page, scene.now)?;
    Ok((columns(&scene, sessions)?, total))
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
    let row = crate::store::sessions::by_id(id)?;
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
    let revoked = session_writes::revoke(&owner, &which, session_writes::REVOKED, scene.now)?;
    let row = crate::store::sessions::by_id(&session_id)?;
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
    if stored::delete(&AsOwner::enter()?, &session_id, scene.env.env_id, scene.now)? {
        return Ok(());
    }
    Err(gone())
}
