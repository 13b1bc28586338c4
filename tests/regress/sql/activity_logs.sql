-- session_activity_logs: what happened, newest first.
SELECT t.product('logs');
SELECT tag FROM dialstack.definition_create('logs', 'app', 'App', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours', max_sessions => 1, log_verify => true);
-- Every operation of every family.
SELECT refresh_token, session_id FROM dialstack.session_create('logs', 'production', 'web', '{"userId": "ann"}', ip => '203.0.113.7', user_agent => 'Firefox') \gset
SELECT refresh_token AS second FROM dialstack.session_refresh(:'refresh_token') \gset
SELECT refresh_token AS third FROM dialstack.session_refresh(:'second') \gset
SELECT reason FROM dialstack.session_refresh(:'refresh_token', ip => '198.51.100.1');
SELECT reason FROM dialstack.session_refresh(:'third');
SELECT count(*) FROM dialstack.session_create('logs', 'production', 'app', '{"userId": "bob"}');
SELECT token FROM dialstack.session_create('logs', 'production', 'app', '{"userId": "bob"}') \gset
SELECT t.verdict(:'token');
SELECT dialstack.session_revoke('logs', 'production', 'app', identifier => 'bob');
SELECT count(*) FROM dialstack.account_session_create('acct_1', product => 'logs', env => 'production');
SELECT client_session_id FROM dialstack.client_session_create('key-1', product => 'logs', env => 'production') \gset
SELECT count(*) FROM dialstack.client_session_grant_access(:'client_session_id', connected_account_ids => '{00000000-0000-0000-0000-000000000001}', product => 'logs', env => 'production');
SELECT dialstack.client_session_revoke(:'client_session_id', product => 'logs', env => 'production');
SELECT dialstack.client_session_delete(:'client_session_id', product => 'logs', env => 'production');
SELECT count(*) FROM dialstack.session_create('logs', 'staging', 'web', '{"userId": "ann"}');

SELECT env, tag, kind, operation, status, reason, identifier, total FROM dialstack.session_activity_logs(product => 'logs', per_page => 100);
SELECT DISTINCT operation FROM dialstack.session_activity_logs('logs', per_page => 100) ORDER BY 1;
-- All that a row tells.
SELECT activity_id > 0 AS activity_id, at <= clock_timestamp() AND at > now() - interval '1 minute' AS at, product, env, tag, kind, operation, status, reason, session_id = :'session_id' AS session_id, identifier, latency_us >= 0 AS latency_us, ip, user_agent, detail, total
  FROM dialstack.session_activity_logs('logs', tag => 'web', env => 'production', identifier => 'ann', status => 'fail') \gx
-- Each filter, with the total of what it leaves.
SELECT what, count(*), max(total) AS total FROM (
    SELECT 'tag' AS what, total FROM dialstack.session_activity_logs('logs', tag => 'app', per_page => 100)
    UNION ALL SELECT 'env', total FROM dialstack.session_activity_logs('logs', env => 'staging', per_page => 100)
    UNION ALL SELECT 'identifier', total FROM dialstack.session_activity_logs('logs', identifier => 'ann', per_page => 100)
    UNION ALL SELECT 'account', total FROM dialstack.session_activity_logs('logs', identifier => 'acct_1', per_page => 100)
    UNION ALL SELECT 'success', total FROM dialstack.session_activity_logs('logs', status => 'success', per_page => 100)
    UNION ALL SELECT 'fail', total FROM dialstack.session_activity_logs('logs', status => 'fail', per_page => 100)
    UNION ALL SELECT 'before', total FROM dialstack.session_activity_logs('logs', end_at => now() - interval '1 hour', per_page => 100)
    UNION ALL SELECT 'since', total FROM dialstack.session_activity_logs('logs', start_at => now() - interval '1 hour', end_at => now() + interval '1 hour', per_page => 100)) AS f
 GROUP BY what ORDER BY what;
-- From start_at on, before end_at.
SELECT a.operation, b.from_then, b.until_then
  FROM dialstack.session_activity_logs('logs', tag => 'app', per_page => 100) a,
       LATERAL (SELECT (SELECT count(*) FROM dialstack.session_activity_logs('logs', tag => 'app', start_at => a.at, per_page => 100)) AS from_then,
                       (SELECT count(*) FROM dialstack.session_activity_logs('logs', tag => 'app', end_at => a.at, per_page => 100)) AS until_then) b
 WHERE a.operation = 'verify';
SELECT count(*) FROM dialstack.session_activity_logs('logs', start_at => now(), end_at => now());
-- Pages: each row once, in one order.
SELECT count(*) AS rows, count(DISTINCT activity_id) AS different,
       array_agg(activity_id ORDER BY page, ordinality) = array_agg(activity_id ORDER BY at DESC, activity_id DESC) AS newest_first
  FROM generate_series(1, 8) page, dialstack.session_activity_logs('logs', page => page, per_page => 3) WITH ORDINALITY;
SELECT count(*), max(total) AS total FROM dialstack.session_activity_logs('logs', per_page => 2, with_total => false);
-- A deleted definition has no tag any more; its rows stay.
SELECT count(*) FROM dialstack.definition_delete('logs', 'app');
SELECT tag, count(*) FROM dialstack.session_activity_logs('logs', env => 'production', per_page => 100) WHERE kind = 'user' GROUP BY tag ORDER BY tag;
-- It reads only.
BEGIN READ ONLY;
SELECT count(*) > 0 AS rows, pg_current_xact_id_if_assigned() IS NULL AS without_transaction_id FROM dialstack.session_activity_logs('logs');
COMMIT;

-- An API key narrows to its environment, and is noted where it was used.
SELECT api_key_id, api_key AS secret FROM dialstack.api_key_create('logs', 'staging') \gset
SELECT api_key AS publishable FROM dialstack.api_key_create('logs', 'staging', 'publishable') \gset
SET dialstack_sessions.api_key = :'secret';
SELECT operation, total FROM dialstack.session_activity_logs('logs');
SELECT t.code($$SELECT * FROM dialstack.session_activity_logs('logs', env => 'production')$$);
SELECT client_session_id FROM dialstack.client_session_create('key-2') \gset
SELECT count(*) FROM dialstack.client_session_grant_access(:'client_session_id', connect_webview_ids => '{00000000-0000-0000-0000-000000000001}');
SELECT dialstack.client_session_revoke(:'client_session_id');
SELECT dialstack.client_session_delete(:'client_session_id');
SELECT count(*) FROM dialstack.account_session_create('acct_2');
SELECT session_id FROM dialstack.session_create('logs', 'staging', 'web', '{"userId": "keyed"}') \gset
SELECT count(*) FROM dialstack.session_extend(:'session_id', '1 day');
SELECT dialstack.session_revoke('logs', 'staging', 'web', session_id => :'session_id');
SET dialstack_sessions.api_key = :'publishable';
SELECT t.code($$SELECT * FROM dialstack.session_activity_logs('logs')$$);
RESET dialstack_sessions.api_key;
SELECT kind, operation, detail ->> 'api_key_id' = :'api_key_id' AS key, detail ->> 'account' AS account FROM dialstack.session_activity_logs('logs', env => 'staging', per_page => 8);
-- A client session whose token's key is revoked while it is asked for: the revocation is a row too.
SELECT client_session_id FROM dialstack.client_session_create('key-3', product => 'logs', env => 'staging') \gset
SELECT kid AS revoked_kid FROM dialstack.signing_key_list() WHERE purpose = 'token' AND state = 'active' \gset
SELECT count(*) FROM dialstack.signing_key_rotate('token');
UPDATE dialstack.signing_keys SET state = 'revoked', revoked_at = now() WHERE kid = :'revoked_kid';
SELECT client_session_id <> :'client_session_id' AS another FROM dialstack.client_session_create('key-3', product => 'logs', env => 'staging');
SELECT operation, reason FROM dialstack.activity WHERE session_id = :'client_session_id' ORDER BY activity_id;

-- Bad input.
SELECT page, per_page, t.code(format('SELECT * FROM dialstack.session_activity_logs(%L, page => %s, per_page => %s)', 'logs', page, per_page))
  FROM (VALUES (1001, 1000), (1002, 1000), (2147483647, 1000), (0, 10), (-2147483648, 10), (1, 0), (1, 1001)) AS p (page, per_page);
SELECT t.code(c) FROM unnest(ARRAY[
    $$SELECT * FROM dialstack.session_activity_logs(NULL)$$, $$SELECT * FROM dialstack.session_activity_logs('nope')$$, $$SELECT * FROM dialstack.session_activity_logs('logs', tag => 'nope')$$, $$SELECT * FROM dialstack.session_activity_logs('logs', env => 'nope')$$,
    $$SELECT * FROM dialstack.session_activity_logs('logs', status => 'processing')$$, $$SELECT * FROM dialstack.session_activity_logs('logs', status => '')$$,
    $$SELECT * FROM dialstack.session_activity_logs('logs', identifier => '')$$, $$SELECT * FROM dialstack.session_activity_logs('logs', identifier => repeat('x', 256))$$,
    $$SELECT * FROM dialstack.session_activity_logs('logs', start_at => '2026-02-01', end_at => '2026-01-01')$$,
    $$SELECT * FROM dialstack.session_activity_logs('logs', start_at => 'infinity')$$, $$SELECT * FROM dialstack.session_activity_logs('logs', start_at => '-infinity')$$, $$SELECT * FROM dialstack.session_activity_logs('logs', end_at => 'infinity')$$,
    $$SELECT * FROM dialstack.session_activity_logs('logs', page => NULL)$$, $$SELECT * FROM dialstack.session_activity_logs('logs', per_page => NULL)$$, $$SELECT * FROM dialstack.session_activity_logs('logs', with_total => NULL)$$]) AS c;
SELECT t.error($$SELECT * FROM dialstack.session_activity_logs('logs', start_at => '2026-02-01', end_at => '2026-01-01')$$);
-- The ends of what a timestamp holds are moments like any other.
SELECT count(*) > 0 AS rows FROM dialstack.session_activity_logs('logs', start_at => '4713-01-01 BC', end_at => '294276-12-31');
