-- policy_lint: weaknesses of the policies that call the helpers, and of the tables that are protected.
SELECT t.product('lint');
SELECT dialstack.scope_create('lint', 'to be deleted', 'lint');
CREATE SCHEMA l;
CREATE ROLE regress_app;
CREATE ROLE regress_backend;
CREATE ROLE regress_owner;
SELECT dialstack.grant_access('regress_app', 'client'), dialstack.grant_access('regress_owner', 'client');
GRANT USAGE ON SCHEMA l TO regress_app, regress_backend, regress_owner;
-- What it says of this schema's tables.
CREATE FUNCTION t.lint() RETURNS TABLE (relation regclass, policy text, severity text, weakness text, detail text) LANGUAGE sql AS $$
    SELECT w.relation, w.policy, w.severity, w.weakness, w.detail FROM dialstack.policy_lint() w JOIN pg_class c ON c.oid = w.relation
     WHERE c.relnamespace = 'l'::regnamespace ORDER BY w.relation::text, w.severity, w.weakness, w.policy, w.detail;
$$;

-- What it says after a change, which is undone.
CREATE FUNCTION t.lint_after(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    EXECUTE change;
    SELECT string_agg(concat_ws(' ', policy, weakness), ', ' ORDER BY weakness, policy) INTO found FROM t.lint();
    RAISE EXCEPTION USING ERRCODE = 'U0000';
EXCEPTION WHEN SQLSTATE 'U0000' THEN
    RETURN coalesce(found, 'nothing');
END
$$;

-- Protected, indexed, forced: nothing to say, by any kind of comparison.
CREATE TABLE l.orders (id int PRIMARY KEY, account text, u uuid, n int, b bigint);
CREATE INDEX ON l.orders (account);
CREATE INDEX ON l.orders (u);
CREATE INDEX ON l.orders (n);
CREATE INDEX ON l.orders (b);
ALTER TABLE l.orders OWNER TO regress_owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON l.orders TO regress_app, regress_backend;
CREATE TABLE l.made (by text, column_name name, tag text, scope text);
INSERT INTO l.made SELECT by, column_name FROM unnest('{account,identifier}'::text[]) AS by, unnest('{account,u,n,b}'::name[]) AS column_name;
INSERT INTO l.made SELECT by, column_name FROM unnest('{connected_account,user_identity}'::text[]) AS by, unnest('{account,u}'::name[]) AS column_name;
INSERT INTO l.made VALUES ('identifier', 'n', 'web', NULL), ('account', 'account', NULL, 'call_logs');
SELECT made.*, (SELECT count(*) FROM t.lint()) AS weaknesses
  FROM l.made, LATERAL (SELECT dialstack.protect_table('l.orders', column_name, 'lint', 'production', by, tag, scope, open_to => '{regress_backend}', force => true) OFFSET 0) AS protected;
-- Also for a table whose partitions are indexed, and for those that no policy of ours concerns.
CREATE TABLE l.parted (id int, account text) PARTITION BY LIST (id);
CREATE TABLE l.parted_1 PARTITION OF l.parted FOR VALUES IN (1);
CREATE INDEX ON l.parted_1 (account);
SELECT dialstack.protect_table('l.parted', 'account', 'lint', 'production', force => true);
CREATE TABLE l.theirs (id int);
GRANT ALL ON l.theirs TO regress_app;
CREATE POLICY theirs ON l.theirs USING (true);
SELECT * FROM t.lint();

-- The owner is not bound.
SELECT dialstack.protect_table('l.orders', 'account', 'lint', 'production', open_to => '{regress_backend}');
SELECT * FROM t.lint();
-- Row-level security is off: then nobody is.
ALTER TABLE l.orders DISABLE ROW LEVEL SECURITY;
SELECT * FROM t.lint();
SELECT dialstack.protect_table('l.orders', 'account', 'lint', 'production', open_to => '{regress_backend}', force => true);
-- The policy was dropped.
DROP POLICY dialstack_sessions_access ON l.orders;
SELECT * FROM t.lint();
DROP POLICY dialstack_sessions_open ON l.orders;
CREATE TRIGGER devices AFTER TRUNCATE ON l.orders EXECUTE FUNCTION dialstack.device_table('lint', 'production', 'u');
SELECT * FROM t.lint();
DROP TRIGGER devices ON l.orders;
SELECT dialstack.protect_table('l.orders', 'account', 'lint', 'production', open_to => '{regress_backend}', force => true);
-- Changes a field of the comment. The new value is put in as text, since jsonb holds no NUL.
CREATE FUNCTION l.comment_with(path text[], value text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    known jsonb := obj_description(oid, 'pg_policy') FROM pg_policy WHERE polrelid = 'l.orders'::regclass AND polname = 'dialstack_sessions_access';
BEGIN
    EXECUTE format('COMMENT ON POLICY dialstack_sessions_access ON l.orders IS %L', replace(jsonb_set(known, path, '"?"')::text, '"?"', value));
END
$$;
-- Our own policies were altered: wider, for other commands, for other roles; the column lost its type.
SELECT change, t.lint_after(change) FROM unnest(ARRAY[
    'ALTER POLICY dialstack_sessions_access ON l.orders USING (true)',
    'ALTER POLICY dialstack_sessions_access ON l.orders USING (account = (SELECT dialstack.current_account(''lint'', ''staging'', NULL)))',
    'ALTER POLICY dialstack_sessions_access ON l.orders WITH CHECK (true)',
    'ALTER POLICY dialstack_sessions_access ON l.orders TO regress_app',
    'DROP POLICY dialstack_sessions_access ON l.orders; CREATE POLICY dialstack_sessions_access ON l.orders AS RESTRICTIVE USING (account = (SELECT dialstack.current_account(''lint'', ''production'', NULL)))',
    'ALTER POLICY dialstack_sessions_open ON l.orders TO PUBLIC',
    'ALTER POLICY dialstack_sessions_open ON l.orders TO regress_backend, regress_app',
    'COMMENT ON POLICY dialstack_sessions_access ON l.orders IS NULL',
    'COMMENT ON POLICY dialstack_sessions_access ON l.orders IS ''{"column": "account"}''',
    'SELECT l.comment_with(''{env}'', ''"staging"'')',
    'SELECT l.comment_with(''{column}'', ''"a\u0000b"'')',
    'SELECT l.comment_with(''{env}'', ''"a\u0000b"'')',
    'SELECT l.comment_with(''{open_to}'', ''[]'')',
    'SELECT l.comment_with(''{other}'', ''1'')',
    'ALTER TABLE l.orders NO FORCE ROW LEVEL SECURITY',
    'ALTER TABLE l.orders RENAME account TO account_2',
    'ALTER POLICY dialstack_sessions_access ON l.orders USING (account = (SELECT dialstack.current_account(''lint'', ''production'', NULL)))']) AS change;
-- Another permissive policy stands beside ours; a restrictive one is no weakness.
CREATE POLICY also ON l.orders FOR SELECT USING (n = 1);
CREATE POLICY narrow ON l.orders AS RESTRICTIVE USING (n > 0);
SELECT * FROM t.lint();
DROP POLICY also ON l.orders;
-- No index that the comparison could use: none, a partial one, one of another collation, one that begins with another column.
DROP INDEX l.orders_account_idx;
CREATE INDEX ON l.orders (account) WHERE n > 0;
CREATE INDEX ON l.orders (account COLLATE "POSIX");
CREATE INDEX ON l.orders (n, account);
CREATE INDEX ON l.orders (lower(account));
SELECT * FROM t.lint();
CREATE INDEX ON l.orders USING hash (account);
SELECT * FROM t.lint();

-- A role that may query the table, by one column alone or through another role, and may not execute what the policy calls.
CREATE ROLE regress_reader;
CREATE ROLE regress_group;
CREATE ROLE regress_member LOGIN IN ROLE regress_group;
GRANT SELECT (account) ON l.orders TO regress_reader;
GRANT UPDATE ON l.orders TO regress_group;
SELECT * FROM t.lint();
-- Allowed, it is none; with a privilege on the function alone, it may not name it.
SELECT dialstack.grant_access('regress_member', 'client');
GRANT EXECUTE ON FUNCTION dialstack.current_account(text, text, text) TO regress_reader;
SELECT * FROM t.lint();
-- Whoever must SET ROLE to the group queries as the group. From PostgreSQL 16 on that is settled when it is granted.
REVOKE regress_group FROM regress_member;
ALTER ROLE regress_member NOINHERIT;
GRANT regress_group TO regress_member;
SELECT * FROM t.lint();
SELECT dialstack.grant_access('regress_group', 'client');
REVOKE ALL (account) ON l.orders FROM regress_reader;
-- What policies do not govern.
GRANT ALL ON l.orders TO regress_app, regress_backend;
GRANT TRUNCATE ON l.orders TO PUBLIC;
SELECT * FROM t.lint();
REVOKE TRUNCATE ON l.orders FROM PUBLIC;
REVOKE TRUNCATE, REFERENCES, TRIGGER ON l.orders FROM regress_app;
SELECT * FROM t.lint();
-- Of one column too.
GRANT REFERENCES (n), SELECT (n) ON l.orders TO regress_app;
SELECT * FROM t.lint();
REVOKE REFERENCES (n), SELECT (n) ON l.orders FROM regress_app;
-- A view that reads as somebody whom the policies do not bind.
CREATE VIEW l.all_orders AS SELECT * FROM l.orders;
CREATE VIEW l.nobodys AS SELECT * FROM l.orders;
CREATE VIEW l.own_orders WITH (security_invoker = true) AS SELECT * FROM l.orders;
CREATE VIEW l.owners_orders AS SELECT * FROM l.orders;
ALTER VIEW l.owners_orders OWNER TO regress_owner;
GRANT SELECT ON l.all_orders, l.own_orders, l.owners_orders TO regress_app;
SELECT * FROM t.lint();
ALTER TABLE l.orders NO FORCE ROW LEVEL SECURITY;
SELECT dialstack.protect_table('l.orders', 'account', 'lint', 'production', open_to => '{regress_backend}');
SELECT * FROM t.lint();
DROP VIEW l.all_orders, l.nobodys, l.own_orders, l.owners_orders;
SELECT dialstack.protect_table('l.orders', 'account', 'lint', 'production', open_to => '{regress_backend}', force => true);
-- A view that others read through another view, or of which they read one column.
CREATE VIEW l.below AS SELECT * FROM l.orders;
CREATE VIEW l.between AS SELECT * FROM l.below;
CREATE VIEW l.above AS SELECT * FROM l.between;
GRANT SELECT ON l.above TO regress_app;
SELECT * FROM t.lint();
-- Below a view that reads as its caller, what is not granted is not read.
ALTER VIEW l.above SET (security_invoker);
SELECT * FROM t.lint();
GRANT SELECT (account) ON l.below TO regress_app;
SELECT * FROM t.lint();
DROP VIEW l.above, l.between, l.below;
-- A view of a role of open_to.
CREATE VIEW l.open_orders AS SELECT * FROM l.orders;
ALTER VIEW l.open_orders OWNER TO regress_backend;
GRANT SELECT ON l.open_orders TO regress_app;
SELECT * FROM t.lint();
DROP VIEW l.open_orders;

-- A partition that came later.
CREATE TABLE l.parted_2 PARTITION OF l.parted FOR VALUES IN (2) PARTITION BY LIST (account);
CREATE TABLE l.parted_2_rest PARTITION OF l.parted_2 DEFAULT;
SELECT * FROM t.lint();
SELECT dialstack.protect_table('l.parted', 'account', 'lint', 'production', force => true);
SELECT * FROM t.lint();
ALTER TABLE l.parted_1 DISABLE ROW LEVEL SECURITY;
SELECT * FROM t.lint();
DROP TABLE l.parted;
-- A partition of another owner's.
CREATE ROLE regress_partner LOGIN;
CREATE TABLE l.shared (account text) PARTITION BY LIST (account);
CREATE TABLE l.shared_1 PARTITION OF l.shared DEFAULT;
CREATE TABLE l.shared_2 PARTITION OF l.shared FOR VALUES IN ('two');
CREATE INDEX ON l.shared (account);
ALTER TABLE l.shared_1 OWNER TO regress_partner;
SELECT dialstack.protect_table('l.shared', 'account', 'lint', 'production');
SELECT * FROM t.lint();
DROP TABLE l.shared;
DROP ROLE regress_partner;
-- A protected table that became part of another, whose queries its policies do not bind.
CREATE TABLE l.whole (account text, n integer);
ALTER TABLE l.orders INHERIT l.whole;
SELECT relation, policy, weakness, detail FROM dialstack.policy_lint() WHERE relation = 'l.whole'::regclass;
ALTER TABLE l.orders NO INHERIT l.whole;
DROP TABLE l.whole;

-- What it was protected for is gone.
SELECT tag FROM dialstack.definition_create('lint', 'phone', 'Phone', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours');
SELECT dialstack.protect_table('l.orders', 'n', 'lint', 'staging', 'identifier', 'phone', 'lint', open_to => '{regress_backend}', force => true);
SELECT * FROM t.lint();
SELECT dialstack.env_delete('lint', 'staging');
SELECT dialstack.scope_delete('lint', 'lint');
SELECT tag FROM dialstack.definition_delete('lint', 'phone');
SELECT * FROM t.lint();
-- A role of open_to is gone.
DROP OWNED BY regress_backend;
DROP ROLE regress_backend;
SELECT relation, policy, weakness, detail FROM t.lint() WHERE severity = 'info';
-- The policy is there, but the comment on it is not.
COMMENT ON POLICY dialstack_sessions_access ON l.orders IS NULL;
SELECT * FROM t.lint();
DROP TABLE l.orders;
SELECT * FROM t.lint();

-- A table whose owner can log in, or whose members can, and is not bound: it protects nothing.
CREATE TABLE l.owned (id int, account text);
CREATE INDEX ON l.owned (account);
ALTER TABLE l.owned OWNER TO regress_group;
SET client_min_messages = error;
SELECT dialstack.protect_table('l.owned', 'account', 'lint', 'production');
RESET client_min_messages;
SELECT * FROM t.lint();
-- regress_member may become the owner, and is none: NOINHERIT.
ALTER ROLE regress_group LOGIN;
SELECT * FROM t.lint();
ALTER TABLE l.owned FORCE ROW LEVEL SECURITY;
SELECT * FROM t.lint();
ALTER ROLE regress_group NOLOGIN;
DROP TABLE l.owned;
-- A policy of anybody that is too deep to be read keeps nobody from reading the others.
CREATE TABLE l.deep (id int, account text);
DO $$ BEGIN EXECUTE 'CREATE POLICY deep ON l.deep USING ((SELECT dialstack.current_account(''lint'', ''production'')) = ' || repeat('upper(', 1000) || 'account' || repeat(')', 1000) || ')'; END $$;
CREATE POLICY other ON l.deep USING (account = dialstack.current_account('lint', 'production'));
SELECT policy, severity, weakness, detail FROM t.lint() WHERE relation = 'l.deep'::regclass;
DROP TABLE l.deep;

-- Policies that were written by hand. Wrapped: in a sub-select that reads no table and does not look at the row.
CREATE TABLE l.notes (id int PRIMARY KEY, account text, owner text, tags text[]);
CREATE INDEX ON l.notes (account);
CREATE INDEX ON l.notes (owner);
CREATE TABLE l.members (account text, identifier text);
ALTER TABLE l.notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE l.notes FORCE ROW LEVEL SECURITY;
CREATE FUNCTION t.lint_of(qual text, check_qual text = NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    EXECUTE format('CREATE POLICY by_hand ON l.notes USING (%s) %s', qual, 'WITH CHECK (' || check_qual || ')');
    SELECT string_agg(concat_ws(': ', weakness, detail), E'\n' ORDER BY weakness) INTO found FROM t.lint();
    DROP POLICY by_hand ON l.notes;
    RETURN coalesce(found, 'nothing');
END
$$;
\pset format unaligned
\pset tuples_only on
SELECT format(E'\n%s\n  %s', qual, replace(t.lint_of(qual), E'\n', E'\n  ')) FROM unnest(ARRAY[
    -- good
    $$account = (SELECT dialstack.current_account('lint', 'production'))$$,
    $$(SELECT dialstack.current_account('lint', 'production', 'web')) = account$$,
    $$account = ANY ((SELECT dialstack.current_connected_accounts('lint', 'production')::text[])::text[])$$,
    $$account = (SELECT a FROM dialstack.current_account('lint', 'production') AS a)$$,
    $$account = (SELECT coalesce(dialstack.current_account('lint', 'production'), '')) AND (SELECT dialstack.has_scope('call_logs', 'lint', 'production'))$$,
    $$account IN (SELECT m.account FROM l.members m WHERE m.identifier = (SELECT dialstack.current_identifier('lint', 'production')))$$,
    $$EXISTS (SELECT FROM l.members m WHERE m.account = notes.account AND m.identifier = (SELECT dialstack.current_identifier('lint', 'production')))$$,
    $$(SELECT dialstack.current_session_kind()) = 'user'$$,
    $$owner = 'nobody'$$,
    -- called for each row
    $$account = dialstack.current_account('lint', 'production')$$,
    $$account = dialstack.current_account('lint', 'production') OR owner = dialstack.current_identifier('lint', 'production')$$,
    $$account = (SELECT dialstack.current_account('lint', 'production') WHERE id > 0)$$,
    $$(SELECT dialstack.has_scope(owner, 'lint', 'production'))$$,
    $$account IN (SELECT m.account FROM l.members m WHERE m.identifier = dialstack.current_identifier('lint', 'production'))$$,
    $$CASE WHEN id > 0 THEN account = dialstack.current_account('lint', 'production') END$$,
    $$dialstack.current_session_id() IS NOT NULL$$,
    -- not bound
    $$account = (SELECT dialstack.current_account())$$,
    $$(SELECT dialstack.has_scope('call_logs'))$$,
    $$account = (SELECT dialstack.current_account(NULL, 'production'))$$,
    $$account = (SELECT dialstack.current_account(current_setting('my.product'), 'production'))$$,
    $$account = (SELECT dialstack.current_account('lint', NULL))$$,
    $$owner = ANY ((SELECT dialstack.current_user_identities())::text[])$$,
    $$owner = (SELECT dialstack.current_data() ->> 'team')$$,
    $$owner = (SELECT dialstack.current_data() ->> 'team' WHERE dialstack.current_identifier('lint', 'production') IS NOT NULL)$$,
    $$owner = (SELECT dialstack.current_data() ->> 'team' WHERE dialstack.current_product() = 'lint')$$,
    $$tags && (SELECT dialstack.current_scopes())$$,
    -- both
    $$owner = dialstack.current_identifier()$$,
    -- compared with something else than a column, or by an operator that no index serves
    $$tags[1] = (SELECT dialstack.current_account('lint', 'production'))$$,
    $$lower(account) = (SELECT dialstack.current_account('lint', 'production'))$$,
    $$id::text = (SELECT dialstack.current_account('lint', 'production'))$$,
    $$account <> (SELECT dialstack.current_account('lint', 'production'))$$,
    $$account COLLATE "POSIX" = (SELECT dialstack.current_account('lint', 'production'))$$]) AS qual;
\pset format aligned
\pset tuples_only off
-- What is written is judged too, but not by its index; a policy for INSERT has nothing else.
SELECT t.lint_of('true', $$owner = dialstack.current_identifier() AND tags[1] = dialstack.current_account('lint', 'production')$$);
CREATE POLICY adding ON l.notes FOR INSERT WITH CHECK (owner = dialstack.current_identifier('lint', 'production'));
SELECT * FROM t.lint();
-- While row-level security is off.
ALTER TABLE l.notes DISABLE ROW LEVEL SECURITY;
SELECT * FROM t.lint();

-- The worst first, each with what to do; readable in a read-only transaction.
BEGIN READ ONLY;
SELECT severity, weakness, hint FROM dialstack.policy_lint() WHERE relation = 'l.notes'::regclass;
COMMIT;
-- Also in an encoding that has few characters.
SET client_encoding = LATIN1;
SELECT hint FROM dialstack.policy_lint() WHERE weakness = 'not_wrapped' AND relation = 'l.notes'::regclass;
RESET client_encoding;
-- A table that was dropped meanwhile is nobody's weakness.
SELECT dialstack.protect_table('l.members', 'account', 'lint', 'production');
DROP TABLE l.members;
SELECT count(*) FROM dialstack.policy_lint() w WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = w.relation);
-- For administrators alone.
SET ROLE regress_app;
SELECT * FROM dialstack.policy_lint();
RESET ROLE;

DROP OWNED BY regress_app, regress_owner, regress_reader, regress_group, regress_member;
DROP ROLE regress_app, regress_owner, regress_reader, regress_group, regress_member;
SET client_min_messages = error;
DROP SCHEMA l CASCADE;
RESET client_min_messages;
DROP FUNCTION t.lint, t.lint_of, t.lint_after;
