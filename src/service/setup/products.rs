//! Creating and deleting products and their environments, and changing environments.

use crate::error::{Code, Coded, Error, Result};
use crate::pg::clock;
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::scan::lock_for_writing;
use crate::pg::statements::{FromRow, bind};
use crate::pg::transaction::patience::patiently;
use crate::service::caller;
use crate::service::revocation::revocations::{self, Which};
use crate::service::setup::configuration::{self, Env};
use crate::service::setup::notice_skipped;
use crate::session::name::MAX_PRODUCT_NAME;
use crate::session::problem::{listed, shown};
use crate::session::scopes::BUILT_IN;
use crate::session::{check_label, check_name};
use crate::tables::products::{self, Environments, ProductId};
use crate::tables::{api_keys, living, scopes};
use crate::token::Mode;

const CODE: Code = Code::DefineFailed;

/// Most scopes that a product is created with.
const MAX_SCOPES: usize = 1000;

/// Creates a product with its scopes and returns its id. Without `name` the product's name serves,
/// without `scopes` the built-in ones. A built-in name has its built-in description, any other an
/// empty one; a name that stands twice is one scope. With `if_not_exists` a product that is there stays as it is.
///
/// # Errors
/// `DEFINE_FAILED` for a name that is not valid, a null among the scopes, and a name that is taken.
pub fn create(
    product: &str,
    name: Option<&str>,
    scopes: Option<&pgrx::Array<'_, &str>>,
    if_not_exists: bool,
) -> Result<ProductId> {
    check_name("product", product).coded(CODE)?;
    let name = name.unwrap_or(product);
    check_label("name", name, MAX_PRODUCT_NAME).coded(CODE)?;
    let scopes = match scopes {
        Some(names) if names.len() > MAX_SCOPES => {
            return Err(Error::new(CODE, "scopes holds too many names")
                .hint(format!("Give at most {MAX_SCOPES}; scope_create() adds more.")));
        }
        Some(names) => names.iter().map(described).collect::<Result<_>>()?,
        None => BUILT_IN.to_vec(),
    };
    let owner = AsOwner::enter()?;
    if let Some(product_id) = products::insert(&owner, product, name)? {
        scopes::insert(&owner, &product_id, &scopes)?;
        return Ok(product_id);
    }
    if if_not_exists {
        let product_id = configuration::product_id(product)?;
        notice_skipped(&format!("product {product:?}"));
        return Ok(product_id);
    }
    Err(Error::new(CODE, format!("there is already a product {:?}", shown(product)))
        .hint("Choose another name, or say if_not_exists => true to keep the existing product."))
}

/// A scope of that name, with its description.
fn described(name: Option<&str>) -> Result<(&str, &str)> {
    let name = name.ok_or_else(|| Error::new(CODE, "scopes holds a null").hint("Leave the nulls out."))?;
    check_name("scope", name).coded(CODE)?;
    let built_in = BUILT_IN.into_iter().find(|(built_in, _)| *built_in == name);
    Ok(built_in.unwrap_or((name, "")))
}

/// The id of the product named; without a name that of the only one of the database.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`; `code` where there are several, which DETAIL lists.
pub fn named_or_only(product: Option<&str>, code: Code) -> Result<ProductId> {
    if let Some(product) = product {
        return configuration::product_id(product);
    }
    match &products::all()?[..] {
        [(product_id, ..)] => Ok(*product_id),
        [] => Err(Error::new(Code::ProductNotFound, "there is no product")
            .hint("Create one with dialstack.product_create().")),
        several => {
            let mut names: Vec<_> = several.iter().map(|(_, name, _)| name.as_str()).collect();
            names.sort_unstable();
            Err(Error::new(code, "product is needed: there are several products")
                .detail(format!("The products are: {}.", listed(names)))
                .hint("Name one of them: product => '...'."))
        }
    }
}

/// Creates an environment of a product: live, or for tests. With `if_not_exists` one that is there stays as it is.
///
/// # Errors
/// `DEFINE_FAILED` for a name that is not valid or is taken; those of [`configuration::kept`].
pub fn create_env(product: &str, env: &str, live: bool, if_not_exists: bool) -> Result<()> {
    check_name("env", env).coded(CODE)?;
    let owner = AsOwner::enter()?;
    // Before the product is looked up: deleting it locks the environments first.
    lock_for_writing::<Environments>()?;
    let product_id = configuration::kept_product(&owner, product)?;
    if products::insert_env(&owner, &product_id, env, live)? {
        return Ok(());
    }
    if if_not_exists {
        notice_skipped(&format!("environment {env:?} of product {product:?}"));
        return Ok(());
    }
    Err(Error::new(CODE, format!("product {:?} already has an environment {:?}", shown(product), shown(env)))
        .hint("Choose another name, or say if_not_exists => true to keep the existing environment."))
}

/// Gives an environment a name, which must be free, and makes it live or one for tests where that is given. Its sessions,
/// tokens and API keys stay good under another name: they know their environment by its number.
///
/// # Errors
/// `DEFINE_FAILED` for a change between live and test while sessions or API keys live; `CONFLICT` where the
/// transaction's snapshot is too old to show the environment or what lives in it.
pub fn change_env(owner: &AsOwner, env: &Env, name: &str, live: Option<bool>) -> Result<()> {
    let is_live = env.mode == Mode::Live;
    let live = live.unwrap_or(is_live);
    if live != is_live {
        check_empty(owner, env)?;
    }
    if name == env.env && live == is_live {
        return Ok(());
    }
    if products::update_env(owner, env.env_id, name, live)? {
        return Ok(());
    }
    Err(products::env_too_new())
}

/// Refresh tokens and API keys say whether they are live, and are refused where they say something else.
fn check_empty(owner: &AsOwner, env: &Env) -> Result<()> {
    living::KEEP_NEW_OUT.execute(owner, &[])?;
    let now = clock::now();
    living::lock_ended(owner, env.env_id, now)?;
    let (sessions, api_keys) = living::count(owner, vec![env.env_id], None, now)?;
    if sessions + api_keys > 0 {
        return Err(Error::new(Code::DefineFailed, "sessions or API keys live in the environment, and would die unnoticed")
            .detail(format!(
                "Living sessions: {sessions}; API keys: {api_keys}. Their tokens say whether they are live or for tests."))
            .hint("Revoke them with dialstack.session_revoke_where() and dialstack.api_key_revoke(), or create another environment."));
    }
    revocations::check_done(!living::any_hidden(env.env_id, now)?)
}

/// Deletes an environment and revokes its sessions and API keys.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`; `CONFLICT` where the transaction's snapshot is too old to
/// show the environment or one of the sessions; that of [`patiently`].
pub fn delete_env(product: &str, env: &str) -> Result<()> {
    let env_id = configuration::env(product, env)?.env_id;
    let owner = AsOwner::enter()?;
    patiently(&owner, || delete_env_now(&owner, env_id))
}

/// Deletes an environment and revokes its sessions and API keys; waits for locks as any statement does.
///
/// # Errors
/// `CONFLICT` as [`delete_env`].
pub fn delete_env_now(owner: &AsOwner, env_id: i32) -> Result<()> {
    living::KEEP_NEW_OUT.execute(owner, &[])?;
    let now = clock::now();
    let which = Which::All { env_id: Some(env_id), definition_id: None };
    revocations::revoke(owner, &which, revocations::ENV_DELETED, now)?;
    api_keys::revoke_all(owner, env_id, now)?;
    revocations::check_done(!living::any_hidden(env_id, now)?)?;
    products::delete_env(owner, env_id)
}

/// All products, by name.
///
/// # Errors
/// `PERMISSION_DENIED` with an API key.
pub fn list<R: FromRow>() -> Result<Vec<R>> {
    caller::without_key()?;
    products::LIST.read(&AsOwner::enter()?, &[], R::from_row)
}

/// The environments of the product named, or of all.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`; `PERMISSION_DENIED` with an API key.
pub fn list_envs<R: FromRow>(product: Option<&str>) -> Result<Vec<R>> {
    caller::without_key()?;
    let product_id = product.map(configuration::product_id).transpose()?;
    products::LIST_ENVS.read(&AsOwner::enter()?, &[bind(product_id.as_ref().map(pg_uuid))], R::from_row)
}

/// Deletes a product with its environments, definitions and scopes, and revokes its sessions.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`; `PERMISSION_DENIED` with an API key; `CONFLICT` as [`delete_env`]; that of [`patiently`].
pub fn delete(product: &str) -> Result<()> {
    caller::without_key()?;
    configuration::product_id(product)?;
    let owner = AsOwner::enter()?;
    patiently(&owner, || delete_now(&owner, product))
}

/// Deletes a product with all of it; waits for locks as any statement does.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`; `CONFLICT` as [`delete_env`].
pub fn delete_now(owner: &AsOwner, product: &str) -> Result<()> {
    // Nobody adds an environment meanwhile, whose sessions would be left without an end.
    products::LOCK_ENVS.execute(owner, &[])?;
    let product_id = configuration::kept_product(owner, product)?;
    for env_id in products::env_ids(&product_id)? {
        delete_env_now(owner, env_id)?;
    }
    products::delete(owner, &product_id)
}
