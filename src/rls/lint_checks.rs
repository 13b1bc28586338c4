//! The statements that find weaknesses of policies in the catalogues alone.
//!
//! Each answers with the table's object id, the policy's name or NULL, and what exactly.

use crate::pg::statements::Statement;
use crate::rls::weakness::{
    MISSING_EXECUTE, MISSING_USAGE, NOT_FORCED, NOT_REGISTERED, OTHER_PERMISSIVE_POLICY,
    PARTITION_UNPROTECTED, PLACE_GONE, POLICY_CHANGED, POLICY_MISSING, ROLE_GONE, ROW_SECURITY_OFF,
    UNRESTRICTED_PRIVILEGE, VIEW_BYPASSES_POLICIES, Weakness,
};

/// The registered tables that are still there (`root`), with their parts (`oid`).
macro_rules! with_family {
    ($statement:literal) => {
        concat!(
            "WITH RECURSIVE family (root, oid) AS ( \
                 SELECT c.oid, c.oid FROM dialstack.protected_tables t \
                   JOIN pg_catalog.pg_class c ON c.oid = t.relation \
                 UNION \
                 SELECT f.root, i.inhrelid FROM family f \
                   JOIN pg_catalog.pg_inherits i ON i.inhparent = f.oid), \
             access (relation) AS ( \
                 SELECT p.polrelid FROM pg_catalog.pg_policy p \
                  WHERE p.polname = 'dialstack_sessions_access'), \
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
            $statement
        )
    };
}

macro_rules! check {
    ($statement:literal) => {
        Statement::new(with_family!($statement))
    };
}

/// Row-level security does nothing while it is off, whatever policies there are.
static OFF: Statement = check!(
    "SELECT c.oid, NULL::text, 'Its policies are not applied.' \
       FROM pg_catalog.pg_class c \
      WHERE NOT c.relrowsecurity \
        AND (c.oid IN (SELECT relation FROM calling) OR c.oid IN (SELECT root FROM family))"
);

static MISSING: Statement = check!(
    "SELECT f.oid, NULL::text, 'It is registered, but its policy was dropped.' \
       FROM family f \
      WHERE f.oid = f.root AND f.oid NOT IN (SELECT relation FROM access)"
);

/// Our policies of the tables that are registered, with what they were made for.
pub static REGISTERED: Statement = check!(
    "SELECT f.oid, format('%I.%I', n.nspname, c.relname), t.column_name::text, p.product, t.env, \
            t.by, t.tag, t.scope, a.polqual::text, a.polwithcheck::text, \
            a.polcmd = '*' AND a.polpermissive AND a.polroles = '{0}'::oid[] \
       FROM family f \
       JOIN pg_catalog.pg_class c ON c.oid = f.oid \
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
       JOIN dialstack.protected_tables t ON t.relation = f.root \
       JOIN dialstack.products p ON p.product_id = t.product_id \
       JOIN pg_catalog.pg_policy a \
         ON a.polrelid = f.oid AND a.polname = 'dialstack_sessions_access' \
      WHERE f.oid = f.root OR f.oid NOT IN (SELECT root FROM family)"
);

static WIDENED: Statement = check!(
    "SELECT f.oid, o.polname::text, 'It lets other roles through than those of open_to.' \
       FROM family f \
       JOIN dialstack.protected_tables t ON t.relation = f.root \
       JOIN pg_catalog.pg_policy o \
         ON o.polrelid = f.oid AND o.polname = 'dialstack_sessions_open' \
      WHERE NOT o.polroles <@ t.open_to::oid[] \
        AND (f.oid = f.root OR f.oid NOT IN (SELECT root FROM family))"
);

/// A part whose rows are reached directly, without the policies of the whole.
static PARTS: Statement = check!(
    "SELECT f.oid, NULL::text, format('It is part of %s and has not its policy.', f.root::regclass) \
       FROM family f \
       JOIN pg_catalog.pg_class c ON c.oid = f.oid \
      WHERE f.oid <> f.root AND f.oid NOT IN (SELECT root FROM family) \
        AND f.oid NOT IN (SELECT relation FROM access)"
);

static OTHERS: Statement = check!(
    "SELECT p.polrelid, p.polname::text, 'It lets rows through beside those of the session.' \
       FROM pg_catalog.pg_policy p \
      WHERE p.polpermissive \
        AND p.polname NOT IN ('dialstack_sessions_access', 'dialstack_sessions_open') \
        AND (p.polrelid IN (SELECT relation FROM access) OR p.polrelid IN (SELECT oid FROM family))"
);

/// Those who are bound by the policies and hold what policies do not govern. Roles that see every
/// row anyway are left out.
static PRIVILEGES: Statement = check!(
    "SELECT c.oid, NULL::text, \
            format('%s holds %s.', \
                   CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE format('Role %I', r.rolname) END, \
                   string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)) \
       FROM pg_catalog.pg_class c \
      CROSS JOIN LATERAL aclexplode(c.relacl) a \
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

/// A view reads as its owner, whom the policies may not bind; a materialized view always does.
static VIEWS: Statement = check!(
    "SELECT DISTINCT c.oid, NULL::text, \
            format('View %s reads it as role %I, whom its policies do not bind.', v.oid::regclass, \
                   r.rolname) \
       FROM pg_catalog.pg_class c \
       JOIN pg_catalog.pg_depend d \
         ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid \
        AND d.classid = 'pg_rewrite'::regclass \
       JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid \
       JOIN pg_catalog.pg_class v ON v.oid = w.ev_class AND v.relkind IN ('v', 'm') \
       JOIN pg_catalog.pg_roles r ON r.oid = v.relowner \
      WHERE c.oid IN (SELECT relation FROM bound) AND c.relrowsecurity \
        AND NOT coalesce((SELECT o.option_value::boolean \
                            FROM pg_options_to_table(v.reloptions) o \
                           WHERE o.option_name = 'security_invoker'), false) \
        AND (r.rolsuper OR r.rolbypassrls \
             OR pg_has_role(r.oid, c.relowner, 'USAGE') AND NOT c.relforcerowsecurity) \
        AND EXISTS (SELECT FROM aclexplode(v.relacl) a WHERE a.grantee <> v.relowner)"
);

/// Roles that may query a table, with the policy that binds them. Groups that only hand their
/// privileges on to their members query nothing themselves. PostgreSQL 16 makes who creates a role a member
/// that may neither use nor set it, which the column `set_option` tells; older versions have none.
macro_rules! with_querying {
    ($statement:literal) => {
        Statement::new(concat!(
                "WITH querying (policy, relation, role) AS ( \
                     SELECT p.oid, p.polrelid, r.oid \
                       FROM pg_catalog.pg_policy p \
                       JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
                       JOIN pg_catalog.pg_roles r \
                         ON NOT (r.rolsuper OR r.rolbypassrls) AND r.oid >= 16384 \
                      WHERE c.relrowsecurity \
                        AND EXISTS (SELECT FROM pg_catalog.pg_depend d \
                                      JOIN pg_catalog.pg_proc f ON f.oid = d.refobjid \
                                     WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid \
                                       AND d.refclassid = 'pg_proc'::regclass \
                                       AND f.pronamespace = 'dialstack'::regnamespace) \
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
            ))
    };
}

/// What a policy calls, whoever queries must be allowed to execute.
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

/// A session of what is gone reaches nothing.
static PLACES: Statement = check!(
    "SELECT c.oid, NULL::text, g.detail \
       FROM dialstack.protected_tables t \
       JOIN pg_catalog.pg_class c ON c.oid = t.relation \
       LEFT JOIN dialstack.products p ON p.product_id = t.product_id \
      CROSS JOIN LATERAL ( \
            SELECT 'The product is gone.' WHERE p.product IS NULL \
             UNION ALL \
            SELECT format('The product has no environment %s.', t.env) \
             WHERE p.product IS NOT NULL \
               AND NOT EXISTS (SELECT FROM dialstack.environments e \
                                WHERE e.product_id = t.product_id AND e.env = t.env) \
             UNION ALL \
            SELECT format('The product has no session definition with tag %s.', t.tag) \
             WHERE p.product IS NOT NULL AND t.tag IS NOT NULL \
               AND NOT EXISTS (SELECT FROM dialstack.session_definitions s \
                                WHERE s.product_id = t.product_id AND s.tag = t.tag) \
             UNION ALL \
            SELECT format('The product has no scope %s.', t.scope) \
             WHERE p.product IS NOT NULL AND t.scope IS NOT NULL \
               AND NOT EXISTS (SELECT FROM dialstack.scopes s \
                                WHERE s.product_id = t.product_id AND s.scope = t.scope)) g (detail)"
);

/// Of a whole table: its parts are asked for by nobody's own queries.
static UNFORCED: Statement = check!(
    "SELECT c.oid, NULL::text, \
            format('Its owner %I sees and changes every row.', r.rolname) \
       FROM pg_catalog.pg_class c \
       JOIN pg_catalog.pg_roles r ON r.oid = c.relowner \
      WHERE c.oid IN (SELECT relation FROM bound) AND c.relrowsecurity \
        AND NOT c.relforcerowsecurity \
        AND NOT EXISTS (SELECT FROM family f WHERE f.oid = c.oid AND f.oid <> f.root)"
);

static UNREGISTERED: Statement = check!(
    "SELECT a.relation, 'dialstack_sessions_access', \
            'The policy is there, but the table is not registered.' \
       FROM access a \
      WHERE a.relation NOT IN (SELECT oid FROM family)"
);

static ROLES: Statement = check!(
    "SELECT c.oid, 'dialstack_sessions_open', \
            format('Role number %s of open_to is gone.', o.role::oid) \
       FROM dialstack.protected_tables t \
       JOIN pg_catalog.pg_class c ON c.oid = t.relation \
      CROSS JOIN LATERAL unnest(t.open_to) AS o (role) \
      WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = o.role)"
);

/// What catalogues alone tell of.
pub static CHECKS: [(&Weakness, &Statement); 13] = [
    (&ROW_SECURITY_OFF, &OFF),
    (&POLICY_MISSING, &MISSING),
    (&POLICY_CHANGED, &WIDENED),
    (&PARTITION_UNPROTECTED, &PARTS),
    (&OTHER_PERMISSIVE_POLICY, &OTHERS),
    (&UNRESTRICTED_PRIVILEGE, &PRIVILEGES),
    (&VIEW_BYPASSES_POLICIES, &VIEWS),
    (&MISSING_EXECUTE, &EXECUTE),
    (&MISSING_USAGE, &USAGE),
    (&PLACE_GONE, &PLACES),
    (&NOT_FORCED, &UNFORCED),
    (&NOT_REGISTERED, &UNREGISTERED),
    (&ROLE_GONE, &ROLES),
];
