-- protect_table, unprotect_table: whose rows a session sees and changes.
SELECT t.product('protect');
SELECT dialstack.env_create('protect', 'other');
SELECT t.product('protect-2');
CREATE SCHEMA p;
CREATE ROLE regress_app;
CREATE ROLE regress_backend;
GRANT USAGE ON SCHEMA p TO regress_app, regress_backend;
SELECT dialstack.grant_access('regress_app', 'client');

-- The rows that a token shows, as the application's role: alone what is asked for, in a transaction.
CREATE FUNCTION t.rows(token text, relation regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    PERFORM set_config('dialstack_sessions.token', coalesce(token, ''), true);
    SET LOCAL ROLE regress_app;
    EXECUTE format('SELECT string_agg(id::text, '','' ORDER BY id) FROM %s', relation) INTO found;
    RESET ROLE;
    PERFORM set_config('dialstack_sessions.token', '', true);
    RETURN coalesce(found, 'none');
END
$$;
-- What a statement of that role does with it.
CREATE FUNCTION t.does(token text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    touched bigint;
BEGIN
    PERFORM set_config('dialstack_sessions.token', coalesce(token, ''), true);
    SET LOCAL ROLE regress_app;
    EXECUTE statement;
    GET DIAGNOSTICS touched = ROW_COUNT;
    RESET ROLE;
    RETURN touched;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN SQLERRM;
END
$$;
-- A table's policies, whether row-level security is on, whether it binds the owner.
CREATE FUNCTION t.policies(relation regclass) RETURNS TABLE (on_forced text, policy name, roles name[], cmd text, qual text, with_check text) LANGUAGE sql AS $$
    SELECT concat(c.relrowsecurity, '/', c.relforcerowsecurity), p.polname, pp.roles, pp.cmd, pp.qual, nullif(pp.with_check, pp.qual)
      FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid
      LEFT JOIN pg_policies pp ON pp.policyname = p.polname AND format('%I.%I', pp.schemaname, pp.tablename)::regclass = c.oid
     WHERE c.oid = relation ORDER BY p.polname;
$$;

-- What is known of how it was protected.
CREATE FUNCTION t.known(relation text) RETURNS text LANGUAGE sql AS $$
    SELECT obj_description(oid, 'pg_policy') FROM pg_policy WHERE polrelid = to_regclass(relation) AND polname = 'dialstack_sessions_access';
$$;

-- By account: the default.
CREATE TABLE p.orders (id int PRIMARY KEY, account text NOT NULL);
INSERT INTO p.orders VALUES (1, 'acct_blue'), (2, 'acct_red'), (3, 'acct_blue'), (4, 'Acct_Blue'), (5, '');
GRANT SELECT, INSERT, UPDATE, DELETE ON p.orders TO regress_app, regress_backend;
SELECT dialstack.protect_table(relation => 'p.orders', column_name => 'account', product => 'protect', env => 'production');
SELECT * FROM t.policies('p.orders');
SELECT client_secret AS token FROM dialstack.account_session_create('acct_blue', product => 'protect', env => 'production') \gset blue_
SELECT client_secret AS token FROM dialstack.account_session_create('acct_red', '{"call_logs": {"enabled": true}}', product => 'protect', env => 'production') \gset red_
SELECT t.rows(NULL, 'p.orders') AS nobody, t.rows(:'blue_token', 'p.orders') AS blue, t.rows(:'red_token', 'p.orders') AS red, t.rows('cs_live_x', 'p.orders') AS bad;
-- The same account of another product or environment is somebody else.
SELECT t.rows(client_secret, 'p.orders') AS other_env FROM dialstack.account_session_create('acct_blue', product => 'protect', env => 'other');
SELECT t.rows(client_secret, 'p.orders') AS other_product FROM dialstack.account_session_create('acct_blue', product => 'protect-2', env => 'production');
-- Rows that are written obey as well: none appears under another account, none moves there.
SELECT t.does(:'blue_token', $$INSERT INTO p.orders VALUES (10, 'acct_blue')$$) AS own, t.does(:'blue_token', $$INSERT INTO p.orders VALUES (11, 'acct_red')$$) AS foreign_row;
SELECT t.does(:'blue_token', $$UPDATE p.orders SET account = 'acct_red' WHERE id = 1$$) AS moved, t.does(:'blue_token', $$UPDATE p.orders SET id = id + 100 WHERE account = 'acct_red'$$) AS of_others;
SELECT t.does(:'blue_token', $$DELETE FROM p.orders$$) AS deleted, t.does(NULL, $$DELETE FROM p.orders$$) AS by_nobody, t.does(NULL, $$INSERT INTO p.orders VALUES (12, NULL)$$) AS null_row;
SELECT id, account FROM p.orders ORDER BY id;
-- Revoked, it shows nothing at the next statement; extended to nobody else.
SELECT t.rows(:'red_token', 'p.orders') AS before;
UPDATE dialstack.sessions SET revoked_at = now(), revoke_reason = 'revoked' WHERE subject = 'acct_red';
SELECT t.rows(:'red_token', 'p.orders') AS afterwards;
SELECT client_secret AS token FROM dialstack.account_session_create('acct_red', '{"call_logs": {"enabled": true}}', product => 'protect', env => 'production') \gset red_

-- With a scope: the session must hold it.
SELECT client_secret AS token FROM dialstack.account_session_create('acct_red', '{"voicemails": {"enabled": true}}', product => 'protect', env => 'production') \gset quiet_
SELECT dialstack.protect_table('p.orders', 'account', 'protect', 'production', scope => 'call_logs', open_to => '{regress_backend}');
SELECT * FROM t.policies('p.orders');
SELECT t.rows(:'red_token', 'p.orders') AS with_scope, t.rows(:'quiet_token', 'p.orders') AS without;
SELECT t.known('p.orders');
-- Who is let through sees all, without a token and without access to our functions.
SET ROLE regress_backend;
SELECT count(*) FROM p.orders;
INSERT INTO p.orders VALUES (20, 'acct_green');
RESET ROLE;
-- The same call again changes nothing; another replaces what was there.
SELECT dialstack.protect_table('p.orders', 'account', 'protect', 'production', scope => 'call_logs', open_to => '{regress_backend,regress_backend}');
SELECT policy, roles, cmd FROM t.policies('p.orders');
SELECT dialstack.protect_table('p.orders', 'account', 'protect', 'staging', force => true);
SELECT * FROM t.policies('p.orders');
SELECT t.known('p.orders');
SELECT dialstack.protect_table('p.orders', 'account', 'protect', 'production');
SELECT on_forced, policy FROM t.policies('p.orders');
-- What somebody else forced stays so.
ALTER TABLE p.orders FORCE ROW LEVEL SECURITY;
SELECT dialstack.protect_table('p.orders', 'account', 'protect', 'production');
SELECT on_forced, policy FROM t.policies('p.orders');
-- And away again, twice.
SELECT dialstack.unprotect_table('p.orders'), dialstack.unprotect_table(relation => 'p.orders');
SELECT * FROM t.policies('p.orders');
SELECT t.known('p.orders');
-- Undone, it never was.
BEGIN;
SELECT dialstack.protect_table('p.orders', 'account', 'protect', 'production');
ROLLBACK;
SELECT * FROM t.policies('p.orders');

-- By identifier: user sessions, of one definition or of any. A client session's user_identifier_key
-- is what the browser says, and no identifier here.
CREATE TABLE p.notes (id bigint PRIMARY KEY, u text);
INSERT INTO p.notes VALUES (1, 'user_1'), (2, 'user_2'), (7, '7');
GRANT ALL ON p.notes TO regress_app;
SELECT token FROM dialstack.session_create('protect', 'production', 'web', '{"userId": "user_1"}') \gset user_1_
SELECT token FROM dialstack.session_create('protect', 'production', 'web', '{"userId": "7"}') \gset user_7_
SELECT token FROM dialstack.client_session_create('user_1', product => 'protect', env => 'production') \gset browser_
SELECT tag FROM dialstack.definition_create('protect', 'phone', 'Phone', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours');
SELECT token FROM dialstack.session_create('protect', 'production', 'phone', '{"userId": "user_1"}') \gset phone_
SELECT dialstack.protect_table('p.notes', 'u', 'protect', 'production', by => 'identifier');
SELECT policy, qual FROM t.policies('p.notes');
SELECT t.rows(:'user_1_token', 'p.notes') AS user_1, t.rows(:'phone_token', 'p.notes') AS phone, t.rows(:'user_7_token', 'p.notes') AS user_7, t.rows(:'browser_token', 'p.notes') AS browser, t.rows(:'blue_token', 'p.notes') AS account;
SELECT dialstack.protect_table('p.notes', 'u', 'protect', 'production', by => 'identifier', tag => 'web');
SELECT policy, qual FROM t.policies('p.notes');
SELECT t.rows(:'user_1_token', 'p.notes') AS user_1, t.rows(:'phone_token', 'p.notes') AS phone, t.rows(:'browser_token', 'p.notes') AS browser;

-- Columns of other types. What is no number is nobody's row, not an error.
SELECT dialstack.protect_table('p.notes', 'id', 'protect', 'production', by => 'identifier');
SELECT policy, qual FROM t.policies('p.notes');
SELECT t.rows(:'user_7_token', 'p.notes') AS user_7, t.rows(:'user_1_token', 'p.notes') AS user_1, t.does(:'user_1_token', 'INSERT INTO p.notes VALUES (9)') AS writes;
CREATE TABLE p.numbers (id int PRIMARY KEY);
INSERT INTO p.numbers VALUES (7), (0), (-7);
GRANT ALL ON p.numbers TO regress_app;
SELECT dialstack.protect_table('p.numbers', 'id', 'protect', 'production', by => 'identifier');
SELECT identifier, t.rows(token, 'p.numbers')
  FROM unnest('{7,007,+7,-7,0,-0,7.0,2147483648,9223372036854775808,abc," 7"}'::text[]) AS identifier,
       dialstack.session_create('protect', 'production', 'web', jsonb_build_object('userId', identifier));
CREATE DOMAIN p.account_id AS uuid CHECK (VALUE <> '00000000-0000-0000-0000-000000000000');
CREATE TABLE p.typed (id int, u uuid, v varchar(40), d p.account_id, e text COLLATE "C");
INSERT INTO p.typed SELECT 1, a, a, a, a FROM (VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid)) AS v (a);
INSERT INTO p.typed (id) VALUES (2);
GRANT ALL ON p.typed TO regress_app;
SELECT client_secret AS token FROM dialstack.account_session_create('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', product => 'protect', env => 'production') \gset upper_
SELECT client_secret AS token FROM dialstack.account_session_create('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', product => 'protect', env => 'production') \gset lower_
SELECT token FROM dialstack.client_session_create(connected_account_ids => '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', product => 'protect', env => 'production') \gset devices_
SELECT token FROM dialstack.client_session_create(user_identity_ids => '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', product => 'protect', env => 'production') \gset identity_
SELECT dialstack.protect_table('p.typed', 'u', 'protect', 'production');
SELECT qual, t.rows(:'upper_token', 'p.typed') AS upper, t.rows(:'lower_token', 'p.typed') AS lower, t.rows(:'blue_token', 'p.typed') AS blue FROM t.policies('p.typed');
SELECT dialstack.protect_table('p.typed', 'v', 'protect', 'production');
SELECT qual, t.rows(:'upper_token', 'p.typed') AS upper, t.rows(:'lower_token', 'p.typed') AS lower FROM t.policies('p.typed');
SELECT dialstack.protect_table('p.typed', 'd', 'protect', 'production');
SELECT qual, t.rows(:'upper_token', 'p.typed') AS upper, t.rows(:'lower_token', 'p.typed') AS lower FROM t.policies('p.typed');
SELECT dialstack.protect_table('p.typed', 'e', 'protect', 'production');
SELECT qual, t.rows(:'upper_token', 'p.typed') AS upper, t.rows(:'lower_token', 'p.typed') AS lower FROM t.policies('p.typed');
-- By connected account and by user identity, of which a session may have several.
SELECT dialstack.protect_table('p.typed', 'u', 'protect', 'production', by => 'connected_account', device => true);
SELECT qual, t.rows(:'devices_token', 'p.typed') AS devices, t.rows(:'identity_token', 'p.typed') AS identity, t.rows(:'lower_token', 'p.typed') AS account FROM t.policies('p.typed');
SELECT device_count FROM dialstack.client_session_get_or_create(connected_account_ids => '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', product => 'protect', env => 'production');
SELECT dialstack.protect_table('p.typed', 'v', 'protect', 'production', by => 'connected_account');
SELECT qual, t.rows(:'devices_token', 'p.typed') AS devices FROM t.policies('p.typed');
SELECT dialstack.protect_table('p.typed', 'u', 'protect', 'production', by => 'user_identity');
SELECT qual, t.rows(:'devices_token', 'p.typed') AS devices, t.rows(:'identity_token', 'p.typed') AS identity FROM t.policies('p.typed');

-- The planner uses an index on the column, as with a constant.
CREATE TABLE p.big AS SELECT g AS id, 'acct_' || g % 1000 AS account, g AS n, g::bigint AS b, md5(g::text)::uuid AS u FROM generate_series(1, 20000) g;
CREATE INDEX big_account ON p.big (account);
CREATE INDEX big_n ON p.big (n);
CREATE INDEX big_b ON p.big (b);
CREATE INDEX big_u ON p.big (u);
ANALYZE p.big;
GRANT SELECT ON p.big TO regress_app;
CREATE FUNCTION t.plan(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    SET LOCAL ROLE regress_app;
    EXECUTE 'EXPLAIN (FORMAT json) ' || statement INTO plan;
    RESET ROLE;
    -- Before PostgreSQL 17 what a sub-select answered was called $0.
    RETURN (SELECT string_agg(DISTINCT match[1], ', ') FROM regexp_matches(replace(plan::text, '(InitPlan 1).col1', '$0'), '"(?:Index Name|Index Cond)": "([^"]*)"', 'g') AS match);
END
$$;
SELECT column_name, by, t.plan('SELECT * FROM p.big') AS plan
  FROM (VALUES ('account', 'account'), ('account', 'identifier'), ('n', 'account'), ('b', 'identifier'), ('u', 'account'), ('u', 'connected_account'), ('u', 'user_identity'), ('account', 'connected_account')) AS v (column_name, by),
       LATERAL (SELECT dialstack.protect_table('p.big', column_name::name, 'protect', 'production', by) OFFSET 0) AS protected;
DROP TABLE p.big;

-- Names that need quotes, in any schema; roles that need them.
CREATE SCHEMA "we.ird ""Schema";
CREATE TABLE "we.ird ""Schema"."Or'ders; DROP TABLE p.notes; --" (id int, "Acc""ount; --" text, "select" int);
INSERT INTO "we.ird ""Schema"."Or'ders; DROP TABLE p.notes; --" VALUES (1, 'acct_blue'), (2, 'acct_red');
CREATE ROLE "regress ""Bob"", public; --";
GRANT USAGE ON SCHEMA "we.ird ""Schema" TO regress_app;
GRANT SELECT ON "we.ird ""Schema"."Or'ders; DROP TABLE p.notes; --" TO regress_app;
SELECT dialstack.protect_table('"we.ird ""Schema"."Or''ders; DROP TABLE p.notes; --"', 'Acc"ount; --', 'protect', 'production', open_to => ARRAY['"regress ""Bob"", public; --"'::regrole]);
SELECT policy, roles, qual FROM t.policies('"we.ird ""Schema"."Or''ders; DROP TABLE p.notes; --"');
SELECT t.rows(:'blue_token', '"we.ird ""Schema"."Or''ders; DROP TABLE p.notes; --"') AS blue;
SELECT dialstack.unprotect_table('"we.ird ""Schema"."Or''ders; DROP TABLE p.notes; --"');
SELECT on_forced, policy FROM t.policies('"we.ird ""Schema"."Or''ders; DROP TABLE p.notes; --"');
SET client_min_messages = error;
DROP SCHEMA "we.ird ""Schema" CASCADE;
RESET client_min_messages;
DROP ROLE "regress ""Bob"", public; --";

-- A partitioned table with partitions in partitions: each is protected, also when it is reached directly.
CREATE TABLE p.calls (id int, account text, at date) PARTITION BY RANGE (at);
CREATE TABLE p.calls_2025 PARTITION OF p.calls FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE p.calls_2026 PARTITION OF p.calls FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (account);
CREATE TABLE p.calls_2026_rest PARTITION OF p.calls_2026 DEFAULT;
INSERT INTO p.calls VALUES (1, 'acct_blue', '2025-06-01'), (2, 'acct_red', '2025-06-01'), (3, 'acct_blue', '2026-06-01'), (4, 'acct_red', '2026-06-01');
GRANT SELECT ON ALL TABLES IN SCHEMA p TO regress_app;
SELECT dialstack.protect_table('p.calls', 'account', 'protect', 'production', force => true);
SELECT relation, on_forced, policy FROM unnest('{p.calls,p.calls_2025,p.calls_2026,p.calls_2026_rest}'::regclass[]) AS relation, t.policies(relation);
SELECT relation, t.rows(:'blue_token', relation) FROM unnest('{p.calls,p.calls_2025,p.calls_2026,p.calls_2026_rest}'::regclass[]) AS relation;
SELECT relation, t.known(relation) FROM unnest('{p.calls,p.calls_2025,p.calls_2026,p.calls_2026_rest,p.calls_2027}'::text[]) AS relation;
-- One that comes later is open until protect_table is called again.
CREATE TABLE p.calls_2027 (id int, at date, dropped int, account text);
ALTER TABLE p.calls_2027 DROP COLUMN dropped;
INSERT INTO p.calls_2027 VALUES (5, '2027-06-01', 'acct_blue'), (6, '2027-06-01', 'acct_red');
GRANT SELECT ON p.calls_2027 TO regress_app;
-- Protected on its own before, it is part of the whole afterwards.
SELECT dialstack.protect_table('p.calls_2027', 'account', 'protect', 'other');
ALTER TABLE p.calls ATTACH PARTITION p.calls_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
SELECT dialstack.protect_table('p.calls', 'account', 'protect', 'production', force => true);
SELECT t.rows(:'blue_token', 'p.calls_2027') AS part, t.rows(:'blue_token', 'p.calls') AS whole;
SELECT relation, t.known(relation) FROM unnest('{p.calls,p.calls_2025,p.calls_2026,p.calls_2026_rest,p.calls_2027}'::text[]) AS relation;
-- A part alone is not what is meant.
SELECT t.error($$SELECT dialstack.protect_table('p.calls_2025', 'account', 'protect', 'production')$$);
SELECT t.error($$SELECT dialstack.unprotect_table('p.calls_2025')$$);
SELECT dialstack.unprotect_table('p.calls');
SELECT relation, on_forced, policy FROM unnest('{p.calls,p.calls_2025,p.calls_2026,p.calls_2026_rest,p.calls_2027}'::regclass[]) AS relation, t.policies(relation);
-- Tables that inherit likewise.
CREATE TABLE p.parent (id int, account text);
CREATE TABLE p.child (extra int) INHERITS (p.parent);
INSERT INTO p.parent VALUES (1, 'acct_red');
INSERT INTO p.child VALUES (2, 'acct_blue'), (3, 'acct_red');
GRANT SELECT ON p.parent, p.child TO regress_app;
SELECT dialstack.protect_table('p.parent', 'account', 'protect', 'production');
SELECT t.rows(:'blue_token', 'p.parent') AS parent, t.rows(:'blue_token', 'p.child') AS child;
DROP TABLE p.parent CASCADE;

-- Refused, and nothing happened.
CREATE TABLE p.refused (id int, account text, ch char(10), n numeric, j jsonb, l text[], nm name, ts timestamptz, s smallint);
CREATE VIEW p.a_view AS SELECT * FROM p.refused;
CREATE MATERIALIZED VIEW p.a_matview AS SELECT * FROM p.refused;
CREATE SEQUENCE p.a_sequence;
CREATE INDEX an_index ON p.refused (account);
CREATE FOREIGN DATA WRAPPER regress_fdw;
CREATE SERVER regress_server FOREIGN DATA WRAPPER regress_fdw;
CREATE FOREIGN TABLE p.a_foreign (account text) SERVER regress_server;
CREATE TEMP TABLE a_temp (account text);
SELECT relation, t.error(format('SELECT dialstack.protect_table(%L, %L, %L, %L)', relation, 'account', 'protect', 'production'))
  FROM unnest('{p.a_view,p.a_matview,p.a_sequence,p.an_index,p.a_foreign,pg_class,information_schema.sql_features,dialstack.products,dialstack.sessions}'::text[]) AS relation;
SELECT regexp_replace(t.error($$SELECT dialstack.protect_table('a_temp', 'account', 'protect', 'production')$$), 'pg_temp_[0-9]+', 'pg_temp');
SELECT t.error($$SELECT dialstack.unprotect_table('p.a_view')$$);
SELECT t.error($$SELECT dialstack.protect_table(999999999, 'account', 'protect', 'production')$$);
SELECT t.error($$SELECT dialstack.protect_table(0, 'account', 'protect', 'production')$$);
SELECT t.error($$SELECT dialstack.unprotect_table(999999999)$$);
SELECT name, t.error(format('SELECT dialstack.protect_table(%L, %L, %L, %L)', 'p.refused', name, 'protect', 'production')) FROM unnest('{nope,Account,"",ctid,tableoid,ch,n,j,l,nm,ts,s}'::text[]) AS name;
SELECT by, t.error(format('SELECT dialstack.protect_table(%L, %L, %L, %L, %L)', 'p.refused', 'id', 'protect', 'production', by)) FROM unnest('{connected_account,user_identity}'::text[]) AS by;
-- Arguments.
SELECT by, t.error(format('SELECT dialstack.protect_table(%L, %L, %L, %L, %L)', 'p.refused', 'account', 'protect', 'production', by)) FROM unnest('{"",Account,tag}'::text[]) AS by;
SELECT t.error($$SELECT dialstack.protect_table('p.refused', 'account', 'nope', 'production')$$);
SELECT t.error($$SELECT dialstack.protect_table('p.refused', 'account', 'protect', 'nope')$$);
SELECT t.error($$SELECT dialstack.protect_table('p.refused', 'account', 'protect', 'production', 'identifier', tag => 'nope')$$);
SELECT t.error($$SELECT dialstack.protect_table('p.refused', 'account', 'protect', 'production', scope => 'nope')$$);
SELECT t.error($$SELECT dialstack.protect_table('p.refused', 'account', 'protect', 'production', tag => 'web')$$);
SELECT t.error($$SELECT dialstack.protect_table('p.refused', 'account', 'protect', 'production', device => true)$$);
SELECT t.error($$SELECT dialstack.protect_table('p.typed', 'v', 'protect', 'production', 'connected_account', device => true)$$);
SELECT t.error($$SELECT dialstack.protect_table('p.refused', 'account', 'protect', 'production', open_to => '{-}')$$);
SELECT t.error($$SELECT dialstack.protect_table('p.refused', 'account', 'protect', 'production', open_to => '{999999999}')$$);
SELECT t.error($$SELECT dialstack.protect_table('p.refused', 'account', 'protect', 'production', open_to => '{NULL}')$$);
SELECT arguments, t.error(format('SELECT dialstack.protect_table(%s)', arguments)) FROM unnest(ARRAY[
    $$NULL, 'account', 'protect', 'production'$$, $$'p.refused', NULL, 'protect', 'production'$$,
    $$'p.refused', 'account', 'protect', 'production', NULL$$, $$'p.refused', 'account', 'protect', 'production', device => NULL$$, $$'p.refused', 'account', 'protect', 'production', open_to => NULL$$, $$'p.refused', 'account', 'protect', 'production', force => NULL$$]) AS arguments;
SELECT t.error($$SELECT dialstack.unprotect_table(NULL)$$);
-- Other permissive policies, on the table or on a part of it, also while row-level security is off.
CREATE POLICY "wide; open" ON p.refused USING (true);
SELECT t.error($$SELECT dialstack.protect_table('p.refused', 'account', 'protect', 'production')$$);
CREATE POLICY too_wide ON p.calls_2026_rest FOR SELECT TO regress_app USING (true);
SELECT t.error($$SELECT dialstack.protect_table('p.calls', 'account', 'protect', 'production')$$);
DROP POLICY "wide; open" ON p.refused;
SELECT * FROM t.policies('p.refused');
SELECT DISTINCT on_forced FROM unnest('{p.calls,p.calls_2025,p.calls_2026,p.calls_2026_rest}'::regclass[]) AS relation, t.policies(relation);
-- A restrictive one may stay, and is not touched when ours go.
CREATE POLICY narrow ON p.refused AS RESTRICTIVE USING (id > 0);
SELECT dialstack.protect_table('p.refused', 'account', 'protect', 'production');
SELECT policy, roles, cmd FROM t.policies('p.refused');
SELECT dialstack.unprotect_table('p.refused');
SELECT on_forced, policy FROM t.policies('p.refused');
-- A foreign table can't have policies: the others of its whole are protected, and unprotected again.
CREATE FOREIGN TABLE p.calls_far PARTITION OF p.calls FOR VALUES FROM ('2030-01-01') TO ('2031-01-01') SERVER regress_server;
DROP POLICY too_wide ON p.calls_2026_rest;
SELECT dialstack.protect_table('p.calls', 'account', 'protect', 'production');
SELECT relation, policy FROM unnest('{p.calls,p.calls_2025,p.calls_far}'::regclass[]) AS relation, t.policies(relation);
SELECT policy, severity, weakness, detail FROM dialstack.policy_lint() WHERE relation = 'p.calls_far'::regclass;
SELECT dialstack.unprotect_table('p.calls');
SELECT relation, policy FROM unnest('{p.calls,p.calls_2025,p.calls_far}'::regclass[]) AS relation, t.policies(relation);
DROP FOREIGN DATA WRAPPER regress_fdw CASCADE;
-- An owner that can log in, by itself or as another role, and that is not bound.
CREATE ROLE regress_group;
CREATE ROLE regress_login LOGIN IN ROLE regress_group;
CREATE TABLE p.logged_in (id int, account text);
ALTER TABLE p.logged_in OWNER TO regress_group;
SELECT dialstack.protect_table('p.logged_in', 'account', 'protect', 'production');
ALTER TABLE p.logged_in OWNER TO regress_login;
SELECT dialstack.protect_table('p.logged_in', 'account', 'protect', 'production');
SELECT dialstack.protect_table('p.logged_in', 'account', 'protect', 'production', open_to => '{regress_login}');
SELECT dialstack.protect_table('p.logged_in', 'account', 'protect', 'production', force => true);
DROP TABLE p.logged_in;
DROP ROLE regress_login, regress_group;
-- Without product and env the only environment of the database, or of the product; of several it says which there are.
SELECT t.kind($$SELECT dialstack.protect_table('p.refused', 'account')$$);
SELECT t.error($$SELECT dialstack.protect_table('p.refused', 'account', 'protect-2')$$);
SELECT t.error($$SELECT dialstack.protect_table('p.refused', 'account', env => 'nope')$$);
SELECT dialstack.protect_table('p.refused', 'account', env => 'other');
SELECT qual FROM t.policies('p.refused') WHERE policy = 'dialstack_sessions_access';
SELECT dialstack.unprotect_table('p.refused');

-- Whose table it is: the owner's alone. An administrator of ours who owns it not is refused, as is an
-- owner who is no administrator of ours.
CREATE ROLE regress_owner;
CREATE ROLE regress_admin;
GRANT USAGE, CREATE ON SCHEMA p TO regress_owner, regress_admin;
CREATE TABLE p.owned (id int, account text);
ALTER TABLE p.owned OWNER TO regress_owner;
SELECT dialstack.grant_access('regress_admin', 'admin');
SET ROLE regress_admin;
SELECT dialstack.protect_table('p.owned', 'account', 'protect', 'production');
SELECT dialstack.unprotect_table('p.owned');
RESET ROLE;
SET ROLE regress_owner;
SELECT dialstack.protect_table('p.owned', 'account', 'protect', 'production');
RESET ROLE;
-- A member of the owning role owns it too; a part that belongs to somebody else is refused.
GRANT regress_owner TO regress_admin;
SET ROLE regress_admin;
SELECT dialstack.protect_table('p.owned', 'account', 'protect', 'production');
RESET ROLE;
SELECT on_forced, policy FROM t.policies('p.owned');
-- An owner who is no administrator of ours gets no table counted as devices.
SELECT dialstack.grant_access('regress_owner', 'server');
SET ROLE regress_owner;
CREATE TRIGGER devices AFTER TRUNCATE ON p.owned EXECUTE FUNCTION dialstack.device_table('protect', 'production', 'account');
RESET ROLE;
CREATE TABLE p.whole (id int, account text) PARTITION BY LIST (id);
CREATE TABLE p.part PARTITION OF p.whole DEFAULT;
ALTER TABLE p.whole OWNER TO regress_owner;
SET ROLE regress_admin;
SELECT dialstack.protect_table('p.whole', 'account', 'protect', 'production');
RESET ROLE;
-- In a read-only transaction: nothing.
BEGIN READ ONLY;
SELECT dialstack.protect_table('p.notes', 'u', 'protect', 'production', 'identifier');
ROLLBACK;
BEGIN READ ONLY;
SELECT dialstack.unprotect_table('p.notes');
ROLLBACK;

-- The policies are the application's: no extension owns them, and the helpers stay as long as they do.
SELECT count(*) AS of_an_extension FROM pg_depend WHERE classid = 'pg_policy'::regclass AND deptype IN ('e', 'x');
SELECT DISTINCT refobjid::regprocedure AS needed FROM pg_depend JOIN pg_policy ON pg_policy.oid = objid AND polrelid = 'p.owned'::regclass WHERE classid = 'pg_policy'::regclass AND refclassid = 'pg_proc'::regclass;
-- A dropped table is forgotten with its policy.
DROP TABLE p.typed;
SELECT device_count FROM dialstack.client_session_create(connected_account_ids => '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', product => 'protect', env => 'production');

DROP OWNED BY regress_app, regress_backend, regress_admin;
SET client_min_messages = error;
DROP SCHEMA p CASCADE;
DROP OWNED BY regress_owner;
RESET client_min_messages;
DROP ROLE regress_app, regress_backend, regress_owner, regress_admin;
DROP FUNCTION t.rows, t.does, t.policies, t.known, t.plan;
