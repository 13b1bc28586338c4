//! Scopes.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::required;
use crate::error::{self, Code, Coded, Error};
use crate::pg::roles::AsOwner;
use crate::session::{check_name, check_text};
use crate::tables::scopes;

/// Longest description of a scope, in characters.
const MAX_DESCRIPTION: usize = 2000;

/// Creates a scope, which account sessions can then hold as a component.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn scope_create(scope: Option<&str>, description: Option<&str>) -> Result<(), ErrorReport> {
    Ok(create(scope, description)?)
}

fn create(scope: Option<&str>, description: Option<&str>) -> error::Result<()> {
    let scope = required(scope, "scope", Code::DefineFailed)?;
    let description = required(description, "description", Code::DefineFailed)?;
    check_name("scope", scope).coded(Code::DefineFailed)?;
    check_text("description", description, MAX_DESCRIPTION).coded(Code::DefineFailed)?;
    if scopes::insert(&AsOwner::enter()?, scope, description)? {
        return Ok(());
    }
    Err(Error::new(
        Code::DefineFailed,
        format!("there is already a scope {scope:?}"),
    )
    .hint("Choose another name, or use the scope that is there."))
}

/// Deletes a scope and takes it away from every living session.
#[pg_extern(schema = "dialstack", volatile, parallel_unsafe)]
fn scope_delete(scope: Option<&str>) -> Result<(), ErrorReport> {
    Ok(delete(scope)?)
}

fn delete(scope: Option<&str>) -> error::Result<()> {
    let scope = required(scope, "scope", Code::DefineFailed)?;
    let owner = AsOwner::enter()?;
    if scopes::delete(&owner, scope)? {
        return Ok(());
    }
    if scopes::names(&owner)?.iter().any(|name| name == scope) {
        return Err(Error::new(
            Code::DefineFailed,
            format!("the scope {scope:?} is built in"),
        )
        .hint("Built-in scopes stay; leave them out of the components instead."));
    }
    Err(
        Error::new(Code::ScopeNotFound, format!("there is no scope {scope:?}"))
            .hint("Check the spelling; names are case-sensitive."),
    )
}
