-- token_introspect: the answer of RFC 7662, section 2.2.
SELECT t.product('int');
SELECT token, refresh_token, session_id, expires_at FROM dialstack.session_create('int', 'production', 'web', '{"userId": "user_456", "cart": 3}') \gset
SELECT i - '{iss,sid,jti,exp,iat}'::text[] AS answer FROM dialstack.token_introspect(token => :'token') i;
SELECT i ->> 'iss' = 'urn:uuid:' || instance_id AS iss, i ->> 'sid' = :'session_id' AS sid, (i ->> 'jti')::uuid IS NOT NULL AS jti,
       to_timestamp((i ->> 'exp')::bigint) = :'expires_at' AS exp, jsonb_typeof(i -> 'exp') AS exp_type, to_timestamp((i ->> 'iat')::bigint) <= now() AS iat
  FROM dialstack.token_introspect(:'token') i, dialstack.instance;
SELECT dialstack.token_introspect('web:' || :'token') = dialstack.token_introspect(:'token') AS as_tag_and_token;
-- Of anything else it says nothing but that.
SELECT dialstack.token_introspect(token) FROM unnest(ARRAY[NULL, '', 'rubbish', :'refresh_token', left(:'token', -1)]) AS token;
BEGIN READ ONLY;
SELECT dialstack.token_introspect(:'token') ->> 'active' AS active;
COMMIT;
BEGIN;
SELECT t.age(:'session_id', '31 days');
SELECT dialstack.token_introspect(:'token') AS expired;
ROLLBACK;
SELECT dialstack.session_revoke('int', 'production', 'web', identifier => 'user_456');
SELECT dialstack.token_introspect(:'token') AS revoked;
