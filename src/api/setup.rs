//! Products and environments.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::required;
use crate::error::{self, Code, Coded, Error};
use crate::pg::clock;
use crate::pg::roles::AsOwner;
use crate::service::configuration;
use crate::service::revocations::{self, Which};
use crate::session::problem::shown;
use crate::session::{check_label, check_name};
use crate::tables::products;

/// Longest display name of a product, in characters.
const MAX_PRODUCT_NAME: usize = 200;

#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn product_create(
    product: Option<&str>,
    name: default!(Option<&str>, "NULL"),
) -> Result<pgrx::Uuid, ErrorReport> {
    Ok(create_product(product, name)?)
}

fn create_product(product: Option<&str>, name: Option<&str>) -> error::Result<pgrx::Uuid> {
    let product = required(product, "product", Code::DefineFailed)?;
    check_name("product", product).coded(Code::DefineFailed)?;
    let name = name.unwrap_or(product);
    check_label("name", name, MAX_PRODUCT_NAME).coded(Code::DefineFailed)?;
    let owner = AsOwner::enter()?;
    products::insert(&owner, product, name)?.ok_or_else(|| {
        Error::new(
            Code::DefineFailed,
            format!("there is already a product {:?}", shown(product)),
        )
        .hint("Choose another name, or use the product that is there.")
    })
}

#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn env_create(
    product: Option<&str>,
    env: Option<&str>,
    live: default!(Option<bool>, "true"),
) -> Result<(), ErrorReport> {
    Ok(create_env(product, env, live)?)
}

fn create_env(product: Option<&str>, env: Option<&str>, live: Option<bool>) -> error::Result<()> {
    let product = required(product, "product", Code::DefineFailed)?;
    let env = required(env, "env", Code::DefineFailed)?;
    let live = required(live, "live", Code::DefineFailed)?;
    check_name("env", env).coded(Code::DefineFailed)?;
    let product_id = configuration::product_id(product)?;
    if products::insert_env(&AsOwner::enter()?, &product_id, env, live)? {
        return Ok(());
    }
    Err(Error::new(
        Code::DefineFailed,
        format!(
            "product {:?} already has an environment {:?}",
            shown(product),
            shown(env)
        ),
    )
    .hint("Choose another name, or use the environment that is there."))
}

/// Deletes the environment and revokes all that lives in it.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn env_delete(product: Option<&str>, env: Option<&str>) -> Result<(), ErrorReport> {
    Ok(delete_env(product, env)?)
}

fn delete_env(product: Option<&str>, env: Option<&str>) -> error::Result<()> {
    let product = required(product, "product", Code::DefineFailed)?;
    let env = required(env, "env", Code::DefineFailed)?;
    let env_id = configuration::env(product, env)?.env_id;
    let owner = AsOwner::enter()?;
    let cause = revocations::ENV_DELETED;
    revocations::revoke(&owner, &Which::Env(env_id), cause, clock::now())?;
    products::delete_env(&owner, env_id)
}
