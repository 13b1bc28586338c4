-- CREATE EXTENSION: what it makes, who owns it, who may touch it, what a dump carries.

-- The extension owns one schema, and everything in that schema.
SELECT extname, extversion, extnamespace::regnamespace AS schema, extrelocatable FROM pg_extension
 WHERE extname = 'dialstack_sessions';
-- To newer versions of PostgreSQL types that come with a table, and arrays, are members too.
SELECT classid::regclass AS catalogue, count(*)
  FROM pg_depend
  LEFT JOIN pg_type y ON classid = 'pg_type'::regclass AND y.oid = objid
  LEFT JOIN pg_class c ON c.oid = y.typrelid
 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'dialstack_sessions')
   AND (y.oid IS NULL OR (y.typelem = 0 AND c.relkind IS NOT DISTINCT FROM 'c'))
 GROUP BY 1 ORDER BY classid::regclass::text COLLATE "C";
SELECT c.relkind, c.relname, c.relrowsecurity AS row_security, c.relforcerowsecurity AS forced,
       (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies
  FROM pg_class c
 WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v')
 ORDER BY c.relkind, c.relname;
-- Nothing in the schema is outside the extension.
SELECT c.relname FROM pg_class c
 WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v', 'm', 'f')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('e', 'i'))
UNION ALL
SELECT p.proname FROM pg_proc p
 WHERE p.pronamespace = 'dialstack'::regnamespace
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e');

-- \dx+, \df+ and \d+ explain everything: nothing is without a comment, but for indexes of constraints and of
-- partitions, and columns of partitions, which are those of their table.
SELECT 'extension' AS what, extname::text AS name FROM pg_extension
 WHERE extname = 'dialstack_sessions' AND obj_description(oid, 'pg_extension') IS NULL
UNION ALL
SELECT 'schema', nspname FROM pg_namespace
 WHERE nspname = 'dialstack' AND obj_description(oid, 'pg_namespace') IS NULL
UNION ALL
SELECT 'function', oid::regprocedure::text FROM pg_proc
 WHERE pronamespace = 'dialstack'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL
UNION ALL
SELECT 'relation', relname FROM pg_class c
 WHERE relnamespace = 'dialstack'::regnamespace AND obj_description(oid, 'pg_class') IS NULL
   AND relkind NOT IN ('c', 't')
   AND NOT (relkind = 'i' AND (relispartition OR EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid)))
UNION ALL
SELECT 'column', format('%s.%s', relname, attname)
  FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
 WHERE relnamespace = 'dialstack'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
   AND attnum > 0 AND NOT attisdropped AND NOT relispartition AND col_description(c.oid, attnum) IS NULL
UNION ALL
SELECT 'type', typname FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
 WHERE typnamespace = 'dialstack'::regnamespace AND typcategory <> 'A'
   AND coalesce(c.relkind, 'c') = 'c' AND obj_description(t.oid, 'pg_type') IS NULL;

-- Every table has row-level security without a policy, so that even pg_read_all_data reads no row.
SELECT c.relname FROM pg_class c
 WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
 ORDER BY 1;
-- Everything belongs to the role that created the extension, and nothing is granted to PUBLIC or
-- to anybody else: not the schema, a table, a column, a sequence, a function or a type.
SELECT DISTINCT relowner = extowner AS same_owner FROM pg_class, pg_extension
 WHERE relnamespace = 'dialstack'::regnamespace AND extname = 'dialstack_sessions';
SELECT DISTINCT proowner = extowner AS same_owner FROM pg_proc, pg_extension
 WHERE pronamespace = 'dialstack'::regnamespace AND extname = 'dialstack_sessions';
SELECT 'schema' AS kind, nspname AS name, a.privilege_type, a.grantee::regrole
  FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a
 WHERE nspname = 'dialstack' AND a.grantee <> nspowner
UNION ALL
SELECT relkind::text, relname, a.privilege_type, a.grantee::regrole
  FROM pg_class, aclexplode(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))) a
 WHERE relnamespace = 'dialstack'::regnamespace AND relkind IN ('r', 'p', 'S', 'v') AND a.grantee <> relowner
UNION ALL
SELECT 'column', attname, a.privilege_type, a.grantee::regrole
  FROM pg_attribute JOIN pg_class c ON c.oid = attrelid, aclexplode(attacl) a
 WHERE c.relnamespace = 'dialstack'::regnamespace
UNION ALL
SELECT 'function', oid::regprocedure::text, a.privilege_type, a.grantee::regrole
  FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
 WHERE pronamespace = 'dialstack'::regnamespace AND a.grantee <> proowner
UNION ALL
SELECT 'type', t.oid::regtype::text, a.privilege_type, a.grantee::regrole
  FROM pg_class c JOIN pg_type t ON t.oid = c.reltype, aclexplode(coalesce(typacl, acldefault('T', typowner))) a
 WHERE c.relnamespace = 'dialstack'::regnamespace AND relkind = 'c' AND a.grantee <> typowner;
SELECT defaclobjtype FROM pg_default_acl WHERE defaclnamespace = 'dialstack'::regnamespace;

-- What a logical dump carries: configuration and its counters. No session, user, activity or key.
SELECT unnest(extconfig)::regclass AS dumped, unnest(extcondition) AS condition
  FROM pg_extension WHERE extname = 'dialstack_sessions';

-- Every function, with its volatility and parallel safety. Nothing that reads tables is immutable;
-- none runs as its definer: the guard inside switches the user for its own table work alone.
SELECT proname,
       CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END AS volatility,
       CASE proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END AS parallel,
       proisstrict AS strict, prosecdef AS definer
  FROM pg_proc WHERE pronamespace = 'dialstack'::regnamespace ORDER BY proname, pronargs;
-- Their arguments, those that may be left out with their default, and the columns that come back.
\pset format unaligned
\pset tuples_only on
SELECT format(E'%s(%s)\n  -> %s', proname, pg_get_function_arguments(oid), pg_get_function_result(oid))
  FROM pg_proc WHERE pronamespace = 'dialstack'::regnamespace ORDER BY proname, pronargs;
\pset format aligned
\pset tuples_only off
-- Named notation works for each: an argument has a name, and no two have the same.
SELECT proname FROM pg_proc
 WHERE pronamespace = 'dialstack'::regnamespace AND pronargs > 0
   AND (proargnames IS NULL OR '' = ANY (proargnames));

-- State has no foreign key: hot parent rows would be locked at every create.
SELECT conrelid::regclass, confrelid::regclass FROM pg_constraint
 WHERE connamespace = 'dialstack'::regnamespace AND contype = 'f' ORDER BY conname;
-- A refresh has room for a heap-only update.
SELECT relname, reloptions FROM pg_class
 WHERE relnamespace = 'dialstack'::regnamespace AND reloptions IS NOT NULL ORDER BY 1;
-- Whoever changes what backends remember tells them, also under session_replication_role = replica.
SELECT tgrelid::regclass AS relation, tgname, tgenabled = 'A' AS always, tgtype & 1 = 0 AS per_statement,
       tgtype & 4 > 0 AS "insert", tgtype & 16 > 0 AS "update", tgtype & 8 > 0 AS "delete", tgtype & 32 > 0 AS "truncate",
       tgtype & 2 > 0 AS before
  FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
 WHERE c.relnamespace = 'dialstack'::regnamespace AND NOT tgisinternal ORDER BY relname, tgname;
-- Twelve partitions, one a month, for ever.
SELECT inhrelid::regclass AS partition, pg_get_expr(relpartbound, oid) AS bound
  FROM pg_inherits JOIN pg_class ON oid = inhrelid
 WHERE inhparent = 'dialstack.activity'::regclass ORDER BY relname;

-- There is one identity, and one active key a purpose.
SELECT count(*) FROM dialstack.instance;
SELECT purpose, alg, state FROM dialstack.signing_key_list() ORDER BY purpose;
-- The settings, now that a call has loaded the library.
SELECT name, setting, unit, context FROM pg_settings WHERE name LIKE 'dialstack\_sessions.%' ORDER BY 1;

-- A database whose encoding cannot hold every identifier is refused.
-- PostgreSQL 18 tells where in the script it was.
\set SHOW_CONTEXT never
CREATE DATABASE regress_latin1 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
\c regress_latin1
CREATE EXTENSION dialstack_sessions;
\set SHOW_CONTEXT errors

-- DROP and CREATE in one session: a new identity, other tables, and everything remembered is forgotten.
CREATE DATABASE regress_again;
\c regress_again
SET client_min_messages = warning;
CREATE EXTENSION dialstack_sessions;
SELECT dialstack.product_create('shop') IS NOT NULL AS made;
SELECT dialstack.env_create('shop', 'production');
SELECT tag FROM dialstack.definition_create('shop', 'web', 'Web', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours');
SELECT token, refresh_token FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "u"}') \gset old_
SELECT valid, reason FROM dialstack.session_verify(:'old_token');
SELECT count(*) FROM dialstack.client_session_create(product => 'shop', env => 'production');
SELECT instance_id AS old_id FROM dialstack.instance \gset
DROP EXTENSION dialstack_sessions;
SELECT count(*) AS schemas FROM pg_namespace WHERE nspname = 'dialstack';
\set VERBOSITY sqlstate
SELECT dialstack.session_verify(:'old_token');
\set VERBOSITY default
CREATE EXTENSION dialstack_sessions;
SELECT instance_id <> :'old_id' AS new_identity FROM dialstack.instance;
SELECT valid, reason FROM dialstack.session_verify(:'old_token');
SELECT ok, reason FROM dialstack.session_refresh(:'old_refresh_token');
SELECT * FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "u"}');
SELECT dialstack.product_create('shop') IS NOT NULL AS made;
SELECT dialstack.env_create('shop', 'production');
SELECT tag FROM dialstack.definition_create('shop', 'web', 'Web', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours');
SELECT token, refresh_token FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "u"}') \gset new_
SELECT valid, identifier FROM dialstack.session_verify(:'new_token');
SELECT ok FROM dialstack.session_refresh(:'new_refresh_token');
SELECT total FROM dialstack.session_list('shop', 'production', 'web');
SELECT dialstack.session_revoke_all('shop', 'production', 'web', 'u');
SELECT valid, reason FROM dialstack.session_verify(:'new_token');
-- A table that is locked without being read is the new one too.
BEGIN;
SELECT count(*) FROM dialstack.client_session_create(product => 'shop', env => 'production');
SELECT mode FROM pg_locks WHERE relation = 'dialstack.session_users'::regclass AND pid = pg_backend_pid();
ROLLBACK;
-- The same inside one transaction, and undone.
BEGIN;
DROP EXTENSION dialstack_sessions;
CREATE EXTENSION dialstack_sessions;
SELECT valid, reason FROM dialstack.session_verify(:'new_token');
ROLLBACK;
SELECT valid, reason FROM dialstack.session_verify(:'new_token');
\c postgres
DROP DATABASE regress_again;
DROP DATABASE regress_latin1;
