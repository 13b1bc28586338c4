//! Creating and deleting the scopes of a product.

use crate::error::{Code, Coded, Error, Result};
use crate::pg::datum::uuid::pg_uuid;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{FromRow, bind};
use crate::pg::transaction::patience::patiently;
use crate::service::caller;
use crate::service::revocation::revocations;
use crate::service::setup::{configuration, notice_skipped, products};
use crate::session::name::MAX_SCOPE_DESCRIPTION;
use crate::session::problem::shown;
use crate::session::{check_name, check_text};
use crate::tables::products::{ProductId, env_ids, keep};
use crate::tables::scopes;

/// Creates a scope of the product named, or of the only one. Sessions that exist do not get it. With `if_not_exists`
/// one that is there stays as it is.
///
/// # Errors
/// `DEFINE_FAILED` for a name or description that is not valid, and a name that is taken; those of
/// [`products::named_or_only`].
pub fn create(product: Option<&str>, scope: &str, description: &str, if_not_exists: bool) -> Result<()> {
    let code = Code::DefineFailed;
    check_name("scope", scope).coded(code)?;
    check_text("description", description, MAX_SCOPE_DESCRIPTION).coded(code)?;
    let owner = AsOwner::enter()?;
    let product_id =
        configuration::kept(|| products::named_or_only(product, code), |found| keep(&owner, found))?;
    if scopes::insert(&owner, &product_id, &[(scope, description)])? == 1 {
        return Ok(());
    }
    if if_not_exists {
        notice_skipped(&format!("scope {scope:?}"));
        return Ok(());
    }
    Err(Error::new(code, format!("the product already has a scope {:?}", shown(scope)))
        .hint("Choose another name, or say if_not_exists => true to keep the existing scope."))
}

/// Deletes a scope of the product named, or of the only one, and takes it away from the product's
/// sessions that are not revoked.
///
/// # Errors
/// `SCOPE_NOT_FOUND`; `CONFLICT` where the transaction's snapshot is too old to show one of the
/// sessions; those of [`products::named_or_only`] and of [`patiently`].
pub fn delete(product: Option<&str>, scope: &str) -> Result<()> {
    let product_id = products::named_or_only(product, Code::DefineFailed)?;
    let owner = AsOwner::enter()?;
    patiently(&owner, || delete_now(&owner, &product_id, scope))
}

/// Deletes a scope and takes it away from the sessions; waits for locks as any statement does.
///
/// # Errors
/// `SCOPE_NOT_FOUND`; `CONFLICT` as [`delete`].
pub fn delete_now(owner: &AsOwner, product_id: &ProductId, scope: &str) -> Result<()> {
    scopes::LOCK.execute(owner, &[])?;
    if !scopes::delete(owner, product_id, scope)? {
        let is_there = scopes::names(product_id)?.iter().any(|name| name == scope);
        let missing = || not_found(scope).hint("Check the spelling; names are case-sensitive.");
        return Err(if is_there { configuration::too_new() } else { missing() });
    }
    let env_ids = env_ids(product_id)?;
    scopes::take_away(owner, &env_ids, scope)?;
    revocations::check_none_hidden(|row| {
        row.revoke_reason.is_none()
            && env_ids.contains(&row.env_id)
            && row.scopes.iter().flatten().any(|held| held == scope)
    })
}

/// Checks that a product has a scope.
pub fn check(product_id: &ProductId, scope: &str) -> Result<()> {
    let names = scopes::names(product_id)?;
    if names.iter().any(|name| name == scope) {
        return Ok(());
    }
    Err(not_found(scope)
        .hint("Create it with dialstack.scope_create(), or check the spelling; names are case-sensitive."))
}

fn not_found(scope: &str) -> Error {
    Error::new(Code::ScopeNotFound, format!("the product has no scope {:?}", shown(scope)))
}

/// The scopes of the product named, or of all.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`; `PERMISSION_DENIED` with an API key.
pub fn list<R: FromRow>(product: Option<&str>) -> Result<Vec<R>> {
    caller::without_key()?;
    let product_id = product.map(configuration::product_id).transpose()?;
    scopes::LIST.read(&AsOwner::enter()?, &[bind(product_id.as_ref().map(pg_uuid))], R::from_row)
}
