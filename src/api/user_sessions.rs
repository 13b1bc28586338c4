//! Creating user sessions.

use std::rc::Rc;

use pgrx::datum::{Inet, Interval};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::tokens::{CheckedData, Issue, Lifetimes, Tokens, check_against, check_origin, issue};
use super::{pg_uuid, required};
use crate::error::{self, Code, Error};
use crate::pg::clock::{self, Micros, timestamptz};
use crate::pg::datum::json::JsonText;
use crate::pg::datum::record::Record;
use crate::pg::random;
use crate::pg::roles::AsOwner;
use crate::service::caller;
use crate::service::configuration::{self, Env, StoredDefinition};
use crate::service::key_ring;
use crate::service::revocations::{self, Which};
use crate::service::session_data::SessionData;
use crate::session::{Definition, Room, room};
use crate::tables::activity::Origin;
use crate::tables::session_users::{self, UserKey};
use crate::tables::session_writes::{self, Kind, NewSession};

struct Create<'a> {
    product: Option<&'a str>,
    env: Option<&'a str>,
    tag: Option<&'a str>,
    data: Option<SessionData>,
    origin: Origin<'a>,
    expires_in: Option<Interval>,
}

fn create(call: Create<'_>) -> error::Result<Tokens> {
    let code = Code::CreateFailed;
    let product = required(call.product, "product", code)?;
    let env_name = required(call.env, "env", code)?;
    let tag = required(call.tag, "tag", code)?;
    let data = required(call.data.as_ref(), "data", code)?;
    let text = data.text();
    check_origin(&call.origin, code)?;
    let resolve = || -> error::Result<_> {
        let env = configuration::env(product, env_name)?;
        let stored = configuration::definition(&env.product_id, tag)?;
        Ok((env, stored))
    };
    let (env, stored) = resolve()?;
    let mut resolved = Resolved::new(env, stored, &text)?;
    let api_key_id = caller::narrow(resolved.env.env_id)?;
    session_users::count_in_user(resolved.user(), clock::now())?;
    // That may have waited, even for who changed the definition or revoked a key: all that follows is
    // of now.
    let now = clock::now();
    let (env, stored) = resolve()?;
    if !(Rc::ptr_eq(&env, &resolved.env) && Rc::ptr_eq(&stored, &resolved.stored)) {
        let of_now = Resolved::new(env, stored, &text)?;
        if of_now.user() != resolved.user() {
            return Err(revocations::conflict());
        }
        resolved = of_now;
    }
    make_room(&resolved.stored.definition, resolved.user(), now)?;
    let origin = Origin {
        api_key_id,
        ..call.origin
    };
    store(&resolved, data, origin, call.expires_in, now)
}

/// What a session is created from.
struct Resolved {
    env: Rc<Env>,
    stored: Rc<StoredDefinition>,
    checked: CheckedData,
}

impl Resolved {
    fn new(env: Rc<Env>, stored: Rc<StoredDefinition>, data: &JsonText) -> error::Result<Self> {
        let checked = check_against(&stored, data)?;
        Ok(Resolved {
            env,
            stored,
            checked,
        })
    }

    fn user(&self) -> UserKey<'_> {
        UserKey {
            env_id: self.env.env_id,
            definition_id: self.stored.definition_id,
            identifier: &self.checked.identifier,
        }
    }
}

/// Seals the data, makes the tokens and stores the session.
fn store(
    resolved: &Resolved,
    data: &SessionData,
    origin: Origin<'_>,
    expires_in: Option<Interval>,
    now: Micros,
) -> error::Result<Tokens> {
    let Resolved {
        env,
        stored,
        checked,
    } = resolved;
    let lifetimes = Lifetimes::new(
        &stored.definition,
        now,
        None,
        expires_in.as_ref(),
        Code::CreateFailed,
    )?;
    let ring = key_ring::ring()?;
    let session_id = random::uuid()?;
    let (key_number, sealed_data) = data.seal(&ring, session_id)?;
    let tokens = issue(&Issue {
        ring: &ring,
        env,
        tag: &stored.definition.tag,
        identifier: &checked.identifier,
        session_id,
        generation: 0,
        data: &checked.text,
        now,
        expires_at: lifetimes.token,
    })?;
    session_writes::insert(NewSession {
        session_id,
        kind: Kind::User {
            definition_id: stored.definition_id,
            sealed_data: &sealed_data,
        },
        env_id: env.env_id,
        subject: &checked.identifier,
        now,
        token_expires_at: lifetimes.token,
        expires_at: lifetimes.session,
        key_number: key_number.cast_signed(),
        origin,
    })?;
    Ok(tokens)
}

/// At the cap, evicts the oldest sessions or denies the new one. The user's row is locked.
fn make_room(definition: &Definition, user: UserKey<'_>, now: Micros) -> error::Result<()> {
    let Some(max) = definition.max_sessions else {
        return Ok(());
    };
    let owner = &AsOwner::enter()?;
    let living = session_users::living(owner, user, now)?;
    match room(living, Some(max), definition.on_limit) {
        Room::Free => Ok(()),
        Room::Evict(count) => {
            for session_id in session_users::oldest(owner, user, now, count)? {
                let which = Which::One {
                    session_id,
                    env_id: user.env_id,
                    definition_id: user.definition_id,
                };
                revocations::revoke(owner, &which, revocations::EVICTED, now)?;
            }
            Ok(())
        }
        Room::Full => Err(Error::new(
            Code::SessionLimitReached,
            "the user has as many living sessions as the definition allows",
        )
        .detail(format!("max_sessions is {max} and on_limit is deny."))
        .hint("Revoke one of them, or define on_limit as evict_oldest.")),
    }
}

/// Creates a user session and returns its tokens. Declared in sql/62_tokens.sql.
#[pg_extern(sql = false)]
fn session_create(
    product: Option<&str>,
    env: Option<&str>,
    tag: Option<&str>,
    data: Option<SessionData>,
    ip: Option<Inet>,
    user_agent: Option<&str>,
    expires_in: Option<Interval>,
) -> Result<Record<4>, ErrorReport> {
    let origin = Origin {
        ip: ip.as_ref(),
        user_agent,
        api_key_id: None,
    };
    let tokens = create(Create {
        product,
        env,
        tag,
        data,
        origin,
        expires_in,
    })?;
    Ok(Record([
        tokens.token.into_datum(),
        tokens.refresh_token.into_datum(),
        timestamptz(tokens.expires_at).into_datum(),
        pg_uuid(&tokens.session_id).into_datum(),
    ]))
}
