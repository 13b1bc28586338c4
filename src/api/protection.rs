//! Row-level security for the application's own tables.

use std::ffi::CStr;

use pgrx::prelude::*;

use super::function::{Result, functions};
use super::required;
use crate::error::{self, Code, Error};
use crate::pg::catalog::table;
use crate::pg::roles::AsOwner;
use crate::rls::protect::{self, By, Sessions};
use crate::rls::registry::{self, Protection};
use crate::rls::row_security_before;
use crate::service::configuration;
use crate::service::scopes;

const CODE: Code = Code::ProtectFailed;

functions! { FUNCTIONS;
    /// Lets sessions see and change only those rows of a table whose column names what they are of.
    ///
    /// Called again, it replaces what it made before.
    #[level(Admin)]
    #[pg_extern(
        volatile,
        parallel_unsafe,
        sql = "CREATE FUNCTION dialstack.protect_table(relation regclass, column_name name, \
               product text, env text, by text DEFAULT 'account', tag text DEFAULT NULL, \
               scope text DEFAULT NULL, device boolean DEFAULT false, \
               open_to regrole[] DEFAULT '{}', force boolean DEFAULT false) RETURNS void \
               LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
    )]
    fn protect_table(
        relation: Option<pg_sys::Oid>,
        column_name: Option<&CStr>,
        product: Option<&str>,
        env: Option<&str>,
        by: Option<&str>,
        tag: Option<&str>,
        scope: Option<&str>,
        device: Option<bool>,
        open_to: Option<Vec<Option<pg_sys::Oid>>>,
        force: Option<bool>,
    ) -> Result<()> {
        let relation = required(relation, "relation", CODE)?;
        let column = required(column_name, "column_name", CODE)?;
        let product = required(product, "product", CODE)?;
        let env = required(env, "env", CODE)?;
        let by = parse_by(required(by, "by", CODE)?)?;
        let device = required(device, "device", CODE)?;
        let open_to = roles(required(open_to, "open_to", CODE)?)?;
        let force = required(force, "force", CODE)?;
        if device && by != By::ConnectedAccount {
            return Err(
                Error::new(CODE, "devices are counted by their connected account")
                    .hint("Set by => 'connected_account', or leave device out.")
                    .into(),
            );
        }
        let product_id = configuration::env(product, env)?.product_id;
        if let Some(tag) = tag {
            configuration::definition(&product_id, tag)?;
            if by != By::Identifier {
                return Err(Error::new(
                    CODE,
                    format!("by {}, no session would reach the table", by.as_str()),
                )
                .detail("Only user sessions have a tag; they have an identifier and none of the rest.")
                .hint("Leave tag out, or set by => 'identifier'.")
                .into());
            }
        }
        if let Some(scope) = scope {
            scopes::check(&product_id, scope)?;
        }
        let sessions = Sessions {
            product,
            env,
            tag,
            scope,
            by,
        };
        let column_name = column.to_string_lossy();
        let protection = Protection {
            column_name: &column_name,
            product_id,
            env,
            by: by.as_str(),
            tag,
            scope,
            device,
            open_to: &open_to,
            force,
        };
        Ok(protect(relation, column, &sessions, &protection)?)
    }

    /// Takes the policies of protect_table away again.
    ///
    /// Row-level security is left as it was before. A table that has none of our policies is left alone.
    #[level(Admin)]
    #[pg_extern(
        volatile,
        parallel_unsafe,
        sql = "CREATE FUNCTION dialstack.unprotect_table(relation regclass) RETURNS void \
               LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
    )]
    fn unprotect_table(relation: Option<pg_sys::Oid>) -> Result<()> {
        let relation = required(relation, "relation", CODE)?;
        Ok(unprotect(relation)?)
    }
}

fn protect(
    relation: pg_sys::Oid,
    column: &CStr,
    sessions: &Sessions<'_>,
    protection: &Protection<'_>,
) -> error::Result<()> {
    let family = table::lock(relation)?;
    if protection.device {
        check_device(&family.table, column)?;
    }
    // A number that was given out again is another table's.
    row_security_before::forget(&AsOwner::enter()?, &[])?;
    let names = protection.open_to.iter().copied();
    let open_to: Vec<String> = names.filter_map(protect::role_name).collect();
    for table in family.all() {
        protect::protect(table, column, sessions, &open_to, protection.force)?;
    }
    // Its parts are protected with it now, whatever was registered of them.
    let parts: Vec<pg_sys::Oid> = family.parts.iter().map(|table| table.oid).collect();
    let owner = AsOwner::enter()?;
    registry::forget(&owner, &parts)?;
    registry::store(&owner, relation, protection)
}

fn unprotect(relation: pg_sys::Oid) -> error::Result<()> {
    if !table::exists(relation) && forget(&[relation])? {
        // It was dropped, and only its rows were left.
        return Ok(());
    }
    let family = table::lock(relation)?;
    for table in family.all() {
        protect::unprotect(table)?;
    }
    let family: Vec<pg_sys::Oid> = family.all().map(|table| table.oid).collect();
    forget(&family).map(|_| ())
}

/// Forgets all about these tables. Tells whether one of them was registered.
fn forget(relations: &[pg_sys::Oid]) -> error::Result<bool> {
    let owner = AsOwner::enter()?;
    row_security_before::forget(&owner, relations)?;
    registry::forget(&owner, relations)
}

fn parse_by(by: &str) -> error::Result<By> {
    By::parse(by).ok_or_else(|| {
        let known = By::ALL.map(By::as_str).join(", ");
        Error::new(CODE, "by is not known").hint(format!("by is one of {known}."))
    })
}

/// The roles that see every row, each once.
fn roles(given: Vec<Option<pg_sys::Oid>>) -> error::Result<Vec<pg_sys::Oid>> {
    let mut roles = Vec::with_capacity(given.len());
    for role in given {
        let role = role.filter(|role| protect::role_name(*role).is_some());
        let role = role.ok_or_else(|| {
            Error::new(CODE, "open_to names a role that is not there")
                .hint("Name roles; everybody (PUBLIC) is none.")
        })?;
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    Ok(roles)
}

/// Counting devices knows two types.
fn check_device(table: &table::Table, column: &CStr) -> error::Result<()> {
    if table::column(table, column)?.exact {
        return Ok(());
    }
    Err(Error::new(CODE, "devices can't be counted by this column")
        .hint("The column must be of type uuid or text."))
}
