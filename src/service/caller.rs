//! The caller and what it may do: by the access level of its role, narrowed by the API key that it presents.

use std::ffi::CStr;
use std::rc::Rc;

use pgrx::pg_sys;
use serde_json::json;
use uuid::Uuid;

use crate::error::{Code, Error, Result};
use crate::guc;
use crate::log_events::Event;
use crate::pg::clock;
use crate::pg::relcache;
use crate::pg::roles::{AsOwner, current_user, may_execute};
use crate::pg::statements::{Statement, bind};
use crate::service::events;
use crate::service::setup::configuration::{self, Env};
use crate::tables::api_keys;
use crate::text_enum::text_enum;
use crate::token::api_key::{self, ApiKeyKind};

/// What a caller presents itself with.
pub enum Caller {
    /// A role with access level `server`, and no API key.
    Server,
    /// Any role with an API key.
    Key(PresentedKey),
}

/// A good API key.
pub struct PresentedKey {
    /// Its id.
    pub api_key_id: Uuid,
    /// Secret or publishable.
    pub kind: ApiKeyKind,
    /// The environment that it is for.
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
    let presented = api_key::parse(&text).ok_or_else(unknown)?;
    let row = api_keys::by_hash(&presented.hash)?.ok_or_else(unknown)?;
    if row.revoked {
        return Err(key_invalid("revoked", "It was revoked.", Some(row.api_key_id)));
    }
    if row.expires_at.is_some_and(|at| at <= clock::now()) {
        return Err(key_invalid("expired", "It has expired.", Some(row.api_key_id)));
    }
    let env = configuration::env_by_id(row.env_id)?
        .ok_or_else(|| key_invalid("env_deleted", "Its environment was deleted.", Some(row.api_key_id)))?;
    // The prefix is part of what was hashed, so these hold unless somebody edited the table.
    if row.kind != presented.kind || env.mode != presented.mode {
        return Err(unknown());
    }
    Ok(Some(PresentedKey { api_key_id: row.api_key_id, kind: row.kind, env }))
}

/// The caller.
///
/// # Errors
/// `API_KEY_INVALID`; `PERMISSION_DENIED` for a role below `server` without an API key.
pub fn caller() -> Result<Caller> {
    if let Some(key) = presented_key()? {
        return Ok(Caller::Key(key));
    }
    if has_level(Level::Server)? {
        return Ok(Caller::Server);
    }
    Err(Error::new(Code::PermissionDenied, "an API key is needed")
        .detail("The role has no access of level server.")
        .hint("Present a key with SET LOCAL dialstack_sessions.api_key, or let an administrator call dialstack.grant_access()."))
}

/// A caller whose role has level `server`, held to the API key that it presents, if any.
///
/// # Errors
/// `API_KEY_INVALID`; `PERMISSION_DENIED` for a publishable key.
pub fn narrowed() -> Result<Caller> {
    let caller = presented_key()?.map_or(Caller::Server, Caller::Key);
    caller.full()?;
    Ok(caller)
}

/// Holds the caller to the API key that it presents, if any, where its role alone would allow more.
/// Returns the key's id.
///
/// # Errors
/// `API_KEY_INVALID`; `PERMISSION_DENIED` for a publishable key, or one of another environment.
pub fn narrow(env_id: i32) -> Result<Option<Uuid>> {
    let caller = narrowed()?;
    if caller.key().is_some_and(|key| key.env.env_id != env_id) {
        return Err(other_env());
    }
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

/// Environments of one product.
#[derive(Default)]
pub struct Envs {
    /// Their numbers.
    pub ids: Vec<i32>,
    /// Their names, in the same order.
    pub names: Vec<String>,
}

impl Envs {
    fn one(env: &Env) -> Self {
        Envs { ids: vec![env.env_id], names: vec![env.env.clone()] }
    }
}

/// The environments that are meant: the one named, else all of the product; those of them that the
/// API key allows which the caller presents, if any.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`; those of [`narrow`].
pub fn envs(product: &str, env: Option<&str>) -> Result<Envs> {
    if let Some(env) = env {
        let env = configuration::env(product, env)?;
        narrow(env.env_id)?;
        return Ok(Envs::one(&env));
    }
    configuration::product_id(product)?;
    match narrowed()?.key() {
        None => envs_of(product),
        Some(key) => Ok(Envs::one(key.env_if(Some(product), None)?.as_ref())),
    }
}

/// By name.
static ENVS_OF: Statement = Statement::new(
    "SELECT e.env_id, e.env FROM dialstack.environments e \
            JOIN dialstack.products p USING (product_id) WHERE p.product = $1 ORDER BY e.env",
);

fn envs_of(product: &str) -> Result<Envs> {
    let found = ENVS_OF.read(&AsOwner::enter()?, &[bind(product)], |row| {
        Ok((row.required::<i32>(1)?, row.required::<String>(2)?))
    })?;
    let (ids, names) = found.into_iter().unzip();
    Ok(Envs { ids, names })
}

fn other_env() -> Error {
    Error::new(Code::PermissionDenied, "the API key is for another product or environment")
        .hint("Leave product and env out, or present the key that is for them.")
}

impl PresentedKey {
    /// Its environment.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` where another one is named.
    fn env_if(&self, product: Option<&str>, env: Option<&str>) -> Result<Rc<Env>> {
        if self.env.is(product, env) { Ok(self.env.clone()) } else { Err(other_env()) }
    }
}

impl Caller {
    /// The API key, if the caller presents one.
    pub fn key(&self) -> Option<&PresentedKey> {
        match self {
            Caller::Key(key) => Some(key),
            Caller::Server => None,
        }
    }

    /// Refuses publishable keys.
    pub fn full(&self) -> Result<()> {
        match self {
            Caller::Key(PresentedKey { kind: ApiKeyKind::Publishable, .. }) => Err(Error::new(
                Code::PermissionDenied,
                "a publishable key may only create empty client sessions",
            )
            .hint("Call this from your backend, with a secret key.")),
            _ => Ok(()),
        }
    }

    /// The publishable key, if that is what the caller has.
    pub fn publishable(&self) -> Option<&PresentedKey> {
        match self {
            Caller::Key(key) if key.kind == ApiKeyKind::Publishable => Some(key),
            _ => None,
        }
    }

    /// The id of the API key, if the caller has one.
    pub fn api_key_id(&self) -> Option<Uuid> {
        self.key().map(|key| key.api_key_id)
    }

    /// The environment meant: the key's own, or the one named; without names the only one there is.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` for another environment than the key's; `PRODUCT_NOT_FOUND`,
    /// `ENV_NOT_FOUND`; `code` where several are meant.
    pub fn env(&self, product: Option<&str>, env: Option<&str>, code: Code) -> Result<Rc<Env>> {
        match self {
            Caller::Key(key) => key.env_if(product, env),
            Caller::Server => only_env(product, env, code),
        }
    }

    /// The environment of what is named by its id: `None` unless it has the names that are given, and is the key's.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` where another environment than the key's is named; `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`.
    pub fn env_of(&self, env_id: i32, product: Option<&str>, env: Option<&str>) -> Result<Option<Rc<Env>>> {
        match (self.key(), product, env) {
            (Some(key), ..) => drop(key.env_if(product, env)?),
            (None, Some(product), Some(env)) => drop(configuration::env(product, env)?),
            (None, Some(product), None) => drop(configuration::product_id(product)?),
            (None, None, _) => {}
        }
        let is_keys = self.key().is_none_or(|key| key.env.env_id == env_id);
        let found = configuration::env_by_id(env_id)?;
        Ok(found.filter(|found| is_keys && found.is(product, env)))
    }
}

/// One more than are named in an error.
static ENVS: Statement = Statement::new(
    "SELECT e.env_id, p.product, e.env FROM dialstack.environments e \
            JOIN dialstack.products p USING (product_id) \
           WHERE ($1 IS NULL OR p.product = $1) AND ($2 IS NULL OR e.env = $2) \
           ORDER BY p.product, e.env LIMIT 11",
);

/// The environment named, where both names are given; without names the only one there is.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`; `code` where several are meant.
pub fn only_env(product: Option<&str>, env: Option<&str>, code: Code) -> Result<Rc<Env>> {
    if let (Some(product), Some(env)) = (product, env) {
        return configuration::env(product, env);
    }
    if let Some(product) = product {
        configuration::product_id(product)?;
    }
    let owner = AsOwner::enter()?;
    let found = ENVS.read(&owner, &[bind(product), bind(env)], |row| {
        let names: [String; 2] = [row.required(2)?, row.required(3)?];
        Ok((row.required::<i32>(1)?, names))
    })?;
    match &found[..] {
        [(env_id, _)] => configuration::env_by_id(*env_id)?.ok_or_else(no_env),
        [] => Err(no_env()),
        several => {
            let mut names: Vec<String> =
                several.iter().map(|(_, [product, env])| format!("{env} of {product}")).take(10).collect();
            if several.len() > names.len() {
                names.push("and more".to_owned());
            }
            Err(Error::new(code, "product and env are needed: there are several environments")
                .detail(format!("There are {}.", names.join(", ")))
                .hint("Name both, or present an API key, which is for one."))
        }
    }
}

fn no_env() -> Error {
    Error::new(Code::EnvNotFound, "there is no such environment").hint(
        "Create a product and an environment with dialstack.product_create() and dialstack.env_create().",
    )
}

text_enum! {
    /// What a role may do. Which level includes which, [`Level::includes`] says.
    pub enum Level {
        /// What a user's own connection needs.
        Client = "client",
        /// What a backend needs.
        Server = "server",
        /// Figures, and nothing about a person.
        Monitor = "monitor",
        /// Everything.
        Admin = "admin",
    }
}

impl Level {
    /// The function whose EXECUTE privilege marks who has the level.
    pub const fn marker(self) -> &'static CStr {
        match self {
            Level::Client => c"access_client",
            Level::Server => c"access_server",
            Level::Monitor => c"access_monitor",
            Level::Admin => c"access_admin",
        }
    }

    /// Whether a role with this level may do what the other one allows.
    pub fn includes(self, other: Level) -> bool {
        self == other
            || match self {
                Level::Admin => true,
                Level::Server => other == Level::Client,
                Level::Client | Level::Monitor => false,
            }
    }
}

/// Whether the current user has this level, or one that includes it.
///
/// # Errors
/// `JWT_NOT_AVAILABLE` where this database lacks the functions that mark the levels.
pub fn has_level(level: Level) -> Result<bool> {
    role_has_level(current_user(), level)
}

/// Whether a role has this level, or one that includes it.
///
/// # Errors
/// As [`has_level`].
pub fn role_has_level(role: pg_sys::Oid, level: Level) -> Result<bool> {
    // Accepts invalidations: a level that was just granted or revoked counts.
    relcache::epoch();
    let mut has = false;
    for marked in Level::ALL.iter().filter(|marked| marked.includes(level)) {
        has |= may_execute(role, marked.marker()).ok_or_else(|| {
            Error::new(Code::JwtNotAvailable, "the functions of the extension are not in this database").hint(
                "Run CREATE EXTENSION dialstack_sessions, or ALTER EXTENSION dialstack_sessions UPDATE.",
            )
        })?;
    }
    Ok(has)
}
