-- Access levels: grant_access, revoke_access, and the one list of functions and levels.

-- Every function of the schema is in the list, once, with the comment that it has.
SELECT p.oid::regprocedure AS not_listed FROM pg_proc p
 WHERE p.pronamespace = 'dialstack'::regnamespace
   AND p.oid NOT IN (SELECT concat('dialstack.', function)::regprocedure FROM dialstack.access_list());
SELECT function AS listed_twice FROM dialstack.access_list() GROUP BY function HAVING count(*) > 1;
SELECT function AS other_comment FROM dialstack.access_list()
 WHERE obj_description(concat('dialstack.', function)::regprocedure, 'pg_proc') IS DISTINCT FROM description;
-- The list.
\pset format unaligned
SELECT function, access, description FROM dialstack.access_list() ORDER BY array_position('{client,server,monitor,admin}', access), access, function COLLATE "C";
\pset format aligned

CREATE ROLE regress_plain;
CREATE ROLE regress_other;
-- What a role may do: by level, how many of the functions listed, and which markers.
CREATE FUNCTION t.may(role regrole) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(', ', CASE WHEN has_schema_privilege(role, 'dialstack', 'USAGE') THEN 'usage' END, string_agg(may, ', ' ORDER BY n, may))
      FROM (SELECT n, format('%s of %s %s', count(*) FILTER (WHERE has_function_privilege(role, p.oid, 'EXECUTE')), count(*), level) AS may
              FROM unnest('{client,server,monitor,admin}'::text[]) WITH ORDINALITY AS l (level, n) JOIN dialstack.access_list() ON level = ANY (string_to_array(access, ', '))
              JOIN pg_proc p ON p.oid = concat('dialstack.', function)::regprocedure GROUP BY n, level
            UNION ALL
            SELECT 10, p.proname::text FROM pg_proc p WHERE p.pronamespace = 'dialstack'::regnamespace AND p.proname ~ '^access_(client|server|monitor|admin)$' AND has_function_privilege(role, p.oid, 'EXECUTE')
            UNION ALL
            SELECT 20, format('table %s', c.relname) FROM pg_class c WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND has_table_privilege(role, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
            UNION ALL
            SELECT 30, format('type %s', y.typname) FROM pg_type y WHERE y.typnamespace = 'dialstack'::regnamespace AND y.typelem = 0 AND has_type_privilege(role, y.oid, 'USAGE')) m;
$$;
SELECT t.may('regress_plain');
-- ... and once something has changed.
CREATE FUNCTION t.after(change text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN EXECUTE 'SELECT dialstack.' || change; RETURN t.may('regress_plain'); END $$;
-- Each level holds those that it includes.
SELECT change, t.after(change) FROM unnest(ARRAY[
    $$grant_access(role => 'regress_plain', access => 'client')$$,
    $$grant_access('regress_plain', 'server')$$,
    $$grant_access('regress_plain', 'admin')$$]) AS change;
SELECT t.may('regress_other') AS other;
-- The type that a function returns can be used. The row types of tables can't: a temporary table with a column of one
-- would be in the way of an upgrade.
SET ROLE regress_plain;
CREATE FUNCTION pg_temp.verdict(token text) RETURNS dialstack.session_verdict LANGUAGE sql AS 'SELECT * FROM dialstack.session_verify(token)';
SELECT reason FROM pg_temp.verdict('nonsense');
DROP FUNCTION pg_temp.verdict;
CREATE TEMPORARY TABLE mine (activity dialstack.activity_01);
CREATE TEMPORARY TABLE mine (products dialstack.products[]);
CREATE TEMPORARY TABLE mine (sessions dialstack.active_sessions);
RESET ROLE;
-- A level that is taken away leaves what the others give. Twice is once, either way; what was never granted can be taken
-- away. Figures are beside the others: monitor includes neither client nor server, and they not it.
SELECT change, t.after(change) FROM unnest(ARRAY[
    $$revoke_access(role => 'regress_plain', access => 'admin')$$,
    $$revoke_access('regress_plain', 'client')$$,
    $$revoke_access('regress_plain', 'server')$$,
    $$grant_access('regress_plain', 'client')$$,
    $$grant_access('regress_plain', 'client')$$,
    $$revoke_access('regress_plain', 'server')$$,
    $$revoke_access('regress_plain', 'client')$$,
    $$revoke_access('regress_plain', 'client')$$,
    $$grant_access('regress_plain', 'monitor')$$,
    $$grant_access('regress_plain', 'server')$$,
    $$revoke_access('regress_plain', 'server')$$,
    $$revoke_access('regress_plain', 'admin')$$,
    $$revoke_access('regress_plain', 'monitor')$$]) AS change;
-- Nested directly.
SELECT dialstack.grant_access('regress_other', 'admin');
SELECT t.may('regress_other');
SELECT dialstack.revoke_access('regress_other', 'admin');
-- Undone, it was never granted.
BEGIN;
SELECT dialstack.grant_access('regress_plain', 'admin');
ROLLBACK;
SELECT t.may('regress_plain');
-- Nothing is left behind: the roles can go.
DROP ROLE regress_plain, regress_other;
SELECT count(*) AS left_behind FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND deptype = 'a' AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND (classid, objid) IN (SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = 'dialstack'::regnamespace UNION SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typnamespace = 'dialstack'::regnamespace UNION SELECT 'pg_namespace'::regclass, 'dialstack'::regnamespace);

-- Any name that a role can have.
SELECT format('CREATE ROLE %I', role), format('SELECT dialstack.grant_access(%L, %L), t.may(%L)', quote_ident(role), 'client', quote_ident(role)), format('SELECT dialstack.revoke_access(%L, %L), t.may(%L)', quote_ident(role), 'client', quote_ident(role)), format('DROP ROLE %I', role)
  FROM unnest(ARRAY['we"ird Role', 'semi; DROP TABLE dialstack.sessions; --', 'Ünïcode', '''quoted''', 'select', 'current_users', '%I', '123']) AS role \gexec
-- ... and what is none.
SELECT t.code($$SELECT dialstack.grant_access('nobody_of_this_name', 'client')$$), t.code($$SELECT dialstack.grant_access('public', 'client')$$);
SELECT role, t.code(format('SELECT dialstack.grant_access(%s::oid::regrole, %L)', role, 'client')) ~ '^(22023 DEFINE_FAILED: |42704 |42501 PERMISSION_DENIED: )' AS refused FROM unnest('{0,4294967295}'::bigint[]) AS role;
SELECT access, t.error(format('SELECT dialstack.%s_access(%L, %L)', f, 'postgres', access)) FROM unnest('{grant,revoke}'::text[]) AS f, unnest(ARRAY['', 'Client', 'client ', 'superuser', 'all', NULL]) AS access;
SELECT t.code($$SELECT dialstack.grant_access(NULL, 'client')$$), t.code($$SELECT dialstack.revoke_access(NULL, 'client')$$);
BEGIN READ ONLY;
SELECT dialstack.grant_access('postgres', 'client');
ROLLBACK;

-- An administrator who is no superuser grants and revokes as well; server and client do not.
CREATE ROLE regress_admin;
CREATE ROLE regress_server;
SELECT dialstack.grant_access('regress_admin', 'admin');
SET ROLE regress_admin;
SELECT dialstack.grant_access('regress_server', 'server');
RESET ROLE;
SELECT t.may('regress_server');
SELECT DISTINCT a.grantor::regrole FROM pg_proc p, aclexplode(p.proacl) a WHERE p.pronamespace = 'dialstack'::regnamespace AND a.grantee = 'regress_server'::regrole;
SET ROLE regress_server;
SELECT dialstack.grant_access('regress_server', 'admin');
SELECT dialstack.revoke_access('regress_admin', 'admin');
SELECT access_admin FROM dialstack.access_admin();
SELECT access_server FROM dialstack.access_server();
RESET ROLE;
-- Revoked by itself, an administrator is none at the next statement.
SET ROLE regress_admin;
SELECT dialstack.revoke_access('regress_server', 'server');
SELECT dialstack.revoke_access('regress_admin', 'admin');
SELECT dialstack.grant_access('regress_admin', 'admin');
RESET ROLE;
DROP ROLE regress_admin, regress_server;
DROP FUNCTION t.may;
