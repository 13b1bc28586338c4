-- A jsonb argument is bounded as it comes, before anything of it becomes text: 63 kB of numbers that take 900 MB as text.
SELECT t.product('bounds');
CREATE FUNCTION t.numbers(number text, count int) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('userId', 'u', 'a', jsonb_agg(number::jsonb)) FROM generate_series(1, count);
$$;
CREATE TABLE t.hostile AS SELECT t.numbers('1e131071', 7000) AS data;
SELECT session_id FROM dialstack.session_create('bounds', 'production', 'web', '{"userId": "u"}') \gset
SELECT t.error($$SELECT * FROM dialstack.session_create('bounds', 'production', 'web', (SELECT data FROM t.hostile))$$);
SELECT t.code($$SELECT * FROM dialstack.session_start('bounds', 'production', 'web', (SELECT data FROM t.hostile))$$);
SELECT t.code(format('SELECT * FROM dialstack.session_update_data(%L, (SELECT data FROM t.hostile))', :'session_id'));
SELECT t.error($$SELECT dialstack.session_define('bounds', 'x', 'X', '', '$Session{userId}', 1, 'hours', (SELECT data FROM t.hostile))$$);
SELECT t.code($$SELECT dialstack.definition_create('bounds', 'x', 'X', '', (SELECT data FROM t.hostile), '$Session{userId}', 1, 'hours')$$);
SELECT t.error($$SELECT dialstack.session_register('bounds', (SELECT data FROM t.hostile))$$);
SELECT t.code($$SELECT dialstack.definition_update('bounds', 'web', (SELECT data FROM t.hostile))$$);
SELECT t.error($$SELECT dialstack.account_session_create('acct_1', (SELECT data FROM t.hostile), product => 'bounds', env => 'production')$$);
-- One number is enough, before and after the point.
SELECT number, t.code(format('SELECT * FROM dialstack.session_create(%L, %L, %L, t.numbers(%L, 1))', 'bounds', 'production', 'web', number))
  FROM unnest('{1e4000, 1e-4000, -1e131071, 1e-16383}'::text[]) number;
-- Digits within the bounds are kept.
SELECT data FROM dialstack.session_create('bounds', 'production', 'web', '{"userId": "u", "a": [-12345.678900, 0.000001, 1e20, 0, 100000000]}'), dialstack.session_verify(token);
-- The right to call comes first: a role of level client without a key learns nothing of what is wrong with the value.
CREATE ROLE bounds_client;
SELECT dialstack.grant_access('bounds_client', 'client');
GRANT SELECT ON t.hostile TO bounds_client;
GRANT USAGE ON SCHEMA t TO bounds_client;
SELECT api_key FROM dialstack.api_key_create('bounds', 'staging') \gset
SET ROLE bounds_client;
SELECT * FROM dialstack.account_session_create('acct_1', (SELECT data FROM t.hostile), product => 'bounds', env => 'production');
RESET ROLE;
SET dialstack_sessions.api_key = :'api_key';
SELECT t.code($$SELECT * FROM dialstack.session_create('bounds', 'production', 'web', (SELECT data FROM t.hostile))$$);
RESET dialstack_sessions.api_key;
SELECT dialstack.revoke_access('bounds_client', 'client');
DROP OWNED BY bounds_client;
DROP ROLE bounds_client;
-- Ids are counted before they are copied.
SELECT t.error($$SELECT * FROM dialstack.client_session_create(connected_account_ids => array_fill('00000000-0000-4000-8000-000000000001'::uuid, ARRAY[1001]), product => 'bounds', env => 'production')$$);
SELECT cardinality(connected_account_ids) FROM dialstack.client_session_create(connected_account_ids => array_fill('00000000-0000-4000-8000-000000000001'::uuid, ARRAY[1000]), product => 'bounds', env => 'production');
SELECT t.error($$SELECT dialstack.product_create('bounds.many', scopes => array_fill('x'::text, ARRAY[1001]))$$);
CREATE TABLE t.bounds (account text);
SELECT t.error($$SELECT dialstack.protect_table('t.bounds', 'account', 'bounds', 'production', open_to => array_fill('postgres'::regrole, ARRAY[101]))$$);
-- All patterns of a schema are bounded together.
SELECT t.error($$SELECT dialstack.session_define('bounds', 'x', 'X', '', '$Session{userId}', 1, 'hours',
    (SELECT jsonb_object_agg('f' || n, '{"type": "string", "pattern": "(?:(?:a|b|ab|ba){0,3100}a)+[^a-z]"}'::jsonb) FROM generate_series(1, 64) n))$$);
