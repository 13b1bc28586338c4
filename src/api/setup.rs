//! Products, their environments and their scopes.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::required;
use super::{Result, functions};
use crate::error::Code;
use crate::service::setup::products;
use crate::service::setup::scopes;

const CODE: Code = Code::DefineFailed;

functions! { FUNCTIONS;
    /// Creates a product with its scopes and returns its id.
    #[level(Admin; audit(product => product_id))]
    #[pg_extern(volatile, parallel_unsafe)]
    fn product_create(
        product: Option<&str>,
        name: default!(Option<&str>, "NULL"),
        scopes: default!(Option<Array<'_, &str>>, "NULL"),
    ) -> Result<pgrx::Uuid> {
        let product = required(product, "product", CODE)?;
        let product_id = products::create(product, name, scopes.as_ref())?;
        Ok(pgrx::Uuid::from_bytes(product_id))
    }

    /// Creates an environment of a product, live or for tests.
    #[level(Admin; audit(product, env, live))]
    #[pg_extern(volatile, parallel_unsafe)]
    fn env_create(
        product: Option<&str>,
        env: Option<&str>,
        live: default!(Option<bool>, "true"),
    ) -> Result<()> {
        let product = required(product, "product", CODE)?;
        let env = required(env, "env", CODE)?;
        let live = required(live, "live", CODE)?;
        Ok(products::create_env(product, env, live)?)
    }

    /// Deletes an environment and revokes all that lives in it.
    #[level(Admin; audit(product, env))]
    #[pg_extern(volatile, parallel_unsafe)]
    fn env_delete(product: Option<&str>, env: Option<&str>) -> Result<()> {
        let product = required(product, "product", CODE)?;
        let env = required(env, "env", CODE)?;
        Ok(products::delete_env(product, env)?)
    }

    /// Creates a scope of a product, which account sessions can then hold as a component.
    #[level(Admin; audit(product, scope))]
    #[pg_extern(volatile, parallel_unsafe)]
    fn scope_create(
        scope: Option<&str>,
        description: Option<&str>,
        product: default!(Option<&str>, "NULL"),
    ) -> Result<()> {
        let scope = required(scope, "scope", CODE)?;
        let description = required(description, "description", CODE)?;
        Ok(scopes::create(product, scope, description)?)
    }

    /// Deletes a scope of a product and takes it away from the product's living sessions.
    #[level(Admin; audit(product, scope))]
    #[pg_extern(volatile, parallel_unsafe)]
    fn scope_delete(
        scope: Option<&str>,
        product: default!(Option<&str>, "NULL"),
    ) -> Result<()> {
        let scope = required(scope, "scope", CODE)?;
        Ok(scopes::delete(product, scope)?)
    }

    /// All products.
    #[level(Admin; unrecorded)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn product_list() => rows {
        product: String,
        product_id: pgrx::Uuid,
        name: String,
        created_at: TimestampWithTimeZone,
    } {
        products::list()?
    }

    /// Deletes a product with its environments, definitions and scopes, and revokes its sessions.
    #[level(Admin; audit(product))]
    #[pg_extern(volatile, parallel_unsafe)]
    fn product_delete(product: Option<&str>) -> Result<()> {
        Ok(products::delete(required(product, "product", CODE)?)?)
    }

    /// The environments of a product, or of all.
    #[level(Admin; unrecorded)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn env_list(product: default!(Option<&str>, "NULL")) => rows {
        product: String,
        env: String,
        live: bool,
        created_at: TimestampWithTimeZone,
    } {
        products::list_envs(product)?
    }

    /// The scopes of a product, or of all.
    #[level(Admin; unrecorded)]
    #[pg_extern(volatile, parallel_unsafe)]
    fn scope_list(product: default!(Option<&str>, "NULL")) => rows {
        product: String,
        scope: String,
        description: String,
        created_at: TimestampWithTimeZone,
    } {
        scopes::list(product)?
    }
}
