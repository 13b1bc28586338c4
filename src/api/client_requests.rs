//! Making client sessions and granting them access.

use pgrx::datum::TimestampWithTimeZone;
use uuid::Uuid;

use super::client_arguments::{Ids, check_size, end, grants};
use super::client_scene::{Place, Scene, conflict, find, gone, token};
use crate::error::{self, Code, Coded, Error};
use crate::pg::clock::{self, Micros};
use crate::pg::random;
use crate::pg::roles::AsOwner;
use crate::pg::transaction;
use crate::service::key_ring;
use crate::service::revocations::{self, Which};
use crate::session::{Span, check_identifier};
use crate::tables::activity::Origin;
use crate::tables::api_keys;
use crate::tables::client_session_writes::{self, Grants, NewClient};
use crate::tables::client_sessions::{self, ClientSession};
use crate::tables::sessions::change;
use crate::token::api_key::ApiKeyKind;
use crate::token::{KeyError, Purpose};

/// How long a client session lives unless it is told otherwise.
const DEFAULT_LIFE: Span = Span {
    months: 12,
    days: 0,
    micros: 0,
};

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
    pub(super) accounts: Ids<'a>,
    pub(super) webviews: Ids<'a>,
    pub(super) identities: Ids<'a>,
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
            return client_sessions::by_id(&owner, scene.env.env_id, &session_id, scene.now)?
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
    let Some(mut session) = client_sessions::lock_by_key(owner, env_id, key)? else {
        return Ok(None);
    };
    let now = clock::now();
    if clock::micros(session.expires_at) <= now {
        revocations::put_away(owner, &session.session_id, now)?;
        return Ok(None);
    }
    if token(scene, &session)?.is_none() {
        let which = Which::Opaque {
            session_id: session.session_id,
            env_id,
        };
        let cause = revocations::KEY_REVOKED.by(Origin::of_key(scene.caller.api_key_id()));
        revocations::revoke(owner, &which, cause, now)?;
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
        change::set_expiry(owner, &session.session_id, at)?;
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
    let number = key_ring::ring()?
        .active_number(Purpose::Token)
        .ok_or(KeyError::Unavailable(Purpose::Token))?;
    client_session_writes::insert(
        owner,
        &NewClient {
            session_id,
            env_id: scene.env.env_id,
            key: wanted.key,
            now: scene.now,
            expires_at,
            key_number: number.cast_signed(),
            grants: &wanted.grants,
            api_key_id: scene.caller.api_key_id(),
        },
    )
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
    Ok((scene, vec![session]))
}
