//! The statements that find weaknesses of policies in the catalogues alone.
//!
//! Each returns the table's object id, the policy's name or NULL, and what exactly is weak.

use pgrx::pg_sys;

use super::Finding;
use super::weakness::{
    FOREIGN_PART, MISSING_EXECUTE, MISSING_USAGE, NOT_FORCED, OTHER_PERMISSIVE_POLICY, OWNER_NOT_BOUND,
    PARTITION_UNPROTECTED, POLICY_MISSING, ROW_SECURITY_OFF, UNRESTRICTED_PRIVILEGE, VIEW_BYPASSES_POLICIES,
    WHOLE_UNPROTECTED, Weakness,
};
use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::statements::Statement;

/// The tables with our policy that are no part of another such table (`root`), with their parts
/// (`oid`); those with our policy (`access`); policies that call a function of ours (`calling`); all
/// tables that either concerns (`bound`).
macro_rules! with_family {
    ($($statement:tt)+) => {
        concat!(
            "WITH RECURSIVE access (relation) AS ( \
                 SELECT p.polrelid FROM pg_catalog.pg_policy p \
                  WHERE p.polname = 'dialstack_sessions_access'), \
             family (root, oid) AS ( \
                 SELECT relation, relation FROM access \
                  WHERE relation NOT IN (SELECT i.inhrelid FROM pg_catalog.pg_inherits i \
                                          WHERE i.inhparent IN (SELECT relation FROM access)) \
                 UNION \
                 SELECT f.root, i.inhrelid FROM family f \
                   JOIN pg_catalog.pg_inherits i ON i.inhparent = f.oid), \
             calling (policy, relation) AS ( \
                 SELECT DISTINCT p.oid, p.polrelid \
                   FROM pg_catalog.pg_policy p \
                   JOIN pg_catalog.pg_depend d \
                     ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid \
                    AND d.refclassid = 'pg_proc'::regclass \
                   JOIN pg_catalog.pg_proc f ON f.oid = d.refobjid \
                  WHERE f.pronamespace = 'dialstack'::regnamespace), \
             bound (relation) AS ( \
                 SELECT oid FROM family UNION SELECT relation FROM calling) ",
            $($statement)+
        )
    };
}

macro_rules! check {
    ($($statement:tt)+) => {
        Statement::new(with_family!($($statement)+))
    };
}

/// Row-level security does nothing while it is off, whatever policies there are.
static OFF: Statement = check!(
    "SELECT c.oid, NULL::text, 'Its policies are not applied.' \
       FROM pg_catalog.pg_class c \
      WHERE NOT c.relrowsecurity \
        AND (c.oid IN (SELECT relation FROM calling) OR c.oid IN (SELECT relation FROM access))"
);

/// What else `protect_table` makes, without the policy.
static MISSING: Statement = check!(
    "SELECT p.polrelid, p.polname::text, 'The policy for sessions was dropped, this one is left.' \
       FROM pg_catalog.pg_policy p \
      WHERE p.polname = 'dialstack_sessions_open' \
        AND p.polrelid NOT IN (SELECT relation FROM access) \
     UNION ALL \
     SELECT g.tgrelid, NULL, 'The policy for sessions was dropped, but its rows are counted as devices.' \
       FROM pg_catalog.pg_trigger g \
      WHERE g.tgfoid = 'dialstack.device_table()'::regprocedure \
        AND g.tgrelid NOT IN (SELECT relation FROM access)"
);

/// A part whose rows are reached directly, without the policies of the whole.
static PARTS: Statement = check!(
    "SELECT f.oid, NULL::text, format('It is part of %s and has not its policy.', f.root::regclass) \
       FROM family f \
       JOIN pg_catalog.pg_class c ON c.oid = f.oid AND c.relkind <> 'f' \
      WHERE f.oid NOT IN (SELECT relation FROM access)"
);

/// A query of a table is not bound by the policies of its parts.
static WHOLES: Statement = check!(
    "SELECT i.inhparent, NULL::text, \
            format('The protected table %s is part of it, and it has not its policy.', i.inhrelid::regclass) \
       FROM pg_catalog.pg_inherits i \
      WHERE i.inhrelid IN (SELECT relation FROM access) \
        AND i.inhparent NOT IN (SELECT relation FROM access)"
);

/// A foreign table can't have a policy.
static FOREIGN: Statement = check!(
    "SELECT f.oid, NULL::text, format('It is a foreign table and part of %s.', f.root::regclass) \
       FROM family f \
       JOIN pg_catalog.pg_class c ON c.oid = f.oid AND c.relkind = 'f'"
);

static OTHERS: Statement = check!(
    "SELECT p.polrelid, p.polname::text, 'It lets rows through beside those of the session.' \
       FROM pg_catalog.pg_policy p \
      WHERE p.polpermissive \
        AND p.polname NOT IN ('dialstack_sessions_access', 'dialstack_sessions_open') \
        AND (p.polrelid IN (SELECT relation FROM access) OR p.polrelid IN (SELECT oid FROM family))"
);

/// Roles that the policies bind and that hold privileges which policies do not govern. Roles that see
/// every row anyway are left out.
static PRIVILEGES: Statement = check!(
    "SELECT c.oid, NULL::text, \
            format('%s holds %s.', \
                   CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE format('Role %I', r.rolname) END, \
                   string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type)) \
       FROM pg_catalog.pg_class c \
      CROSS JOIN LATERAL (SELECT t.grantee, t.privilege_type FROM aclexplode(c.relacl) t \
                           UNION ALL \
                          SELECT o.grantee, o.privilege_type \
                            FROM pg_catalog.pg_attribute t, aclexplode(t.attacl) o \
                           WHERE t.attrelid = c.oid) a \
       LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
      WHERE c.oid IN (SELECT relation FROM bound) AND c.relrowsecurity \
        AND a.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER') \
        AND (a.grantee = 0 OR NOT (r.rolsuper OR r.rolbypassrls \
                                   OR pg_has_role(r.oid, c.relowner, 'USAGE'))) \
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy p, unnest(p.polroles) AS open (role) \
                         WHERE p.polrelid = c.oid AND p.polname = 'dialstack_sessions_open' \
                           AND a.grantee <> 0 AND pg_has_role(a.grantee, open.role, 'USAGE')) \
      GROUP BY c.oid, a.grantee, r.rolname"
);

/// A view reads as its owner, whom the policies may not bind; a materialized view always does. Others read it where
/// something of it is granted to them, or through a view that is theirs to read and reads as its owner.
static VIEWS: Statement = check!(
    ", views (oid, owner, as_caller, is_granted) AS ( \
             SELECT v.oid, v.relowner, \
                    coalesce((SELECT o.option_value::boolean \
                                FROM pg_options_to_table(v.reloptions) o \
                               WHERE o.option_name = 'security_invoker'), false), \
                    EXISTS (SELECT FROM aclexplode(v.relacl) a WHERE a.grantee <> v.relowner) \
                    OR EXISTS (SELECT FROM pg_catalog.pg_attribute t, aclexplode(t.attacl) a \
                                WHERE t.attrelid = v.oid AND a.grantee <> v.relowner) \
               FROM pg_catalog.pg_class v WHERE v.relkind IN ('v', 'm')), \
         reading (oid, relation) AS ( \
             SELECT w.ev_class, d.refobjid FROM pg_catalog.pg_rewrite w \
               JOIN pg_catalog.pg_depend d \
                 ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid \
                AND d.refclassid = 'pg_class'::regclass), \
         read (relation) AS ( \
             SELECT oid FROM views WHERE is_granted \
              UNION \
             SELECT g.relation FROM read \
               JOIN views v ON v.oid = read.relation AND NOT v.as_caller \
               JOIN reading g ON g.oid = v.oid) \
     SELECT DISTINCT c.oid, NULL::text, \
            format('View %s reads it as role %I, whom its policies do not bind.', v.oid::regclass, \
                   r.rolname) \
       FROM pg_catalog.pg_class c \
       JOIN reading g ON g.relation = c.oid \
       JOIN views v ON v.oid = g.oid AND NOT v.as_caller \
       JOIN pg_catalog.pg_roles r ON r.oid = v.owner \
      WHERE c.oid IN (SELECT relation FROM bound) AND c.relrowsecurity \
        AND v.oid IN (SELECT relation FROM read) \
        AND (r.rolsuper OR r.rolbypassrls \
             OR pg_has_role(r.oid, c.relowner, 'USAGE') AND NOT c.relforcerowsecurity \
             OR EXISTS (SELECT FROM pg_catalog.pg_policy p, unnest(p.polroles) AS open (role) \
                         WHERE p.polrelid = c.oid AND p.polname = 'dialstack_sessions_open' \
                           AND pg_has_role(r.oid, open.role, 'USAGE')))"
);

/// Roles that may query a table, with the policy that binds them. Groups that only hand their
/// privileges on to their members query nothing themselves. From PostgreSQL 16 on the role that creates
/// another is a member of it that may neither use nor set it, as column `set_option` says.
macro_rules! with_querying {
    ($statement:literal) => {
        check!(
            ", querying (policy, relation, role) AS ( \
                     SELECT p.oid, p.polrelid, r.oid \
                       FROM calling g \
                       JOIN pg_catalog.pg_policy p ON p.oid = g.policy \
                       JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
                       JOIN pg_catalog.pg_roles r \
                         ON NOT (r.rolsuper OR r.rolbypassrls) AND r.oid >= 16384 \
                      WHERE c.relrowsecurity \
                        AND (has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE') \
                             OR has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE')) \
                        AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE')) \
                        AND EXISTS (SELECT FROM unnest(p.polroles) AS bound (role) \
                                     WHERE bound.role = 0 \
                                        OR pg_has_role(r.oid, bound.role, 'USAGE')) \
                        AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy o, \
                                               unnest(o.polroles) AS open (role) \
                                         WHERE o.polrelid = c.oid \
                                           AND o.polname = 'dialstack_sessions_open' \
                                           AND pg_has_role(r.oid, open.role, 'USAGE')) \
                        AND (r.rolcanlogin \
                             OR NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m \
                                             WHERE m.roleid = r.oid) \
                             OR EXISTS (SELECT FROM pg_catalog.pg_auth_members m \
                                         WHERE m.roleid = r.oid \
                                           AND NOT pg_has_role(m.member, r.oid, 'USAGE') \
                                           AND to_jsonb(m) -> 'set_option' IS DISTINCT FROM 'false'))) ",
            $statement
        )
    };
}

/// A role that queries a table must be allowed to execute what its policies call.
static EXECUTE: Statement = with_querying!(
    "SELECT q.relation, p.polname::text, \
            format('Role %I may query the table, but not execute %s.', r.rolname, \
                   string_agg(DISTINCT f.oid::regprocedure::text, ', ')) \
       FROM querying q \
       JOIN pg_catalog.pg_policy p ON p.oid = q.policy \
       JOIN pg_catalog.pg_roles r ON r.oid = q.role \
       JOIN pg_catalog.pg_depend d \
         ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid \
        AND d.refclassid = 'pg_proc'::regclass \
       JOIN pg_catalog.pg_proc f \
         ON f.oid = d.refobjid AND f.pronamespace = 'dialstack'::regnamespace \
      WHERE NOT has_function_privilege(r.oid, f.oid, 'EXECUTE') \
      GROUP BY q.relation, p.polname, r.rolname"
);

/// Policies name our functions by number: without USAGE they work, and only calls by name do not.
static USAGE: Statement = with_querying!(
    "SELECT DISTINCT q.relation, NULL::text, \
            format('Role %I may query the table, but not call a function of schema dialstack.', \
                   r.rolname) \
       FROM querying q \
       JOIN pg_catalog.pg_roles r ON r.oid = q.role \
      WHERE NOT has_schema_privilege(r.oid, 'dialstack', 'USAGE')"
);

/// Tables whose owner is not bound, but for parts of the same owner's, with the roles that own each and can log in: the
/// owner, and members of it.
macro_rules! unforced {
    ($detail:literal, $condition:literal) => {
        check!(concat!(
            "SELECT c.oid, NULL::text, ",
            $detail,
            " FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_roles o ON o.oid = c.relowner \
              CROSS JOIN LATERAL ( \
                    SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) \
                      FROM pg_catalog.pg_roles r \
                     WHERE r.rolcanlogin AND NOT (r.rolsuper OR r.rolbypassrls) \
                       AND pg_has_role(r.oid, c.relowner, 'USAGE') \
                       AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy p, unnest(p.polroles) AS open (role) \
                                        WHERE p.polrelid = c.oid AND p.polname = 'dialstack_sessions_open' \
                                          AND pg_has_role(r.oid, open.role, 'USAGE'))) AS login (roles) \
              WHERE c.oid IN (SELECT relation FROM bound) AND c.relrowsecurity \
                AND NOT c.relforcerowsecurity \
                AND NOT EXISTS (SELECT FROM family f JOIN pg_catalog.pg_class w ON w.oid = f.root \
                                 WHERE f.oid = c.oid AND f.oid <> f.root AND w.relowner = c.relowner) \
                AND ",
            $condition
        ))
    };
}

static UNFORCED: Statement =
    unforced!("format('Its owner %I sees and changes every row.', o.rolname)", "login.roles IS NULL");

static UNBOUND: Statement = unforced!(
    "format('A connection of %s sees and changes every row.', login.roles)",
    "login.roles IS NOT NULL"
);

/// The roles by which the owner of a table, which is not bound by its policies, can log in.
///
/// # Errors
/// None but those of reading the catalogue.
pub fn unbound_owner(owner: &AsOwner, relation: pg_sys::Oid) -> Result<Option<String>> {
    let found = UNBOUND.read(owner, &[], |row| Ok((row.required::<pg_sys::Oid>(1)?, row.required(3)?)))?;
    let details = found.into_iter().filter(|(oid, _)| *oid == relation);
    Ok(details.map(|(_, detail): (_, String)| detail).next())
}

static CHECKS: [(&Weakness, &Statement); 12] = [
    (&ROW_SECURITY_OFF, &OFF),
    (&POLICY_MISSING, &MISSING),
    (&PARTITION_UNPROTECTED, &PARTS),
    (&WHOLE_UNPROTECTED, &WHOLES),
    (&FOREIGN_PART, &FOREIGN),
    (&OWNER_NOT_BOUND, &UNBOUND),
    (&OTHER_PERMISSIVE_POLICY, &OTHERS),
    (&UNRESTRICTED_PRIVILEGE, &PRIVILEGES),
    (&VIEW_BYPASSES_POLICIES, &VIEWS),
    (&MISSING_EXECUTE, &EXECUTE),
    (&MISSING_USAGE, &USAGE),
    (&NOT_FORCED, &UNFORCED),
];

/// What these statements find.
pub fn findings(owner: &AsOwner) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (weakness, check) in CHECKS {
        found.extend(check.read(owner, &[], |row| {
            Ok(Finding {
                relation: row.required(1)?,
                policy: row.get(2)?,
                weakness,
                detail: row.required(3)?,
            })
        })?);
    }
    Ok(found)
}
