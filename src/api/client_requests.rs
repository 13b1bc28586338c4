//! What the client session functions do: who asks, in which environment, for which session.

use std::rc::Rc;

use pgrx::datum::TimestampWithTimeZone;
use uuid::Uuid;

use super::client_arguments::{Ids, check_size, end, grants};
use crate::error::{self, Code, Coded, Error};
use crate::guc;
use crate::session::verdict::REVOKED_AS_EXPIRED;
use crate::session::{Expected, Span, check_identifier};
use crate::store::caller::{self, Caller};
use crate::store::clock::{self, Micros};
use crate::store::configuration::Env;
use crate::store::opaque_sessions::{self as stored, ClientSession, Grants, NewOpaque};
use crate::store::owner::AsOwner;
use crate::store::revocations;
use crate::store::session_writes;
use crate::store::sessions::SessionRow;
use crate::store::verdict::{self, Verdict};
use crate::store::{api_keys, keys, random, transaction};
use crate::token::api_key::ApiKeyKind;
use crate::token::{KeyError, KeyRing, OpaqueFamily, Purpose, opaque};

/// How long a client session lives unless it is told otherwise.
const DEFAULT_LIFE: Span = Span {
    months: 12,
    days: 0,
    micros: 0,
};

/// What the functions take to say which environment is meant.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) product: Option<&'a str>,
    pub(super) env: Option<&'a str>,
}

/// Who calls, and in which environment.
pub(super) struct Scene {
    pub(super) caller: Caller,
    pub(super) env: Rc<Env>,
    pub(super) now: Micros,
}

impl Scene {
    pub(super) fn new(place: Place<'_>, code: Code) -> error::Result<Self> {
        let caller = caller::caller()?;
        let env = caller.env(place.product, place.env, code)?;
        Ok(Scene {
            caller,
            env,
            now: clock::now(),
        })
    }

    /// The same, for what publishable keys may not do.
    pub(super) fn full(place: Place<'_>, code: Code) -> error::Result<Self> {
        let scene = Scene::new(place, code)?;
        scene.caller.full()?;
        Ok(scene)
    }
}

/// What a session is created with.
struct Wanted<'a> {
    pub(super) key: Option<&'a str>,
    pub(super) grants: Grants,
    pub(super) expires_at: Option<Micros>,
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

/// What a caller asks to be created.
pub(super) struct Request<'a> {
    pub(super) key: Option<&'a str>,
    pub(super) accounts: Ids,
    pub(super) webviews: Ids,
    pub(super) identities: Ids,
    pub(super) expires_at: Option<TimestampWithTimeZone>,
}

/// What happens to a living session that has the key already.
#[derive(Clone, Copy)]
pub(super) enum IfThere {
    /// Nothing.
    AsItIs,
    /// An expiry that is given replaces its own.
    MoveExpiry,
}

/// The living session of the key, or a new one, as its function returns it.
pub(super) fn make(
    place: Place<'_>,
    request: Request<'_>,
    if_there: IfThere,
) -> error::Result<(Scene, Vec<ClientSession>)> {
    let scene = Scene::new(place, Code::CreateFailed)?;
    let wanted = Wanted {
        key: request.key,
        grants: grants(request.accounts, request.webviews, request.identities)?,
        expires_at: end(request.expires_at, scene.now)?,
    };
    let session = create(&scene, &wanted, if_there)?;
    Ok((scene, vec![session]))
}

/// The living session of the key, or a new one.
fn create(scene: &Scene, wanted: &Wanted<'_>, if_there: IfThere) -> error::Result<ClientSession> {
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
        if let Some(session) = reuse(&owner, scene, wanted, if_there)? {
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

pub(super) fn conflict() -> Error {
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
    if_there: IfThere,
) -> error::Result<Option<ClientSession>> {
    let Some(key) = wanted.key else {
        return Ok(None);
    };
    let env_id = scene.env.env_id;
    let Some(mut session) = stored::lock_by_key(owner, env_id, key)? else {
        return Ok(None);
    };
    let now = clock::now();
    let put_away = if clock::micros(session.expires_at) <= now {
        Some(REVOKED_AS_EXPIRED)
    } else if token(scene, &session).is_err() {
        Some(revocations::KEY_REVOKED.reason)
    } else {
        None
    };
    if let Some(reason) = put_away {
        revocations::put_away(owner, &session.session_id, reason, now)?;
        return Ok(None);
    }
    let publishable = scene.caller.publishable().is_some();
    if publishable {
        check_reach(&session)?;
    }
    if let (IfThere::MoveExpiry, Some(at)) = (if_there, wanted.expires_at) {
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
    let number = keys::ring()?
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
    // One whose key was revoked while it was created is as good as revoked.
    found
        .filter(|session| token(scene, session).is_ok())
        .ok_or_else(not_found)
}

/// The error for a session that was there a moment ago.
pub(super) fn gone() -> Error {
    if transaction::has_old_snapshot() {
        conflict()
    } else {
        not_found()
    }
}

pub(super) fn not_found() -> Error {
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
    let SessionRow {
        env_id, session_id, ..
    } = live.session.row;
    caller::narrow(env_id)?;
    let scene = Scene {
        caller: Caller::Server,
        env: live.env,
        now: clock::now(),
    };
    let session = stored::by_id(&AsOwner::enter()?, scene.env.env_id, &session_id, scene.now)?;
    Ok((scene, session.ok_or_else(not_found)?))
}

pub(super) fn get(
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

pub(super) fn grant(
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

/// The session's token, derived anew; an error when its key was revoked.
pub(super) fn token(scene: &Scene, session: &ClientSession) -> error::Result<String> {
    let issue = |ring: &KeyRing| {
        opaque::issue(
            ring,
            OpaqueFamily::ClientSession,
            scene.env.mode,
            Some(session.key_number),
            session.session_id,
        )
    };
    // With the ring of now: who made the session may have had a newer key than we when we came.
    match issue(&*keys::ring()?) {
        Err(KeyError::Unavailable(_)) => Ok(issue(&*keys::ring_with_unknown()?)?),
        issued => Ok(issued?),
    }
}
