//! Renaming an environment, and making it live or one for tests.

use crate::error::{Code, Coded, Error, Result};
use crate::pg::roles::AsOwner;
use crate::pg::transaction::patience::patiently;
use crate::rls::protected;
use crate::service::setup::configuration;
use crate::service::setup::products::change_env;
use crate::session::check_name;
use crate::session::problem::{listed, shown};
use crate::tables::products;

const CODE: Code = Code::DefineFailed;

/// Changes an environment: what is not given stays.
///
/// # Errors
/// `DEFINE_FAILED` for a name that is not valid or is taken, for another name while a policy or trigger of a table
/// names the environment, and for a change between live and test while sessions or API keys live;
/// `PRODUCT_NOT_FOUND`, `ENV_NOT_FOUND`; `CONFLICT` where the transaction's snapshot is too old to show the environment
/// or what lives in it; that of [`patiently`].
pub fn update(product: &str, env: &str, new_name: Option<&str>, live: Option<bool>) -> Result<()> {
    if let Some(new_name) = new_name {
        check_name("new_name", new_name).coded(CODE)?;
    }
    configuration::env(product, env)?;
    let owner = AsOwner::enter()?;
    patiently(&owner, || {
        products::LOCK_ENVS.execute(&owner, &[])?;
        let env = configuration::env(product, env)?;
        let name = new_name.unwrap_or(&env.env);
        if name != env.env {
            if products::env_by_name(&env.product_id, name)?.is_some() {
                let message =
                    format!("product {:?} already has an environment {:?}", shown(product), shown(name));
                return Err(Error::new(CODE, message).hint("Choose another name."));
            }
            check_unnamed(&owner, product, &env.env)?;
        }
        change_env(&owner, &env, name, live)
    })
}

/// A policy under the old name would show nothing any more, and a trigger would fail each change of its table.
fn check_unnamed(owner: &AsOwner, product: &str, env: &str) -> Result<()> {
    let tables = protected::naming(owner, product, env)?;
    if tables.is_empty() {
        return Ok(());
    }
    Err(Error::new(CODE, "policies or triggers of tables name the environment")
        .detail(format!("The tables are: {}.", listed(tables)))
        .hint("In one transaction, call unprotect_table() and revoke_sessions_off() for them, rename, and make them again for the new name; dialstack.protected_table_list() says how they are protected."))
}
