//! Which tables of the application are protected, and which name an environment.

use std::collections::BTreeSet;

use pgrx::pg_sys;

use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::rls::registry::Registration;
use crate::service::setup::configuration::{self, Env};
use crate::tables::products;

/// A table that `protect_table` was called for.
pub struct Protected {
    pub oid: pg_sys::Oid,
    /// Its schema and name, quoted as SQL needs them.
    pub name: String,
    /// How it is protected; `None` where the comment on the policy is gone, or is not one of ours any more.
    pub registration: Option<Registration>,
    /// Whether its rows are devices.
    pub device: bool,
}

/// Partitions, and what inherits from a protected table, are part of it. A comment of ours is much shorter than what
/// is read of one.
static PROTECTED: Statement = Statement::new(
    "SELECT p.polrelid, format('%I.%I', n.nspname, c.relname), \
            left(obj_description(p.oid, 'pg_policy'), 100000), \
            EXISTS (SELECT FROM pg_catalog.pg_trigger g \
                     WHERE g.tgrelid = p.polrelid AND g.tgname = 'dialstack_sessions_devices') \
       FROM pg_catalog.pg_policy p \
       JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
      WHERE p.polname = 'dialstack_sessions_access' \
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i \
                          JOIN pg_catalog.pg_policy w ON w.polrelid = i.inhparent AND w.polname = p.polname \
                         WHERE i.inhrelid = c.oid) \
      ORDER BY n.nspname, c.relname",
);

/// All protected tables, by schema and name.
pub fn tables(owner: &AsOwner) -> Result<Vec<Protected>> {
    PROTECTED.read(owner, &[], |row| {
        let comment: Option<String> = row.get(3)?;
        Ok(Protected {
            oid: row.required(1)?,
            name: row.required(2)?,
            registration: comment.as_deref().and_then(Registration::parse),
            device: row.required(4)?,
        })
    })
}

/// The tables with triggers, ours or handwritten ones, that revoke sessions of an environment. Product and environment
/// are the first two of a trigger's arguments.
static REVOKING: Statement = Statement::new(
    "SELECT DISTINCT format('%I.%I', n.nspname, c.relname) \
       FROM pg_catalog.pg_depend d \
       JOIN pg_catalog.pg_trigger g ON g.oid = d.objid \
       JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid \
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
      CROSS JOIN LATERAL (SELECT convert_to($1, 'UTF8') || e.nd || convert_to($2, 'UTF8') || e.nd \
                            FROM decode('00', 'hex') AS e (nd)) AS of (place) \
      WHERE d.refclassid = 'pg_proc'::regclass AND d.classid = 'pg_trigger'::regclass \
        AND d.refobjid = 'dialstack.revoke_on_change()'::regprocedure \
        AND g.tgparentid = 0 \
        AND substr(g.tgargs, 1, octet_length(place)) = place",
);

/// Keeps an environment under its name until the transaction ends, for a policy or trigger that is going to name it.
///
/// # Errors
/// `ENV_NOT_FOUND`, `PRODUCT_NOT_FOUND` where it was renamed or deleted meanwhile; `CONFLICT` where the transaction's
/// snapshot is too old to show it.
pub fn keep_name(env: &Env) -> Result<()> {
    let owner = AsOwner::enter()?;
    let find = || configuration::env(&env.product, &env.env);
    configuration::kept(find, |found| products::keep_env_name(&owner, found.env_id, &found.env)).map(|_| ())
}

/// The names of the tables whose policies or triggers name an environment.
pub fn naming(owner: &AsOwner, product: &str, env: &str) -> Result<Vec<String>> {
    let mut names: BTreeSet<String> = tables(owner)?
        .into_iter()
        .filter(|table| table.registration.as_ref().is_some_and(|of| of.product == product && of.env == env))
        .map(|table| table.name)
        .collect();
    names.extend(REVOKING.read(owner, &[bind(product), bind(env)], |row| row.required::<String>(1))?);
    Ok(names.into_iter().collect())
}
