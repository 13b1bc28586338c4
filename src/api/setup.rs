//! Products and environments.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::required;
use crate::error::Code;
use crate::service::products;

const CODE: Code = Code::DefineFailed;

/// Creates a product with its scopes and returns its id.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn product_create(
    product: Option<&str>,
    name: default!(Option<&str>, "NULL"),
    scopes: default!(Option<Vec<Option<String>>>, "NULL"),
) -> Result<pgrx::Uuid, ErrorReport> {
    let product = required(product, "product", CODE)?;
    let product_id = products::create(product, name, scopes.as_deref())?;
    Ok(pgrx::Uuid::from_bytes(product_id))
}

/// Creates an environment of a product.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn env_create(
    product: Option<&str>,
    env: Option<&str>,
    live: default!(Option<bool>, "true"),
) -> Result<(), ErrorReport> {
    let product = required(product, "product", CODE)?;
    let env = required(env, "env", CODE)?;
    let live = required(live, "live", CODE)?;
    Ok(products::create_env(product, env, live)?)
}

/// Deletes an environment and revokes its sessions.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn env_delete(product: Option<&str>, env: Option<&str>) -> Result<(), ErrorReport> {
    let product = required(product, "product", CODE)?;
    let env = required(env, "env", CODE)?;
    Ok(products::delete_env(product, env)?)
}
