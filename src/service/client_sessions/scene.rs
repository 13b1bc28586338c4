//! The caller of a client session function, the environment and the session that it names.

use std::rc::Rc;

use uuid::Uuid;

use crate::error::{Code, Error, Result};
use crate::guc;
use crate::pg::clock::{self, Micros};
use crate::pg::roles::AsOwner;
use crate::pg::transaction;
use crate::service::caller::{self, Caller};
use crate::service::configuration::Env;
use crate::service::key_ring;
use crate::service::verdict::{self, Verdict};
use crate::session::Expected;
use crate::tables::client_sessions::{self as stored, ClientSession};
use crate::tables::sessions::SessionRow;
use crate::token::{KeyError, KeyRing, OpaqueFamily, opaque};

/// The arguments that name the environment.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub product: Option<&'a str>,
    pub env: Option<&'a str>,
}

/// The caller, and the environment that it calls for.
pub(super) struct Scene {
    pub(super) caller: Caller,
    pub(super) env: Rc<Env>,
    pub(super) now: Micros,
}

impl Scene {
    pub(super) fn new(place: Place<'_>, code: Code) -> Result<Self> {
        let caller = caller::caller()?;
        let env = caller.env(place.product, place.env, code)?;
        Ok(Scene {
            caller,
            env,
            now: clock::now(),
        })
    }

    /// As [`Scene::new`], for what publishable keys may not do.
    pub(super) fn full(place: Place<'_>, code: Code) -> Result<Self> {
        let scene = Scene::new(place, code)?;
        scene.caller.full()?;
        Ok(scene)
    }
}

/// The session's token, derived anew; `None` when its key was revoked.
pub(super) fn token(scene: &Scene, session: &ClientSession) -> Result<Option<String>> {
    let issue = |ring: &KeyRing| {
        opaque::issue(
            ring,
            OpaqueFamily::ClientSession,
            scene.env.mode,
            Some(session.key_number),
            session.session_id,
        )
    };
    // Read the ring now: the session may have been made with a key that is newer than this call.
    let issued = match issue(&*key_ring::ring()?) {
        Err(KeyError::Unavailable(_)) => issue(&*key_ring::ring_with_unknown()?),
        issued => issued,
    };
    match issued {
        Err(KeyError::Unavailable(_)) => Ok(None),
        issued => Ok(Some(issued?)),
    }
}

/// One session, by id or by key.
pub(super) fn find(
    owner: &AsOwner,
    scene: &Scene,
    id: Option<Uuid>,
    key: Option<&str>,
    code: Code,
) -> Result<ClientSession> {
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
    match found {
        // One whose key was revoked while it was created is as good as revoked.
        Some(session) if token(scene, &session)?.is_some() => Ok(session),
        _ => Err(not_found()),
    }
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
fn own(place: Place<'_>) -> Result<(Scene, ClientSession)> {
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
        .hint("dialstack.session_verify() returns the reason."));
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

/// One session, by id or by key; without both that of the presented session token.
pub(super) fn find_for_caller(
    place: Place<'_>,
    id: Option<Uuid>,
    key: Option<&str>,
) -> Result<(Scene, ClientSession)> {
    if id.is_none() && key.is_none() {
        return own(place);
    }
    let scene = Scene::full(place, Code::ListFailed)?;
    let session = find(&AsOwner::enter()?, &scene, id, key, Code::ListFailed)?;
    Ok((scene, session))
}

/// The error for a session that a transaction's snapshot does not show.
pub(super) fn conflict() -> Error {
    Error::new(
        Code::Conflict,
        "a session of this key was made after this transaction began",
    )
    .hint("Retry the transaction.")
}
