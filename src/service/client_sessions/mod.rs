//! Client sessions: a token that reaches only what a user has connected. A flow is a file.

pub mod change;
pub mod create;
pub mod read;

use std::rc::Rc;

use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::pg::clock::{self, Micros};
use crate::pg::datum::uuid::uuid;
use crate::pg::roles::AsOwner;
use crate::pg::transaction;
use crate::service::caller::{self, Caller};
use crate::service::keys::key_ring;
use crate::service::setup::configuration::Env;
use crate::session::check_identifier;
use crate::tables::client_sessions::change::{ClientSession, Grants};
use crate::tables::client_sessions::{self, list};
use crate::token::{KeyRing, OpaqueFamily, opaque, sealed};

/// Most ids of one kind that a client session may reach.
const MAX_GRANTS: usize = 1000;

/// Product and environment, as far as the caller names them.
pub type Place<'a> = [Option<&'a str>; 2];

/// Ids as they are given: none where the argument is left out.
pub type Ids<'a> = Option<pgrx::Array<'a, pgrx::Uuid>>;

/// Which session is meant: by one of the two, or by both.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    pub client_session_id: Option<pgrx::Uuid>,
    pub user_identifier_key: Option<&'a str>,
}

/// Living client sessions of one environment.
pub struct Sessions {
    pub env: Rc<Env>,
    pub sessions: Vec<Session>,
}

/// A living client session as it is returned.
pub struct Session {
    pub stored: ClientSession,
    pub token: String,
    /// Its user_identifier_key; none where it has none, or the key that encrypted it was revoked.
    pub user_identifier_key: Option<Zeroizing<String>>,
}

/// A call: who makes it, for which environment, and when it began.
struct Call {
    caller: Caller,
    env: Rc<Env>,
    now: Micros,
}

impl Call {
    /// A call that publishable keys may make too.
    fn new([product, env]: Place<'_>, code: Code) -> Result<Self> {
        let caller = caller::caller()?;
        let env = caller.env(product, env, code)?;
        Ok(Call { caller, env, now: clock::now() })
    }

    /// A call that publishable keys may not make.
    fn full(place: Place<'_>, code: Code) -> Result<Self> {
        let call = Call::new(place, code)?;
        call.caller.full()?;
        Ok(call)
    }

    /// As [`Call::full`], for a session that may be named by its id, which needs no place.
    ///
    /// # Errors
    /// `SESSION_NOT_FOUND` for the id of a session that is not of the place.
    fn of_named(place: Place<'_>, id: Option<pgrx::Uuid>, code: Code) -> Result<Self> {
        let Some(id) = id else {
            return Call::full(place, code);
        };
        let caller = caller::caller()?;
        caller.full()?;
        let row = client_sessions::by_id(&uuid(id))?.ok_or_else(not_found)?;
        let [product, env] = place;
        let env = caller.env_of(row.env_id, product, env)?;
        Ok(Call { caller, env: env.ok_or_else(not_found)?, now: clock::now() })
    }

    /// All forms in which a user_identifier_key may be stored; the first is the one for a new session. None for a
    /// text that is no such key.
    fn key_forms(&self, key: &str) -> Result<Vec<Vec<u8>>> {
        // No session has a key that can't be one; a long one is not even copied.
        if check_identifier("user_identifier_key", key).is_err() {
            return Ok(Vec::new());
        }
        let ring = key_ring::ring()?;
        Ok(sealed::identifier_key_forms(&ring, self.env.env_id, key)?)
    }

    /// The session's token, derived anew; `None` when its key was revoked.
    fn token(&self, stored: &ClientSession) -> Result<Option<String>> {
        let issue = |ring: &KeyRing| {
            opaque::issue(
                ring,
                OpaqueFamily::ClientSession,
                self.env.mode,
                stored.key_number,
                stored.session_id,
            )
        };
        // With the present ring: the session may have been made with a newer key than this call began with.
        Ok(key_ring::with(issue)?.ok())
    }

    /// The session as it is returned. `None` where the key of its token was revoked while it was created: that is
    /// as good as revoked.
    fn session(&self, stored: ClientSession) -> Result<Option<Session>> {
        let Some(token) = self.token(&stored)? else {
            return Ok(None);
        };
        let user_identifier_key = match &stored.sealed_key {
            Some(form) => key_ring::open_identifier_key(self.env.env_id, form)?,
            None => None,
        };
        Ok(Some(Session { stored, token, user_identifier_key }))
    }

    /// One living session.
    ///
    /// # Errors
    /// `SESSION_NOT_FOUND`; `code` where nothing names the session.
    fn find(&self, owner: &AsOwner, named: Named<'_>, code: Code) -> Result<Session> {
        let env_id = self.env.env_id;
        let forms = named.user_identifier_key.map(|key| self.key_forms(key));
        let forms = forms.transpose()?;
        let found = match (named.client_session_id.map(uuid), forms) {
            (Some(id), None) => list::by_id(owner, env_id, &id, self.now)?,
            (Some(id), Some(forms)) => {
                let is_one = |form: &Vec<u8>| forms.contains(form);
                list::by_id(owner, env_id, &id, self.now)?
                    .filter(|stored| stored.sealed_key.as_ref().is_some_and(is_one))
            }
            (None, Some(forms)) => list::by_key(owner, env_id, forms, self.now)?,
            (None, None) => {
                return Err(Error::new(code, "client_session_id or user_identifier_key is needed")
                    .hint("Name the session by one of the two."));
            }
        };
        let session = found.map(|stored| self.session(stored)).transpose()?;
        session.flatten().ok_or_else(not_found)
    }

    fn one(self, session: Session) -> Sessions {
        Sessions { env: self.env, sessions: vec![session] }
    }
}

/// Connected accounts, webviews and identities, as they are given; what stands twice counts once.
fn grants(given: [Ids<'_>; 3]) -> Result<Grants> {
    let mut grants = Grants::default();
    for ((name, ids), given) in grants.kinds().into_iter().zip(given) {
        let Some(given) = given else { continue };
        check_size(given.len(), name)?;
        for id in given.iter() {
            let id = id.ok_or_else(|| {
                Error::new(Code::CreateFailed, format!("{name} holds a null")).hint("Leave the nulls out.")
            })?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    Ok(grants)
}

fn check_size(count: usize, name: &'static str) -> Result<()> {
    if count <= MAX_GRANTS {
        return Ok(());
    }
    Err(Error::new(Code::CreateFailed, format!("{name} would hold too many ids"))
        .hint(format!("A client session reaches at most {MAX_GRANTS} of a kind.")))
}

fn not_found() -> Error {
    Error::new(Code::SessionNotFound, "there is no such living client session")
        .hint("dialstack.client_session_list() shows those of an environment.")
}

/// The error for a session that ended during the call.
fn gone() -> Error {
    if transaction::has_old_snapshot() { conflict() } else { not_found() }
}

/// The error for a session that the transaction's snapshot does not show as it is.
fn conflict() -> Error {
    Error::new(Code::Conflict, "a session of this key was made after this transaction began")
        .hint("Retry the transaction.")
}
