-- Weaknesses of policies that the catalogues alone show: weakness, table, name of the policy or NULL, and what exactly is
-- weak. $1: the only weakness to look for, NULL: all.
WITH RECURSIVE
-- Tables with our policy.
access (relation) AS (
    SELECT p.polrelid FROM pg_catalog.pg_policy p WHERE p.polname = 'dialstack_sessions_access'
),
-- Those that are no part of another such table, with their parts.
family (root, oid) AS (
    SELECT relation, relation FROM access
     WHERE relation NOT IN (SELECT i.inhrelid FROM pg_catalog.pg_inherits i
                             WHERE i.inhparent IN (SELECT relation FROM access))
     UNION
    SELECT f.root, i.inhrelid FROM family f JOIN pg_catalog.pg_inherits i ON i.inhparent = f.oid
),
-- Policies, and the functions of ours that they call.
calls (policy, relation, function) AS (
    SELECT DISTINCT p.oid, p.polrelid, f.oid
      FROM pg_catalog.pg_policy p
      JOIN pg_catalog.pg_depend d
        ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
      JOIN pg_catalog.pg_proc f ON f.oid = d.refobjid AND f.pronamespace = 'dialstack'::regnamespace
),
-- All tables that either concerns, where row-level security is on.
bound AS (
    SELECT c.* FROM pg_catalog.pg_class c
     WHERE c.relrowsecurity
       AND (c.oid IN (SELECT oid FROM family) OR c.oid IN (SELECT relation FROM calls))
),
-- The roles that our other policy lets through.
open (relation, role) AS (
    SELECT p.polrelid, unnest(p.polroles) FROM pg_catalog.pg_policy p
     WHERE p.polname = 'dialstack_sessions_open'
),
-- Roles that may query a table, with the policy that binds them. Groups that only hand their privileges on to their
-- members query nothing themselves. From PostgreSQL 16 on the role that creates another is a member of it that may
-- neither use nor set it, as column set_option says.
querying (policy, relation, role) AS (
    SELECT p.oid, p.polrelid, r.oid
      FROM pg_catalog.pg_policy p
      JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
      JOIN pg_catalog.pg_roles r ON NOT (r.rolsuper OR r.rolbypassrls) AND r.oid >= 16384
     WHERE p.oid IN (SELECT policy FROM calls)
       AND c.relrowsecurity
       AND (has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
            OR has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE'))
       AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE'))
       AND EXISTS (SELECT FROM unnest(p.polroles) AS named (role)
                    WHERE named.role = 0 OR pg_has_role(r.oid, named.role, 'USAGE'))
       AND NOT EXISTS (SELECT FROM open o
                        WHERE o.relation = c.oid AND pg_has_role(r.oid, o.role, 'USAGE'))
       AND (r.rolcanlogin
            OR NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.roleid = r.oid)
            OR EXISTS (SELECT FROM pg_catalog.pg_auth_members m
                        WHERE m.roleid = r.oid
                          AND NOT pg_has_role(m.member, r.oid, 'USAGE')
                          AND to_jsonb(m) -> 'set_option' IS DISTINCT FROM 'false'))
),
-- Tables whose owner is not bound, but for parts of the same owner's, with the roles that own each and can log in: the
-- owner, and members of it.
unforced (relation, owner, roles) AS (
    SELECT b.oid, b.relowner,
           (SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname)
              FROM pg_catalog.pg_roles r
             WHERE r.rolcanlogin AND NOT (r.rolsuper OR r.rolbypassrls)
               AND pg_has_role(r.oid, b.relowner, 'USAGE')
               AND NOT EXISTS (SELECT FROM open o
                                WHERE o.relation = b.oid AND pg_has_role(r.oid, o.role, 'USAGE')))
      FROM bound b
     WHERE NOT b.relforcerowsecurity
       AND NOT EXISTS (SELECT FROM family f JOIN pg_catalog.pg_class w ON w.oid = f.root
                        WHERE f.oid = b.oid AND f.oid <> f.root AND w.relowner = b.relowner)
),
views (oid, owner, as_caller, is_granted) AS (
    SELECT v.oid, v.relowner,
           coalesce((SELECT o.option_value::boolean FROM pg_options_to_table(v.reloptions) o
                      WHERE o.option_name = 'security_invoker'), false),
           EXISTS (SELECT FROM aclexplode(v.relacl) a WHERE a.grantee <> v.relowner)
           OR EXISTS (SELECT FROM pg_catalog.pg_attribute t, aclexplode(t.attacl) a
                       WHERE t.attrelid = v.oid AND a.grantee <> v.relowner)
      FROM pg_catalog.pg_class v WHERE v.relkind IN ('v', 'm')
),
-- What each of them reads.
reading (oid, relation) AS (
    SELECT w.ev_class, d.refobjid
      FROM pg_catalog.pg_rewrite w
      JOIN pg_catalog.pg_depend d
        ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
),
-- Views that others than their owners read: something of them is granted, or a view reads them that is theirs to read and
-- reads as its owner.
read (relation) AS (
    SELECT oid FROM views WHERE is_granted
     UNION
    SELECT g.relation
      FROM read
      JOIN views v ON v.oid = read.relation AND NOT v.as_caller
      JOIN reading g ON g.oid = v.oid
)
SELECT weakness, relation, policy, detail FROM (
    -- Row-level security does nothing while it is off, whatever policies there are.
    SELECT 'row_security_off', c.oid, NULL::text, 'Its policies are not applied.'
      FROM pg_catalog.pg_class c
     WHERE NOT c.relrowsecurity
       AND (c.oid IN (SELECT relation FROM calls) OR c.oid IN (SELECT relation FROM access))
    UNION ALL
    -- What else protect_table makes, without the policy.
    SELECT 'policy_missing', p.polrelid, p.polname::text,
           'The policy for sessions was dropped, this one is left.'
      FROM pg_catalog.pg_policy p
     WHERE p.polname = 'dialstack_sessions_open' AND p.polrelid NOT IN (SELECT relation FROM access)
    UNION ALL
    SELECT 'policy_missing', g.tgrelid, NULL,
           'The policy for sessions was dropped, but its rows are counted as devices.'
      FROM pg_catalog.pg_trigger g
     WHERE g.tgfoid = 'dialstack.device_table()'::regprocedure
       AND g.tgrelid NOT IN (SELECT relation FROM access)
    UNION ALL
    -- A foreign table can't have a policy; the rows of another part are reached directly, without those of the whole.
    SELECT CASE c.relkind WHEN 'f' THEN 'foreign_part' ELSE 'partition_unprotected' END, c.oid, NULL,
           CASE c.relkind WHEN 'f' THEN format('It is a foreign table and part of %s.', f.root::regclass)
                          ELSE format('It is part of %s and has not its policy.', f.root::regclass) END
      FROM family f
      JOIN pg_catalog.pg_class c ON c.oid = f.oid
     WHERE c.oid NOT IN (SELECT relation FROM access)
    UNION ALL
    -- A query of a table is not bound by the policies of its parts.
    SELECT 'whole_unprotected', i.inhparent, NULL,
           format('The protected table %s is part of it, and it has not its policy.', i.inhrelid::regclass)
      FROM pg_catalog.pg_inherits i
     WHERE i.inhrelid IN (SELECT relation FROM access) AND i.inhparent NOT IN (SELECT relation FROM access)
    UNION ALL
    SELECT 'owner_not_bound', u.relation, NULL,
           format('A connection of %s sees and changes every row.', u.roles)
      FROM unforced u
     WHERE u.roles IS NOT NULL
    UNION ALL
    SELECT 'not_forced', u.relation, NULL,
           format('Its owner %I sees and changes every row.', pg_get_userbyid(u.owner))
      FROM unforced u
     WHERE u.roles IS NULL
    UNION ALL
    SELECT 'other_permissive_policy', p.polrelid, p.polname::text,
           'It lets rows through beside those of the session.'
      FROM pg_catalog.pg_policy p
     WHERE p.polpermissive
       AND p.polname NOT IN ('dialstack_sessions_access', 'dialstack_sessions_open')
       AND (p.polrelid IN (SELECT relation FROM access) OR p.polrelid IN (SELECT oid FROM family))
    UNION ALL
    -- Roles that the policies bind and that hold privileges which policies do not govern. Roles that see every row
    -- anyway are left out.
    SELECT 'unrestricted_privilege', b.oid, NULL,
           format('%s holds %s.',
                  CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE format('Role %I', r.rolname) END,
                  string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type))
      FROM bound b
     CROSS JOIN LATERAL (SELECT t.grantee, t.privilege_type FROM aclexplode(b.relacl) t
                          UNION ALL
                         SELECT o.grantee, o.privilege_type
                           FROM pg_catalog.pg_attribute t, aclexplode(t.attacl) o
                          WHERE t.attrelid = b.oid) a
      LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
     WHERE a.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER')
       AND (a.grantee = 0 OR NOT (r.rolsuper OR r.rolbypassrls
                                  OR pg_has_role(r.oid, b.relowner, 'USAGE')))
       AND NOT EXISTS (SELECT FROM open o
                        WHERE o.relation = b.oid AND a.grantee <> 0
                          AND pg_has_role(a.grantee, o.role, 'USAGE'))
     GROUP BY b.oid, a.grantee, r.rolname
    UNION ALL
    -- A view reads as its owner, whom the policies may not bind; a materialized view always does.
    SELECT DISTINCT 'view_bypasses_policies', b.oid, NULL,
           format('View %s reads it as role %I, whom its policies do not bind.', v.oid::regclass, r.rolname)
      FROM bound b
      JOIN reading g ON g.relation = b.oid
      JOIN views v ON v.oid = g.oid AND NOT v.as_caller
      JOIN pg_catalog.pg_roles r ON r.oid = v.owner
     WHERE v.oid IN (SELECT relation FROM read)
       AND (r.rolsuper OR r.rolbypassrls
            OR pg_has_role(r.oid, b.relowner, 'USAGE') AND NOT b.relforcerowsecurity
            OR EXISTS (SELECT FROM open o
                        WHERE o.relation = b.oid AND pg_has_role(r.oid, o.role, 'USAGE')))
    UNION ALL
    -- A role that queries a table must be allowed to execute what its policies call.
    SELECT 'missing_execute', q.relation, p.polname::text,
           format('Role %I may query the table, but not execute %s.', r.rolname,
                  string_agg(call.function::regprocedure::text, ', '
                             ORDER BY call.function::regprocedure::text))
      FROM querying q
      JOIN calls call ON call.policy = q.policy
      JOIN pg_catalog.pg_policy p ON p.oid = q.policy
      JOIN pg_catalog.pg_roles r ON r.oid = q.role
     WHERE NOT has_function_privilege(r.oid, call.function, 'EXECUTE')
     GROUP BY q.relation, p.polname, r.rolname
    UNION ALL
    -- Policies name our functions by number: without USAGE they work, and only calls by name do not.
    SELECT DISTINCT 'missing_usage', q.relation, NULL,
           format('Role %I may query the table, but not call a function of schema dialstack.',
                  pg_get_userbyid(q.role))
      FROM querying q
     WHERE NOT has_schema_privilege(q.role, 'dialstack', 'USAGE')
) AS found (weakness, relation, policy, detail)
 WHERE $1 IS NULL OR weakness = $1
