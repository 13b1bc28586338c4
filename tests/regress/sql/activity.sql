-- activity: a row for every operation on a session but verify.
SELECT t.product('act');
CREATE FUNCTION t.activity(session_id uuid) RETURNS TABLE (operation text, status text, reason text, subject text, ip inet, user_agent text, api_key_id uuid) LANGUAGE sql AS $$
    SELECT operation, status, reason, subject, ip, user_agent, api_key_id FROM dialstack.activity a WHERE a.session_id = activity.session_id ORDER BY activity_id;
$$;
-- create, refresh, revoke.
SELECT token, refresh_token, session_id FROM dialstack.session_create('act', 'production', 'web', '{"userId": "user_456"}', ip => '203.0.113.7', user_agent => 'Firefox') \gset
SELECT refresh_token FROM dialstack.session_refresh(:'refresh_token', ip => '203.0.113.8') \gset second_
SELECT dialstack.session_revoke('act', 'production', 'web', session_id => :'session_id');
SELECT * FROM t.activity(:'session_id');
-- Whose, when, where, and how long it took.
SELECT DISTINCT kind, e.env, d.tag, at <= clock_timestamp() AND at > now() - interval '1 minute' AS at, month = extract(month FROM at AT TIME ZONE 'UTC') AS month, latency_us BETWEEN 0 AND 60000000 AS latency
  FROM dialstack.activity a JOIN dialstack.environments e USING (env_id) JOIN dialstack.session_definitions d USING (definition_id) WHERE session_id = :'session_id';
-- Each row lies in the partition of its month.
SELECT bool_and(tableoid::regclass::text = 'dialstack.activity_' || to_char(at AT TIME ZONE 'UTC', 'MM')) AS by_month FROM dialstack.activity;
-- Revoking what is revoked, verifying, listing, changing: no row.
SELECT dialstack.session_revoke('act', 'production', 'web', session_id => :'session_id');
SELECT valid FROM dialstack.session_verify(:'token');
SELECT count(*) FROM dialstack.session_list('act', 'production', 'web');
SELECT count(*) FROM t.activity(:'session_id');
-- fail: a refused refresh of an authentic token, with the reason.
SELECT reason FROM dialstack.session_refresh(:'second_refresh_token', ip => '198.51.100.1', user_agent => 'curl');
SELECT reason FROM dialstack.session_refresh(:'second_refresh_token', product => 'other');
SELECT * FROM t.activity(:'session_id') OFFSET 3;
-- A forged one writes nothing.
SELECT count(*) AS before FROM dialstack.activity \gset
SELECT reason FROM dialstack.session_refresh(overlay(:'second_refresh_token' PLACING CASE substr(:'second_refresh_token', 20, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM 20));
SELECT reason FROM dialstack.session_refresh('rubbish');
SELECT reason FROM dialstack.session_refresh(NULL);
SELECT count(*) - :before AS rows FROM dialstack.activity;
-- expired.
SELECT refresh_token, session_id FROM dialstack.session_create('act', 'production', 'web', '{"userId": "late"}') \gset
SELECT t.age(:'session_id', '31 days');
SELECT reason FROM dialstack.session_refresh(:'refresh_token');
SELECT operation, status, reason FROM t.activity(:'session_id');
-- reuse: one row says it all.
SELECT refresh_token, session_id FROM dialstack.session_create('act', 'production', 'web', '{"userId": "stolen"}') \gset
SELECT refresh_token FROM dialstack.session_refresh(:'refresh_token') \gset second_
SELECT ok FROM dialstack.session_refresh(:'second_refresh_token');
SELECT ok, reason FROM dialstack.session_refresh(:'refresh_token', ip => '198.51.100.1');
SELECT operation, status, reason, subject FROM t.activity(:'session_id');
-- The row of a theft tells where the thief came from.
SELECT operation, ip FROM t.activity(:'session_id') WHERE operation = 'reuse';
-- evict.
SELECT tag FROM dialstack.definition_create('act', 'one', 'One', '', '{}', '$Session{userId}', 1, 'hours', max_sessions => 1);
SELECT session_id FROM dialstack.session_create('act', 'production', 'one', '{"userId": "u"}') \gset
SELECT count(*) FROM dialstack.session_create('act', 'production', 'one', '{"userId": "u"}');
SELECT operation, status, reason FROM t.activity(:'session_id');
-- revoke_all: one row a session; env_delete and definition_delete tell why.
SELECT count(*) FROM generate_series(1, 3) n, dialstack.session_create('act', 'production', 'web', jsonb_build_object('userId', 'many', 'cart', n));
SELECT dialstack.session_revoke_all('act', 'production', 'web', 'many');
SELECT operation, status, reason, count(*) FROM dialstack.activity WHERE subject = 'many' GROUP BY 1, 2, 3 ORDER BY 1;
SELECT session_id FROM dialstack.session_create('act', 'staging', 'web', '{"userId": "doomed"}') \gset
SELECT dialstack.env_delete('act', 'staging');
SELECT operation, status, reason FROM t.activity(:'session_id');
SELECT session_id FROM dialstack.session_create('act', 'production', 'web', '{"userId": "doomed"}') \gset
SELECT count(*) FROM dialstack.definition_delete('act', 'web');
SELECT operation, status, reason FROM t.activity(:'session_id');
-- Its activity has the session's number of the environment also when that is gone.
SELECT count(*) FROM dialstack.activity a WHERE a.session_id = :'session_id' AND env_id IS NOT NULL;
-- No token and no data is in any of it.
SELECT count(*) FROM dialstack.activity a WHERE a::text ~ 'eyJ|rt_live_|rt_test_|sealed|cart';
-- Rolled back with what it tells of.
SELECT count(*) AS before FROM dialstack.activity \gset
BEGIN;
SELECT count(*) FROM dialstack.session_create('act', 'production', 'one', '{"userId": "undone"}');
ROLLBACK;
SELECT count(*) - :before AS rows FROM dialstack.activity;
