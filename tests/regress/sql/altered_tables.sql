-- Tables that an administrator has altered: every function answers as before or raises an error, and
-- memory is never read as another type than it holds.
SET client_min_messages = warning;
SELECT t.product('alt');
SELECT token, refresh_token, session_id FROM dialstack.session_create('alt', 'production', 'web', '{"userId": "ann"}', '192.0.2.1', 'curl') \gset
SELECT client_secret FROM dialstack.account_session_create('acme', '{"call_logs": {"enabled": true}}', 'alt', 'production') \gset
SELECT token AS client_token, client_session_id FROM dialstack.client_session_create('ann''s', ARRAY[gen_random_uuid()], product => 'alt', env => 'production') \gset
SELECT api_key, api_key_id FROM dialstack.api_key_create('alt', 'production') \gset
-- Of this one verifications are logged.
SELECT count(*) FROM dialstack.definition_create('alt', 'logged', 'Logged', 'verifications are logged',
    '{"userId": {"type": "string", "required": true}}', '$Session{userId}', 15, 'minutes', log_verify => true, reuse_interval => '0 seconds');
SELECT token AS logged_token, refresh_token AS logged_refresh_token FROM dialstack.session_create('alt', 'production', 'logged', '{"userId": "ann"}') \gset
SELECT count(*) FROM dialstack.session_refresh(:'logged_refresh_token');

-- What is called, each as one text.
CREATE TABLE t.orders (account text);
CREATE TABLE t.probe (n int GENERATED ALWAYS AS IDENTITY, call text, answer text);
INSERT INTO t.probe (call) VALUES
    (format('SELECT v::text FROM dialstack.session_verify(%L) v', :'token')),
    (format('SELECT v::text FROM dialstack.session_verify(%L, scope => %L) v', :'client_secret', 'call_logs')),
    (format('SELECT v::text FROM dialstack.session_verify(%L) v', :'client_token')),
    (format('SELECT v::text FROM dialstack.session_verify(%L) v', :'logged_token')),
    (format('SELECT dialstack.token_introspect(%L)::text', :'client_secret')),
    (format('SELECT string_agg(concat(checked, passed), %L) FROM dialstack.session_explain(%L)', ',', :'token')),
    (format('SELECT concat(set_config(%L, %L, true) <> %L, dialstack.current_identifier(), dialstack.current_data())', 'dialstack_sessions.token', :'token', '')),
    (format('SELECT concat(set_config(%L, %L, true) <> %L, dialstack.current_connected_accounts(), dialstack.has_scope(%L))', 'dialstack_sessions.token', :'client_token', '', 'call_logs')),
    (format('SELECT concat(set_config(%L, %L, true) <> %L, dialstack.session_end())', 'dialstack_sessions.token', :'token', '')),
    (format('SELECT session_id::text FROM dialstack.session_refresh(%L)', :'refresh_token')),
    (format('SELECT concat(session_id, reason) FROM dialstack.session_refresh(%L)', :'logged_refresh_token')),
    ('SELECT count(token)::text FROM dialstack.session_create(''alt'', ''production'', ''web'', ''{"userId": "bob"}'')'),
    ('SELECT count(token)::text FROM dialstack.session_create(''alt'', ''production'', ''logged'', ''{"userId": "ann"}'', ''192.0.2.1'', ''curl'')'),
    (format('SELECT i::text FROM dialstack.session_info(%L) i', :'session_id')),
    ('SELECT string_agg(l::text, '','') FROM dialstack.session_list(''alt'', ''production'', ''web'', ''ann'') l'),
    (format('SELECT session_id::text FROM dialstack.session_update_data(%L, %L)', :'session_id', '{"userId": "ann", "cart": 2}')),
    (format('SELECT session_id::text FROM dialstack.session_extend(%L, %L)', :'session_id', '1 day')),
    (format('SELECT dialstack.session_revoke(%L, %L, %L, %L)::text', 'alt', 'production', 'web', :'session_id')),
    ('SELECT dialstack.session_revoke_all(''alt'', ''production'', ''web'', ''ann'')::text'),
    (format('SELECT concat(set_config(%L, %L, true) <> %L, (SELECT count(client_secret) FROM dialstack.account_session_create(%L)))', 'dialstack_sessions.api_key', :'api_key', '', 'acme')),
    ('SELECT count(token)::text FROM dialstack.client_session_create(''bob''''s'', product => ''alt'', env => ''production'')'),
    ('SELECT c::text FROM dialstack.client_session_get_or_create(''ann''''s'', product => ''alt'', env => ''production'') c'),
    (format('SELECT c::text FROM dialstack.client_session_get(%L, product => %L, env => %L) c', :'client_session_id', 'alt', 'production')),
    ('SELECT string_agg(c::text, '','') FROM dialstack.client_session_list(product => ''alt'', env => ''production'') c'),
    (format('SELECT array_length(connected_account_ids, 1)::text FROM dialstack.client_session_grant_access(%L, connected_account_ids => %L, product => %L, env => %L)', :'client_session_id', '{00000000-0000-0000-0000-000000000001}', 'alt', 'production')),
    (format('SELECT dialstack.client_session_revoke(%L, %L, %L)::text', :'client_session_id', 'alt', 'production')),
    (format('SELECT dialstack.client_session_delete(%L, %L, %L)::text', :'client_session_id', 'alt', 'production')),
    ('SELECT string_agg(u::text, '','') FROM dialstack.session_users(''alt'', ''web'') u'),
    ('SELECT (dialstack.session_user_details(''alt'', ''web'', ''ann'') - ''as_of'')::text'),
    ('SELECT string_agg(concat(kind, operation, status, identifier, ip), '','') FROM dialstack.session_activity_logs(''alt'')'),
    ('SELECT (dialstack.session_dashboard(''alt'', ''web'') - ''as_of'')::text'),
    ('SELECT (dialstack.session_user_dashboard(''alt'', ''web'', ''ann'') - ''as_of'')::text'),
    ('SELECT (dialstack.maintain() IS NOT NULL)::text'),
    ('SELECT dialstack.jwks()::text'),
    ('SELECT string_agg(k::text, '','') FROM dialstack.signing_key_list() k'),
    ('SELECT state FROM dialstack.signing_key_rotate()'),
    ('SELECT dialstack.root_key_rotate()'),
    ('SELECT (dialstack.instance_reset() IS NOT NULL)::text'),
    ('SELECT (dialstack.product_create(''other'') IS NOT NULL)::text'),
    ('SELECT dialstack.env_create(''alt'', ''other'')::text'),
    ('SELECT dialstack.env_delete(''alt'', ''production'')::text'),
    ('SELECT string_agg(d::text, '','') FROM dialstack.definition_list(''alt'') d'),
    ('SELECT tag FROM dialstack.definition_update(''alt'', ''web'', ''{"expiry": 10}'')'),
    ('SELECT tag FROM dialstack.definition_delete(''alt'', ''web'')'),
    ('SELECT dialstack.scope_create(''other'', ''another'')::text'),
    ('SELECT string_agg(concat(kind, name, hint), '','') FROM dialstack.api_key_list(''alt'', ''production'')'),
    (format('SELECT dialstack.api_key_revoke(%L)::text', :'api_key_id')),
    (format('SELECT dialstack.protect_table(%L, %L, %L, %L)::text', 't.orders', 'account', 'alt', 'production')),
    -- By hand, which fires the triggers.
    (format('WITH u AS (UPDATE dialstack.sessions SET revoked_at = now() WHERE session_id = %L RETURNING 1) SELECT count(*)::text FROM u', :'session_id')),
    ('WITH u AS (UPDATE dialstack.session_definitions SET name = name RETURNING 1) SELECT count(*) > 0 FROM u');

-- What each call answers after these statements, which are then undone. What was remembered before is
-- forgotten, so that the tables are read.
CREATE FUNCTION t.answers(VARIADIC statements text[]) RETURNS TABLE (n int, answer text) LANGUAGE plpgsql AS $$
DECLARE
    statement text; probe t.probe; ns int[] = '{}'; answers text[] = '{}'; one text;
BEGIN
    BEGIN
        FOREACH statement IN ARRAY statements LOOP
            EXECUTE statement;
        END LOOP;
        IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('dialstack.verdict_invalidation') AND relkind = 'r') THEN
            ALTER TABLE dialstack.verdict_invalidation SET (fillfactor = 50);
        END IF;
        FOR probe IN SELECT * FROM t.probe p ORDER BY p.n LOOP
            BEGIN
                EXECUTE probe.call INTO one;
                RAISE EXCEPTION USING ERRCODE = 'UNDO1';
            EXCEPTION
                WHEN SQLSTATE 'UNDO1' THEN NULL;
                WHEN OTHERS THEN one = concat(SQLSTATE, ' ', SQLERRM);
            END;
            ns = ns || probe.n;
            answers = answers || coalesce(one, '');
        END LOOP;
        RAISE EXCEPTION USING ERRCODE = 'UNDO2';
    EXCEPTION
        WHEN SQLSTATE 'UNDO2' THEN NULL;
    END;
    RETURN QUERY SELECT * FROM unnest(ns, answers);
END $$;
-- What depends on the tables and would keep them from being altered: views, checks and foreign keys.
CREATE FUNCTION t.free_tables() RETURNS void LANGUAGE plpgsql AS $$
DECLARE statement text;
BEGIN
    FOR statement IN
        SELECT format('ALTER EXTENSION dialstack_sessions DROP VIEW %1$s; DROP VIEW %1$s', oid::regclass)
          FROM pg_class WHERE relnamespace = 'dialstack'::regnamespace AND relkind = 'v'
        UNION ALL
        SELECT format('ALTER EXTENSION dialstack_sessions DROP SEQUENCE %s', oid::regclass)
          FROM pg_class WHERE relnamespace = 'dialstack'::regnamespace AND relkind = 'S'
        UNION ALL
        SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
          FROM pg_constraint WHERE connamespace = 'dialstack'::regnamespace AND contype IN ('c', 'f')
    LOOP
        EXECUTE statement;
    END LOOP;
END $$;
UPDATE t.probe p SET answer = a.answer FROM t.answers('SELECT t.free_tables()') a WHERE a.n = p.n;

-- What can become of a column: it is gone, or holds another type: one that is passed as a pointer where
-- it was passed by value, and the other way round. Integers of another length and other elements.
CREATE SEQUENCE t.another START 7;
CREATE TABLE t.alteration AS
SELECT row_number() OVER (ORDER BY relname, attnum, variant) AS n, relname, attname, variant,
       -- Partial indexes that would refuse another type.
       (SELECT string_agg(format('DROP INDEX %s;', indexrelid::regclass), ' ') FROM pg_index JOIN pg_depend ON objid = indexrelid
         WHERE indrelid = c.oid AND refobjid = c.oid AND refobjsubid = attnum AND indpred IS NOT NULL AND (attnum <> ALL (indkey) OR pg_get_indexdef(indexrelid) ~ 'USING gin')) AS before,
       format('ALTER TABLE dialstack.%I ', relname)
       || CASE variant WHEN 'gone' THEN format('DROP COLUMN %I CASCADE', attname)
               ELSE format('%1$s ALTER COLUMN %2$I TYPE %3$s USING %4$s', CASE WHEN atthasdef THEN format('ALTER COLUMN %I DROP DEFAULT,', attname) END, attname, variant,
                   CASE WHEN variant IN ('bigint', 'integer') AND typname ~ '^int[248]|^oid$' THEN format('%I::%s', attname, variant)
                        WHEN variant = 'bigint' THEN 'nextval(''t.another'')'
                        WHEN variant = 'bigint[]' THEN 'ARRAY[nextval(''t.another'')]'
                        ELSE format('%I::text', attname) END)
          END AS statement
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0
  JOIN pg_type y ON y.oid = a.atttypid
 CROSS JOIN LATERAL unnest(ARRAY['gone', CASE WHEN attidentity <> '' AND typname = 'int8' THEN 'integer' WHEN attidentity <> '' OR NOT typbyval THEN 'bigint' ELSE 'text' END,
                               CASE WHEN typname = 'int4' AND attidentity = '' THEN 'bigint' WHEN typcategory = 'A' THEN 'bigint[]' END]) variant
 WHERE relnamespace = 'dialstack'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND variant IS NOT NULL
   -- Of tables that only statements read, one will do.
   AND (variant IN ('bigint', 'text') OR relname NOT IN ('scopes', 'rollup_state', 'activity_rollup', 'rollup_users'))
   -- The server itself keeps the partition key as it is.
   AND (relname, attname) <> ('activity', 'month');
-- What can become of tables and indexes: another thing bears the name, or nothing.
INSERT INTO t.alteration (n, relname, variant, statement)
SELECT (SELECT max(n) FROM t.alteration) + row_number() OVER (ORDER BY relname, variant), relname, variant, statement
  FROM pg_class c
 CROSS JOIN LATERAL (
    SELECT variant, format(CASE relkind WHEN 'S' THEN 'ALTER SEQUENCE dialstack.%1$I RENAME TO moved;' ELSE 'ALTER TABLE dialstack.%1$I RENAME TO moved;' END || template, relname)
      FROM (VALUES ('another name', ''), ('view', 'CREATE VIEW dialstack.%1$I AS SELECT * FROM dialstack.moved'), ('no columns', 'CREATE TABLE dialstack.%1$I ()')) AS v (variant, template)
     WHERE relkind IN ('r', 'p', 'S') AND (NOT relispartition OR relname ~ to_char(now() AT TIME ZONE 'UTC', 'MM$'))
    UNION ALL
    SELECT variant, format('ALTER INDEX dialstack.%1$I RENAME TO moved;' || template, relname, indrelid::regclass,
                           (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid), (SELECT string_agg('(1)', ', ') FROM generate_series(1, indnkeyatts)))
      FROM (VALUES ('another name', ''), ('partial', 'CREATE INDEX %1$I ON %2$s (%3$s) WHERE false'), ('constants', 'CREATE INDEX %1$I ON %2$s (%4$s)'), ('collated', 'CREATE INDEX %1$I ON %2$s (%3$s COLLATE "POSIX")'),
                   ('hash', 'CREATE INDEX %1$I ON %2$s USING hash (%3$s)'), ('of another table', 'CREATE INDEX %1$I ON dialstack.scopes (scope)'), ('table', 'CREATE TABLE dialstack.%1$I ()')) AS v (variant, template)
      JOIN pg_index ON indexrelid = c.oid
     -- Those that the extension reads by itself.
     WHERE relname IN ('sessions_pkey', 'environments_pkey', 'environments_product_id_env_key', 'products_pkey', 'products_product_key', 'session_definitions_pkey',
                       'session_definitions_product_id_tag_key', 'session_users_pkey', 'api_keys_pkey', 'api_keys_key_hash_key')
       AND NOT (variant = 'hash' AND indnkeyatts > 1)
       AND NOT (variant = 'collated' AND relname NOT IN ('products_product_key', 'environments_product_id_env_key', 'session_definitions_product_id_tag_key'))) AS a (variant, statement)
 WHERE relnamespace = 'dialstack'::regnamespace;
SELECT count(*) > 350 AS many FROM t.alteration;
CREATE TABLE t.outcome AS
SELECT l.n AS alteration, a.n AS probe, a.answer
  FROM t.alteration l, t.answers('SELECT t.free_tables()', concat(l.before, ' ', l.statement)) a;

-- Errors are coded, or the server's own about a statement that does not fit its tables. None is internal.
SELECT DISTINCT left(answer, 2) AS class FROM t.outcome WHERE answer ~ '^[0-9A-Z]{5} ' ORDER BY 1;
-- Any other answer is the one of before, unless it shows the very column that was altered.
SELECT relname, attname, variant, substring(call FROM 'dialstack\.\w+') AS call FROM t.outcome o JOIN t.probe p ON p.n = probe JOIN t.alteration l ON l.n = alteration
 WHERE o.answer <> p.answer AND o.answer !~ '^[0-9A-Z]{5} ' ORDER BY l.n, p.n;
-- What the extension reads past SQL is refused, whichever column it is.
SELECT relname, count(DISTINCT l.n) AS refused FROM t.alteration l JOIN t.outcome ON alteration = l.n WHERE attname IS NOT NULL
 GROUP BY 1 HAVING count(DISTINCT l.n) = count(DISTINCT l.n) FILTER (WHERE answer ~ 'not as it made them') ORDER BY 1;
SELECT relname, string_agg(DISTINCT variant, ', ') AS refused FROM t.alteration l JOIN t.outcome ON alteration = l.n
 WHERE attname IS NULL AND answer ~ 'not as it made them' AND relname !~ '^activity_\d\d' GROUP BY 1 ORDER BY 1;
-- So is the type that verdicts are of.
INSERT INTO t.probe (call) VALUES (format('SELECT (dialstack.session_verify(%L)).kind', :'token'));
SELECT DISTINCT alteration, left(a.answer, 110) AS answer
  FROM unnest(ARRAY['ALTER ATTRIBUTE valid TYPE text', 'ALTER ATTRIBUTE data TYPE bigint', 'DROP ATTRIBUTE kind', 'ADD ATTRIBUTE more text']) AS alteration,
       t.answers('SELECT t.free_tables()', format('ALTER TYPE dialstack.session_verdict %s', alteration)) a
  JOIN t.probe p USING (n)
 WHERE call ~ 'session_verify' ORDER BY 1;
-- Nothing of it is left.
SELECT count(*) AS other_answers FROM t.probe p JOIN t.answers(VARIADIC '{}') a USING (n) WHERE a.answer <> p.answer;
