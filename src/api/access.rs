//! Access levels: which role may call which function.

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::CHAPTERS;
use super::{Result, functions};
use crate::service::access;

functions! { FUNCTIONS;
    /// Grants a role an access level (admin, server, client or monitor), and with it those that it includes.
    #[level(Admin; audit(role as role, access))]
    #[pg_extern(
        volatile, parallel_unsafe,
        sql = "CREATE FUNCTION dialstack.grant_access(role regrole, access text) RETURNS void \
               LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
    )]
    fn grant_access(role: Option<pg_sys::Oid>, access: Option<&str>) -> Result<()> {
        Ok(access::grant(role, access, CHAPTERS)?)
    }

    /// Takes an access level back; the role keeps what another level gives it.
    #[level(Admin; audit(role as role, access))]
    #[pg_extern(
        volatile, parallel_unsafe,
        sql = "CREATE FUNCTION dialstack.revoke_access(role regrole, access text) RETURNS void \
               LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
    )]
    fn revoke_access(role: Option<pg_sys::Oid>, access: Option<&str>) -> Result<()> {
        Ok(access::revoke(role, access, CHAPTERS)?)
    }

    /// Every function with the access levels that may call it (null: none), but for those that include one of them,
    /// and its comment.
    #[level(Admin; unrecorded)]
    #[pg_extern(stable, parallel_unsafe)]
    fn access_list() => rows { function: String, access: Option<String>, description: String } {
        access::list(CHAPTERS)?
    }

    /// Marks the roles with access client: they may call it.
    #[level(Internal)]
    #[pg_extern(immutable, parallel_safe)]
    fn access_client() -> bool {
        true
    }

    /// Marks the roles with access server: they may call it.
    #[level(Internal)]
    #[pg_extern(immutable, parallel_safe)]
    fn access_server() -> bool {
        true
    }

    /// Marks the roles with access monitor: they may call it.
    #[level(Internal)]
    #[pg_extern(immutable, parallel_safe)]
    fn access_monitor() -> bool {
        true
    }

    /// Marks the roles with access admin: they may call it.
    #[level(Internal)]
    #[pg_extern(immutable, parallel_safe)]
    fn access_admin() -> bool {
        true
    }
}
