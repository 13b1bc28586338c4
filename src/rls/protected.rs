//! Which tables of the application are protected, and which name an environment.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::pg::catalog::expression::StoredExpression;
use crate::pg::catalog::table::Table;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::rls::registry::Registration;
use crate::service::setup::configuration;
use crate::tables::products;

/// A table with our policy that compares a column with the session: one that `protect_table` was called for, or a part
/// of one.
pub struct Protected {
    /// Its name with its schema, quoted as SQL needs them.
    pub table: Table,
    /// The comment on the policy.
    pub comment: Option<String>,
    /// The conditions on rows that are looked for and on those that are written.
    pub conditions: [Option<StoredExpression>; 2],
    /// Whether the policy is permissive, for all commands and for everybody.
    pub for_everything: bool,
    pub forced: bool,
    /// Whether it is no part of a protected table.
    pub is_whole: bool,
    /// Whether its rows are devices.
    pub device: bool,
    /// Whether the policy calls a function of ours. A policy of that name and a comment anybody can write.
    pub calls: bool,
    /// Those whom our other policy lets through; `None` stands for everybody.
    pub open_to: Vec<Option<String>>,
}

impl Protected {
    /// How it is protected; `None` where the comment is gone, or is not one of ours any more.
    pub fn registration(&self) -> Option<Registration> {
        self.comment.as_deref().and_then(Registration::parse)
    }
}

/// Partitions, and what inherits from a protected table, are part of it. A comment of ours is much shorter than what
/// is read of one.
static PROTECTED: Statement = Statement::new(
    "SELECT p.polrelid, format('%I.%I', n.nspname, c.relname), \
            left(obj_description(p.oid, 'pg_policy'), 100000), \
            p.polqual, p.polwithcheck, \
            p.polcmd = '*' AND p.polpermissive AND p.polroles = '{0}'::oid[], \
            c.relforcerowsecurity, \
            NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i \
                          JOIN pg_catalog.pg_policy w \
                            ON w.polrelid = i.inhparent AND w.polname = p.polname \
                         WHERE i.inhrelid = c.oid), \
            EXISTS (SELECT FROM pg_catalog.pg_trigger g \
                     WHERE g.tgrelid = p.polrelid AND g.tgname = 'dialstack_sessions_devices'), \
            EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc f ON f.oid = d.refobjid \
                     WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid \
                       AND d.refclassid = 'pg_proc'::regclass \
                       AND f.pronamespace = 'dialstack'::regnamespace), \
            ARRAY(SELECT r.rolname::text FROM unnest(o.polroles) AS u (role) \
                    LEFT JOIN pg_catalog.pg_roles r ON r.oid = u.role) \
       FROM pg_catalog.pg_policy p \
       JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
       LEFT JOIN pg_catalog.pg_policy o \
         ON o.polrelid = p.polrelid AND o.polname = 'dialstack_sessions_open' \
      WHERE p.polname = 'dialstack_sessions_access' \
      ORDER BY n.nspname, c.relname",
);

/// All protected tables and their parts, by schema and name.
pub fn tables(owner: &AsOwner) -> Result<Vec<Protected>> {
    PROTECTED.read(owner, &[], |row| {
        Ok(Protected {
            table: Table { oid: row.required(1)?, name: row.required(2)? },
            comment: row.get(3)?,
            conditions: [row.get(4)?, row.get(5)?],
            for_everything: row.required(6)?,
            forced: row.required(7)?,
            is_whole: row.required(8)?,
            device: row.required(9)?,
            calls: row.required(10)?,
            open_to: row.required(11)?,
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
pub fn keep_name(product: &str, env: &str) -> Result<()> {
    let owner = AsOwner::enter()?;
    let find = || configuration::env(product, env);
    configuration::kept(find, |found| products::keep_env_name(&owner, found.env_id, &found.env)).map(|_| ())
}

/// The names of the tables whose policies or triggers name an environment.
pub fn naming(owner: &AsOwner, product: &str, env: &str) -> Result<Vec<String>> {
    let mut names: BTreeSet<String> = tables(owner)?
        .into_iter()
        .filter(|it| {
            let names = |of: Registration| of.product == product && of.env == env;
            it.is_whole && it.calls && it.registration().is_some_and(names)
        })
        .map(|it| it.table.name)
        .collect();
    names.extend(REVOKING.read(owner, &[bind(product), bind(env)], |row| row.required::<String>(1))?);
    Ok(names.into_iter().collect())
}
