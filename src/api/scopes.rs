//! Scopes.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::required;
use crate::error::Code;
use crate::service::scopes;

/// Creates a scope of a product, which account sessions can then hold as a component.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn scope_create(
    scope: Option<&str>,
    description: Option<&str>,
    product: default!(Option<&str>, "NULL"),
) -> Result<(), ErrorReport> {
    let scope = required(scope, "scope", Code::DefineFailed)?;
    let description = required(description, "description", Code::DefineFailed)?;
    Ok(scopes::create(product, scope, description)?)
}

/// Deletes a scope of a product and takes it away from the product's living sessions.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn scope_delete(
    scope: Option<&str>,
    product: default!(Option<&str>, "NULL"),
) -> Result<(), ErrorReport> {
    let scope = required(scope, "scope", Code::DefineFailed)?;
    Ok(scopes::delete(product, scope)?)
}
