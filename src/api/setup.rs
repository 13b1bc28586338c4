//! Products, their environments and their scopes; the configuration as a document.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::{Result, functions, pg_uuid, required};
use crate::administration::env_update;
use crate::error::Code;
use crate::pg::datum::json::JsonText;
use crate::pg::datum::jsonb::Jsonb;
use crate::service::setup::{document, products, scopes};

const CODE: Code = Code::DefineFailed;

functions! { FUNCTIONS;
    /// Creates a product with its scopes and returns its id.
    #[level(Admin; audit(product => product_id))]
    fn product_create(
        product: Option<&str>,
        name: default!(Option<&str>, "NULL"),
        scopes: default!(Option<Array<'_, &str>>, "NULL"),
        if_not_exists: default!(Option<bool>, "false"),
    ) -> Result<pgrx::Uuid> {
        let product = required(product, "product", CODE)?;
        let if_not_exists = required(if_not_exists, "if_not_exists", CODE)?;
        Ok(pg_uuid(&products::create(product, name, scopes.as_ref(), if_not_exists)?))
    }

    /// Creates an environment of a product, live or for tests.
    #[level(Admin; audit(product, env, live))]
    fn env_create(
        product: Option<&str>,
        env: Option<&str>,
        live: default!(Option<bool>, "true"),
        if_not_exists: default!(Option<bool>, "false"),
    ) -> Result<()> {
        let product = required(product, "product", CODE)?;
        let env = required(env, "env", CODE)?;
        let live = required(live, "live", CODE)?;
        let if_not_exists = required(if_not_exists, "if_not_exists", CODE)?;
        Ok(products::create_env(product, env, live, if_not_exists)?)
    }

    /// Renames an environment, or makes it live or one for tests; its sessions and tokens stay good.
    ///
    /// Refused while a table names it in a policy or trigger, and a change of live while sessions or API keys live.
    #[level(Admin; audit(product, env, new_name, live))]
    fn env_update(
        product: Option<&str>,
        env: Option<&str>,
        new_name: default!(Option<&str>, "NULL"),
        live: default!(Option<bool>, "NULL"),
    ) -> Result<()> {
        let product = required(product, "product", CODE)?;
        let env = required(env, "env", CODE)?;
        Ok(env_update::update(product, env, new_name, live)?)
    }

    /// Deletes an environment and revokes all that lives in it.
    #[level(Admin; audit(product, env))]
    fn env_delete(product: Option<&str>, env: Option<&str>) -> Result<()> {
        let product = required(product, "product", CODE)?;
        let env = required(env, "env", CODE)?;
        Ok(products::delete_env(product, env)?)
    }

    /// Creates a scope of a product, which account sessions can then hold as a component.
    #[level(Admin; audit(product, scope))]
    fn scope_create(
        scope: Option<&str>,
        description: Option<&str>,
        product: default!(Option<&str>, "NULL"),
        if_not_exists: default!(Option<bool>, "false"),
    ) -> Result<()> {
        let scope = required(scope, "scope", CODE)?;
        let description = required(description, "description", CODE)?;
        let if_not_exists = required(if_not_exists, "if_not_exists", CODE)?;
        Ok(scopes::create(product, scope, description, if_not_exists)?)
    }

    /// Deletes a scope of a product and takes it away from the product's living sessions.
    #[level(Admin; audit(product, scope))]
    fn scope_delete(
        scope: Option<&str>,
        product: default!(Option<&str>, "NULL"),
    ) -> Result<()> {
        let scope = required(scope, "scope", CODE)?;
        Ok(scopes::delete(product, scope)?)
    }

    /// All products.
    #[level(Admin; unrecorded)]
    fn product_list() => table {
        product: String,
        product_id: pgrx::Uuid,
        name: String,
        created_at: TimestampWithTimeZone,
    } {
        products::list()?
    }

    /// Deletes a product with its environments, definitions and scopes, and revokes its sessions.
    #[level(Admin; audit(product))]
    fn product_delete(product: Option<&str>) -> Result<()> {
        Ok(products::delete(required(product, "product", CODE)?)?)
    }

    /// The environments of a product, or of all.
    #[level(Admin; unrecorded)]
    fn env_list(product: default!(Option<&str>, "NULL")) => table {
        product: String,
        env: String,
        live: bool,
        created_at: TimestampWithTimeZone,
    } {
        products::list_envs(product)?
    }

    /// The scopes of a product, or of all.
    #[level(Admin; unrecorded)]
    fn scope_list(product: default!(Option<&str>, "NULL")) => table {
        product: String,
        scope: String,
        description: String,
        created_at: TimestampWithTimeZone,
    } {
        scopes::list(product)?
    }

    /// Products, scopes, environments and definitions as one document, in a stable order; no secrets and no ids.
    #[level(Admin; unrecorded)]
    fn configuration_export() -> Result<JsonText> {
        Ok(document::export()?)
    }

    /// What must change for the configuration to be what a document says; with dry_run false, changes it.
    ///
    /// What is not in the document is deleted, and its sessions are revoked.
    #[level(Admin; audit(dry_run => all name))]
    fn configuration_apply(
        document: Option<Jsonb<'_>>,
        dry_run: default!(Option<bool>, "true"),
    ) => rows {
        action: &'static str,
        object: &'static str,
        name: String,
        change: JsonText,
    } {
        document::apply(document, dry_run)?
    }
}
