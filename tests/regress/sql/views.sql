-- The views for administrators.
SELECT t.product('seen');
SELECT refresh_token, session_id FROM dialstack.session_create('seen', 'production', 'web', '{"userId": "ann"}', ip => '203.0.113.7', user_agent => 'Firefox') \gset
SELECT api_key_id, api_key FROM dialstack.api_key_create('seen', 'staging', name => 'backend') \gset
SELECT count(*) FROM dialstack.api_key_create('seen', 'staging', 'publishable', name => 'page');
SET dialstack_sessions.api_key = :'api_key';
SELECT count(*) FROM dialstack.account_session_create('acct_1', '{"call_logs": {"enabled": true}}');
SELECT client_session_id FROM dialstack.client_session_create('a-password-of-a-user') \gset
RESET dialstack_sessions.api_key;
SELECT count(*) FROM dialstack.session_create('seen', 'production', 'web', '{"userId": "gone"}');
SELECT dialstack.session_revoke('seen', 'production', 'web', identifier => 'gone');

-- The living sessions of all kinds; who a client session's user is nobody reads there.
SELECT kind, env, tag, identifier, generation, ip, user_agent, scopes, api_key_id = :'api_key_id' AS by_key, created_at = last_seen_at AS not_refreshed, expires_at > now() AS lives
  FROM dialstack.active_sessions WHERE product = 'seen' ORDER BY created_at;
-- The key ring, with what depends on each key.
SELECT k.purpose, k.alg, k.state, k.published, k.living_sessions IS NULL AS not_counted, k.living_sessions = (SELECT count(*) FROM (SELECT key_number, expires_at, revoked_at FROM dialstack.sessions UNION ALL SELECT key_number, expires_at, revoked_at FROM dialstack.client_sessions UNION ALL SELECT get_byte(sealed_key, 3), expires_at, revoked_at FROM dialstack.client_sessions) s WHERE s.key_number = k.key_number AND revoked_at IS NULL AND expires_at > now()) AS counted
  FROM dialstack.signing_key_status k WHERE state = 'active' ORDER BY purpose;
-- Without that column no session is read.
EXPLAIN (COSTS off) SELECT kid, state FROM dialstack.signing_key_status;
-- Old refresh tokens that were presented.
SELECT refresh_token AS second FROM dialstack.session_refresh(:'refresh_token') \gset
SELECT count(*) FROM dialstack.session_refresh(:'second');
SELECT reason FROM dialstack.session_refresh(:'refresh_token', ip => '198.51.100.1', user_agent => 'curl');
SELECT env, tag, session_id = :'session_id' AS session_id, identifier, ip, user_agent, at <= clock_timestamp() AS at FROM dialstack.refresh_reuse WHERE product = 'seen';
-- The API keys and how they were used.
SELECT env, kind, name, length(hint) AS hint, state, uses, last_used_at > created_at AS used FROM dialstack.api_key_usage WHERE product = 'seen' ORDER BY created_at;
SELECT dialstack.api_key_revoke(:'api_key_id');
SELECT state, revoked_at IS NOT NULL AS revoked_at FROM dialstack.api_key_usage WHERE api_key_id = :'api_key_id';
SELECT dialstack.env_delete('seen', 'staging');
SELECT product, env, state FROM dialstack.api_key_usage WHERE api_key_id = :'api_key_id';

-- No secret is in any of them.
SELECT attrelid::regclass AS view, string_agg(attname, ' ' ORDER BY attnum) AS columns FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'dialstack'::regnamespace AND relkind = 'v') GROUP BY attrelid ORDER BY attrelid::regclass::text;
SELECT count(*) FROM (SELECT v::text AS shown FROM dialstack.active_sessions v UNION ALL SELECT v::text FROM dialstack.signing_key_status v UNION ALL SELECT v::text FROM dialstack.refresh_reuse v UNION ALL SELECT v::text FROM dialstack.api_key_usage v) s
 WHERE shown ~ 'eyJ|rt_live_|rt_test_|cs_live_|cst_test_|sk_test_|pk_test_|a-password-of-a-user';

