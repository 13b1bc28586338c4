//! Row-level security for the application's own tables.

use std::ffi::CStr;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::required;
use crate::error::{self, Code, Error};
use crate::pg::catalog::table::role_name;
use crate::pg::triggers::Answer;
use crate::rls::condition::By;
use crate::rls::protect::{self, Protection};

const CODE: Code = Code::ProtectFailed;

/// Lets a session's user see and change only the rows of a table whose column names what the session
/// is of. Called again, it replaces what was there.
#[pg_extern(
    schema = "dialstack",
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
) -> Result<(), ErrorReport> {
    let relation = required(relation, "relation", CODE)?;
    let wanted = Protection {
        column: required(column_name, "column_name", CODE)?,
        product: required(product, "product", CODE)?,
        env: required(env, "env", CODE)?,
        by: parse_by(required(by, "by", CODE)?)?,
        device: required(device, "device", CODE)?,
        open_to: roles(required(open_to, "open_to", CODE)?)?,
        force: required(force, "force", CODE)?,
        tag,
        scope,
    };
    Ok(protect::protect_table(relation, &wanted)?)
}

/// Takes our policies away again, and leaves row-level security as it was before them. Nothing happens to
/// a table that has none.
#[pg_extern(
    schema = "dialstack",
    volatile,
    parallel_unsafe,
    sql = "CREATE FUNCTION dialstack.unprotect_table(relation regclass) RETURNS void \
           LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn unprotect_table(relation: Option<pg_sys::Oid>) -> Result<(), ErrorReport> {
    let relation = required(relation, "relation", CODE)?;
    Ok(protect::unprotect_table(relation)?)
}

/// Trigger function that marks a table of devices: `protect_table` creates its triggers, which never
/// fire. Creating one takes EXECUTE on it, so that no table is counted that no administrator chose.
#[pg_extern(
    schema = "dialstack",
    sql = "CREATE FUNCTION dialstack.device_table() RETURNS trigger \
           LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn device_table(_call: pg_sys::FunctionCallInfo) -> Result<Answer, ErrorReport> {
    let error = Error::new(CODE, "device_table() only marks tables of devices");
    Err(error
        .hint("Drop the trigger and call dialstack.protect_table() with device => true.")
        .into())
}

fn parse_by(by: &str) -> error::Result<By> {
    By::parse(by).ok_or_else(|| {
        let known = By::ALL.map(By::as_str).join(", ");
        Error::new(CODE, "by is not known").hint(format!("by is one of {known}."))
    })
}

/// The names of the roles that see every row, each once.
fn roles(given: Vec<Option<pg_sys::Oid>>) -> error::Result<Vec<String>> {
    let mut roles = Vec::with_capacity(given.len());
    for role in given {
        let role = role.and_then(role_name).ok_or_else(|| {
            Error::new(CODE, "open_to names a role that is not there")
                .hint("Name roles; everybody (PUBLIC) is none.")
        })?;
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    Ok(roles)
}
