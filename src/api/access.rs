//! Access levels: which role may call which function.

use pgrx::prelude::*;

use super::{CHAPTERS, Result, functions};
use crate::pg::datum::sql_type::Regrole;
use crate::service::access;

/// The chapter with the markers: functions whose EXECUTE privilege says who has which level.
macro_rules! chapter {
    ($($(#[doc = $line:literal])+ $marker:ident,)+) => { functions! { FUNCTIONS;
    /// Grants a role an access level (admin, server, client or monitor), and with it those that it includes; server and
    /// client everywhere, or in a product or one of its environments.
    #[level(Admin; audit(role, access, product, env))]
    fn grant_access(
        role: Option<Regrole>,
        access: Option<&str>,
        product: default!(Option<&str>, "NULL"),
        env: default!(Option<&str>, "NULL"),
    ) -> Result<()> {
        Ok(access::grant(role.map(|role| role.0), access, product, env, CHAPTERS)?)
    }

    /// Takes an access level back, with its limits; the role keeps what another level gives it.
    #[level(Admin; audit(role, access))]
    fn revoke_access(role: Option<Regrole>, access: Option<&str>) -> Result<()> {
        Ok(access::revoke(role.map(|role| role.0), access, CHAPTERS)?)
    }

    /// Which role was granted which access level, and its limits, one row each; with what is wrong about them.
    #[level(Admin; unrecorded)]
    #[pg_extern(stable, parallel_unsafe)]
    fn access_of_roles() => table {
        role: String,
        level: String,
        limited: bool,
        product: Option<String>,
        env: Option<String>,
        finding: Option<String>,
    } {
        access::of_roles()?
    }

    /// Forgets the limits of a role that does not exist here any more; returns how many.
    #[level(Admin; audit(role_name => rows))]
    fn access_forget(role_name: Option<&str>) -> Result<i64> {
        Ok(access::forget(role_name)?)
    }

    /// Every function with the access levels that may call it (null: none), but for those that include one of them,
    /// and its comment.
    #[level(Admin; unrecorded)]
    #[pg_extern(stable, parallel_unsafe)]
    fn access_list() => table { function: String, access: Option<String>, description: String } {
        access::list(CHAPTERS)?
    }

    $(
        $(#[doc = $line])+
        #[level(Internal)]
        #[pg_extern(immutable, parallel_safe)]
        fn $marker() -> bool {
            true
        }
    )+
    } };
}
chapter! {
    /// Marks the roles with access client without limits: they may call it.
    access_client,
    /// Marks the roles with access server without limits: they may call it.
    access_server,
    /// Marks the roles with access client within limits: they may call it.
    access_client_limited,
    /// Marks the roles with access server within limits: they may call it.
    access_server_limited,
    /// Marks the roles with access monitor: they may call it.
    access_monitor,
    /// Marks the roles with access admin: they may call it.
    access_admin,
}
