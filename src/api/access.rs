//! Who may call what: the one list of functions and levels, and the functions that grant them.

use pgrx::pg_sys::{self, panic::ErrorReport};
use pgrx::prelude::*;

use super::required;
use crate::error::{self, Code, Error};
use crate::pg::roles::AsOwner;
use crate::service::access;
use crate::service::caller::Level;

use Level::{Admin, Client, Server};

/// Every function that can be granted, with the lowest level that may call it. Of functions that
/// share a name, the number of arguments tells which. A test compares this with the catalogue.
const LEVELS: &[(Level, &[&str])] = &[
    (
        Client,
        &[
            "session_verify",
            "session_refresh",
            "session_use",
            "session_clear",
            "session_end",
            "current_session_id",
            "current_session_kind",
            "current_identifier/0",
            "current_identifier/3",
            "current_account/0",
            "current_account/3",
            "current_connected_accounts/0",
            "current_connected_accounts/3",
            "current_user_identities/0",
            "current_user_identities/3",
            "current_product",
            "current_env",
            "current_tag",
            "current_scopes",
            "current_data",
            "current_session_error",
            "has_scope/1",
            "has_scope/4",
            "require_scope",
            "postgrest_pre_request",
            "account_session_create",
            "session_create/2",
            "client_session_create",
            "client_session_get_or_create",
            "client_session_get",
            "client_session_list",
            "client_session_grant_access",
            "client_session_revoke",
            "client_session_delete",
            "uuid_or_null",
            "bigint_or_null",
            "integer_or_null",
        ],
    ),
    (
        Server,
        &[
            "session_create/7",
            "session_start",
            "session_require",
            "session_revoke",
            "session_revoke_all",
            "session_list",
            "session_info",
            "session_update_data",
            "session_extend",
            "session_explain",
            "token_introspect",
            "revoke_on_change",
            "session_dashboard",
            "session_user_dashboard",
            "session_users",
            "session_user_details",
            "session_activity_logs",
        ],
    ),
    (
        Admin,
        &[
            "product_create",
            "env_create",
            "env_delete",
            "session_define",
            "session_register",
            "definition_create",
            "definition_update",
            "definition_delete",
            "definition_get",
            "definition_list",
            "scope_create",
            "scope_delete",
            "api_key_create",
            "api_key_list",
            "api_key_revoke",
            "signing_key_rotate",
            "signing_key_list",
            "signing_key_revoke",
            "root_key_rotate",
            "jwks",
            "instance_reset",
            "grant_access",
            "revoke_access",
            "access_list",
            "protect_table",
            "unprotect_table",
            "device_table",
            "policy_lint",
            "maintain",
            "schedule_maintenance",
        ],
    ),
];

/// What psql shows to administrators, with the lowest level that may read it.
const VIEWS: &[(Level, &[&str])] = &[(
    Admin,
    &[
        "active_sessions",
        "signing_key_status",
        "refresh_reuse",
        "api_key_usage",
    ],
)];

/// What a role with this level may read.
fn views_of(level: Level) -> Vec<String> {
    let own = VIEWS.iter().filter(|(lowest, _)| *lowest <= level);
    own.flat_map(|(_, names)| names.iter().map(|name| (*name).to_owned()))
        .collect()
}

/// What a role with this level may call: the functions of the level and of those below, and the
/// marker of the level itself.
fn functions_of(level: Level) -> Vec<String> {
    let own = LEVELS.iter().filter(|(lowest, _)| *lowest <= level);
    let mut functions: Vec<String> = own
        .flat_map(|(_, names)| names.iter().map(|name| (*name).to_owned()))
        .collect();
    functions.push(level.marker().to_string_lossy().into_owned());
    functions
}

fn level(access: Option<&str>) -> error::Result<Level> {
    let access = required(access, "access", Code::DefineFailed)?;
    Level::parse(access).ok_or_else(|| {
        Error::new(Code::DefineFailed, "the access level is not known")
            .hint("The access levels are admin, server and client.")
    })
}

/// Grants an access level, and with it those below.
#[pg_extern(
    schema = "dialstack",
    volatile,
    parallel_unsafe,
    sql = "CREATE FUNCTION dialstack.grant_access(role regrole, access text) RETURNS void \
           LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn grant_access(role: Option<pg_sys::Oid>, access: Option<&str>) -> Result<(), ErrorReport> {
    Ok(grant(role, access)?)
}

fn grant(role: Option<pg_sys::Oid>, access: Option<&str>) -> error::Result<()> {
    let role = required(role, "role", Code::DefineFailed)?;
    let level = level(access)?;
    let owner = AsOwner::enter()?;
    access::begin(&owner, role)?;
    access::grant(&owner, role, functions_of(level), views_of(level))
}

/// Takes an access level back. What another level that was granted to the role gives it, it keeps.
#[pg_extern(
    schema = "dialstack",
    volatile,
    parallel_unsafe,
    sql = "CREATE FUNCTION dialstack.revoke_access(role regrole, access text) RETURNS void \
           LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn revoke_access(role: Option<pg_sys::Oid>, access: Option<&str>) -> Result<(), ErrorReport> {
    Ok(revoke(role, access)?)
}

fn revoke(role: Option<pg_sys::Oid>, access: Option<&str>) -> error::Result<()> {
    let role = required(role, "role", Code::DefineFailed)?;
    let level = level(access)?;
    let owner = AsOwner::enter()?;
    access::begin(&owner, role)?;
    let granted = access::granted(&owner, role)?;
    if !granted.contains(&level) {
        return Ok(());
    }
    access::revoke(&owner, role)?;
    for kept in granted.into_iter().filter(|kept| *kept != level) {
        access::grant(&owner, role, functions_of(kept), views_of(kept))?;
    }
    Ok(())
}

/// The list of functions and levels: of functions that share a name, with the number of arguments.
#[pg_extern(schema = "dialstack", immutable, parallel_safe)]
fn access_list()
-> TableIterator<'static, (name!(function, &'static str), name!(access, &'static str))> {
    TableIterator::new(
        LEVELS
            .iter()
            .flat_map(|(level, names)| names.iter().map(|name| (*name, level.as_str()))),
    )
}

/// Declares the functions whose EXECUTE privilege marks who has a level.
macro_rules! markers {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => { $(
        $(#[$meta])*
        #[pg_extern(schema = "dialstack", immutable, parallel_safe)]
        fn $name() -> bool {
            true
        }
    )* };
}

markers! {
    /// Marks the roles with access `client`.
    access_client,
    /// Marks the roles with access `server`.
    access_server,
    /// Marks the roles with access `admin`.
    access_admin,
}
