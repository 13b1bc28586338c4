//! The caller and what it may do: by the access level of its role, narrowed by the level's limits and by the API key
//! that it presents.

use std::rc::Rc;

use serde_json::json;
use uuid::Uuid;

use crate::error::{Code, Error, Result};
use crate::guc;
use crate::log_events::Event;
use crate::pg::clock;
use crate::pg::roles::current_user;
use crate::service::events;
use crate::service::level::{Level, has_level};
use crate::service::reach::{self, Reach};
use crate::service::setup::configuration::{self, Env};
use crate::session::problem::listed;
use crate::tables::api_keys;
use crate::tables::products::{self, ProductId};
use crate::token::api_key::{self, ApiKeyKind};

/// A caller, as far as it may act for an environment.
pub struct Caller {
    /// The API key that it presents, which is for an environment within reach; none: its role alone decides.
    key: Option<PresentedKey>,
    /// Where its role may act.
    reach: Rc<Reach>,
}

/// A good API key.
pub struct PresentedKey {
    pub api_key_id: Uuid,
    pub kind: ApiKeyKind,
    pub env: Rc<Env>,
}

/// The refusal of a key, which is logged with a word for the reason. Which key it is can be said of one that was made
/// here.
fn key_invalid(reason: &str, why: &str, api_key_id: Option<Uuid>) -> Error {
    let id = api_key_id.map(|id| id.to_string());
    if let Err(error) = events::log(Event::RefusedKey, || json!({ "reason": reason, "api_key_id": id })) {
        return error;
    }
    Error::new(Code::ApiKeyInvalid, "the API key is not valid")
        .detail(why.to_owned())
        .hint("Present a living key with SET LOCAL dialstack_sessions.api_key, or set it to ''.")
}

/// The API key in `dialstack_sessions.api_key`, if one is set.
///
/// # Errors
/// `API_KEY_INVALID` for anything but a living key of a living environment.
fn presented_key() -> Result<Option<PresentedKey>> {
    let Some(text) = guc::api_key() else {
        return Ok(None);
    };
    let unknown = || key_invalid("unknown", "It is not a key that was made here.", None);
    // Most of what is no key touches no table.
    if !api_key::is_well_formed(&text) {
        return Err(unknown());
    }
    let row = api_keys::by_hash(&api_key::hash(&text))?.ok_or_else(unknown)?;
    // That revokes its keys: say the cause.
    let env = configuration::env_by_id(row.env_id)?
        .ok_or_else(|| key_invalid("env_deleted", "Its environment was deleted.", Some(row.api_key_id)))?;
    if row.revoked {
        return Err(key_invalid("revoked", "It was revoked.", Some(row.api_key_id)));
    }
    if row.expires_at.is_some_and(|at| at <= clock::now()) {
        return Err(key_invalid("expired", "It has expired.", Some(row.api_key_id)));
    }
    Ok(Some(PresentedKey { api_key_id: row.api_key_id, kind: row.kind, env }))
}

/// The caller of a function that an API key opens to level `client`.
///
/// # Errors
/// `API_KEY_INVALID`; `PERMISSION_DENIED` for a role below `server` without an API key, and for a key that is for an
/// environment out of the role's reach.
pub fn caller() -> Result<Caller> {
    match presented_key()? {
        Some(key) => Caller::new(Some(key), Level::Client),
        None if has_level(current_user(), Level::Server)? => Caller::new(None, Level::Server),
        None => Err(Error::new(Code::PermissionDenied, "an API key is needed")
            .detail("The role has no access of level server.")
            .hint("Present a key with SET LOCAL dialstack_sessions.api_key, or let an administrator call dialstack.grant_access().")),
    }
}

/// The caller of a function that its role may call by this level; held to the API key that it presents, if any. Ask
/// before the owner becomes the current user.
///
/// # Errors
/// `API_KEY_INVALID`; `PERMISSION_DENIED` for a publishable key, and one that is for an environment out of the role's
/// reach.
pub fn narrowed(level: Level) -> Result<Caller> {
    let caller = Caller::new(presented_key()?, level)?;
    caller.full()?;
    Ok(caller)
}

/// Holds the caller of a function of level `server` to its role's limits and to the API key that it presents, if any.
/// Returns the key's id.
///
/// # Errors
/// `API_KEY_INVALID`; `PERMISSION_DENIED` for a publishable key, and for another environment than the key's or out of
/// the role's reach.
pub fn narrow(env_id: i32) -> Result<Option<Uuid>> {
    let caller = narrowed(Level::Server)?;
    caller.check(env_id)?;
    Ok(caller.api_key_id())
}

/// Refuses a caller that presents an API key, for functions of administrators, which mean more than its environment.
///
/// # Errors
/// `PERMISSION_DENIED`; `API_KEY_INVALID`.
pub fn without_key() -> Result<()> {
    match presented_key()? {
        None => Ok(()),
        Some(_) => Err(Error::new(Code::PermissionDenied, "an API key does not allow this")
            .hint("Set dialstack_sessions.api_key to '', and call it as an administrator.")),
    }
}

/// The numbers of the environments that are meant: the one named, else all of the product that are within the caller's
/// reach; with an API key only the key's. The caller is that of a function of this level.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`; those of [`narrow`].
pub fn env_ids(level: Level, product: &str, env: Option<&str>) -> Result<Vec<i32>> {
    let caller = narrowed(level)?;
    if let Some(env) = env {
        let env_id = configuration::env(product, env)?.env_id;
        caller.check(env_id)?;
        return Ok(vec![env_id]);
    }
    let product_id = configuration::product_id(product)?;
    if let Some(key) = caller.key() {
        return Ok(vec![key.env_if(Some(product), None)?.env_id]);
    }
    caller.reach.check_product(&product_id)?;
    Ok(named(&caller.reach, Some(&product_id), None)?.iter().map(|env| env.env_id).collect())
}

fn other_env() -> Error {
    Error::new(Code::PermissionDenied, "the API key is for another product or environment")
        .hint("Leave product and env out, or present the key that is for them.")
}

impl PresentedKey {
    /// Its environment; refused where another one is named.
    fn env_if(&self, product: Option<&str>, env: Option<&str>) -> Result<Rc<Env>> {
        if self.env.is(product, env) { Ok(self.env.clone()) } else { Err(other_env()) }
    }
}

impl Caller {
    /// # Errors
    /// `PERMISSION_DENIED` for a key of an environment out of the role's reach.
    fn new(key: Option<PresentedKey>, level: Level) -> Result<Self> {
        let reach = reach::of_caller(level)?;
        if let Some(key) = &key {
            reach.check(&key.env)?;
        }
        Ok(Caller { key, reach })
    }

    pub fn key(&self) -> Option<&PresentedKey> {
        self.key.as_ref()
    }

    /// Refuses publishable keys.
    pub fn full(&self) -> Result<()> {
        if self.publishable().is_none() {
            return Ok(());
        }
        Err(Error::new(Code::PermissionDenied, "a publishable key may only create empty client sessions")
            .hint("Call this from your backend, with a secret key."))
    }

    pub fn publishable(&self) -> Option<&PresentedKey> {
        self.key().filter(|key| key.kind == ApiKeyKind::Publishable)
    }

    pub fn api_key_id(&self) -> Option<Uuid> {
        self.key().map(|key| key.api_key_id)
    }

    fn may_act_for(&self, env_id: i32) -> Result<bool> {
        match self.key() {
            Some(key) => Ok(key.env.env_id == env_id),
            None => self.reach.holds_id(env_id),
        }
    }

    /// Refuses an environment that the caller may not act for.
    pub fn check(&self, env_id: i32) -> Result<()> {
        match self.may_act_for(env_id)? {
            true => Ok(()),
            false if self.key.is_some() => Err(other_env()),
            false => Err(reach::out_of_reach()),
        }
    }

    /// The environment meant: the key's own, or the one named; without names the only one within reach.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` for another environment than the key's, or out of reach; `PRODUCT_NOT_FOUND`,
    /// `ENV_NOT_FOUND`; `code` where several are meant.
    pub fn env(&self, product: Option<&str>, env: Option<&str>, code: Code) -> Result<Rc<Env>> {
        match self.key() {
            Some(key) => key.env_if(product, env),
            None => only_env(&self.reach, product, env, code),
        }
    }

    /// The environment of what is named by its id: `None` unless it has the names that are given, and is one that the
    /// caller may act for.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` where another environment is named than those that the caller may act for;
    /// `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`.
    pub fn env_of(&self, env_id: i32, product: Option<&str>, env: Option<&str>) -> Result<Option<Rc<Env>>> {
        match (self.key(), product, env) {
            (Some(key), ..) => drop(key.env_if(product, env)?),
            (None, Some(product), Some(env)) => self.reach.check(&*configuration::env(product, env)?)?,
            (None, Some(product), None) => {
                self.reach.check_product(&configuration::product_id(product)?)?;
            }
            (None, None, _) => {}
        }
        let may_act = self.may_act_for(env_id)?;
        let found = configuration::env_by_id(env_id)?;
        Ok(found.filter(|found| may_act && found.is(product, env)))
    }
}

/// The environments of those names, as far as they are given, within reach; by name. Reads all environments.
fn named(reach: &Reach, product_id: Option<&ProductId>, env: Option<&str>) -> Result<Vec<Rc<Env>>> {
    let mut found = Vec::new();
    for row in products::all_envs()? {
        let has_names =
            product_id.is_none_or(|id| *id == row.product_id) && env.is_none_or(|env| env == row.env);
        if has_names && reach.holds(row.env_id, &row.product_id) {
            found.extend(configuration::env_by_id(row.env_id)?);
        }
    }
    found.sort_by(|one, other| (&one.product, &one.env).cmp(&(&other.product, &other.env)));
    Ok(found)
}

/// The environment named, where both names are given; without names the only one within reach.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`; `code` where several are meant; `PERMISSION_DENIED` for what is out of reach.
pub fn only_env(reach: &Reach, product: Option<&str>, env: Option<&str>, code: Code) -> Result<Rc<Env>> {
    if let (Some(product), Some(env)) = (product, env) {
        let env = configuration::env(product, env)?;
        reach.check(&env)?;
        return Ok(env);
    }
    let product_id = product.map(configuration::product_id).transpose()?;
    if let Some(product_id) = &product_id {
        reach.check_product(product_id)?;
    }
    match &named(reach, product_id.as_ref(), env)?[..] {
        [env] => Ok(env.clone()),
        [] if matches!(reach, Reach::Everywhere) => Err(no_env()),
        [] => Err(reach::out_of_reach()),
        several => {
            let names = several.iter().map(|env| format!("{} of {}", env.env, env.product));
            Err(Error::new(code, "product and env are needed: there are several environments")
                .detail(format!("There are {}.", listed(names)))
                .hint("Name both, or present an API key, which is for one."))
        }
    }
}

fn no_env() -> Error {
    Error::new(Code::EnvNotFound, "there is no such environment").hint(
        "Create a product and an environment with dialstack.product_create() and dialstack.env_create().",
    )
}
