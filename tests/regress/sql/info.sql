-- session_info: one session, dead or alive.
SELECT t.product('info');
SELECT refresh_token, session_id FROM dialstack.session_create('info', 'staging', 'web', '{"userId": "u"}', ip => '2001:db8::/32', user_agent => 'Ünder "quoted"') \gset
SELECT session_id = :'session_id' AS session_id, identifier, start_at <= now() AS start_at, end_at > now() AS end_at, active, last_seen_at = start_at AS last_seen_at,
       ip, user_agent, kind, product, env, tag, generation, revoked_at, revoke_reason, scopes
  FROM dialstack.session_info(session_id => :'session_id') \gx
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
SELECT generation, last_seen_at > start_at AS seen FROM dialstack.session_info(:'session_id');
SELECT dialstack.session_revoke('info', 'staging', 'web', identifier => 'u');
SELECT active, revoked_at IS NOT NULL AS revoked_at, revoke_reason, end_at = revoked_at AS ended_then FROM dialstack.session_info(:'session_id');
-- It never shows data or a token.
SELECT s::text LIKE '%rt\_%' OR s::text LIKE '%eyJ%' AS shows_secrets FROM dialstack.session_info(:'session_id') s;
BEGIN READ ONLY;
SELECT generation FROM dialstack.session_info(:'session_id');
COMMIT;
SELECT t.error($$SELECT * FROM dialstack.session_info('00000000-0000-0000-0000-000000000000')$$);
SELECT t.error($$SELECT * FROM dialstack.session_info(NULL)$$);
