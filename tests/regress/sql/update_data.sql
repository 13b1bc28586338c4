-- session_update_data: replaces a living session's data.
SELECT t.product('upd');
SELECT token, refresh_token, session_id FROM dialstack.session_create('upd', 'production', 'web', '{"userId": "u", "cart": 1}') \gset
SELECT end_at FROM dialstack.session_info(:'session_id') \gset
SELECT session_id = :'session_id' AS session_id, expires_at = :'end_at' AS unchanged FROM dialstack.session_update_data(session_id => :'session_id', data => '{"userId": "u", "cart": 2, "new": true}');
-- Tokens that are out tell the new data at once; it is replaced, not merged.
SELECT data FROM dialstack.session_verify(:'token');
SELECT count(*) FROM dialstack.session_update_data(:'session_id', '{"userId": "u"}');
SELECT data FROM dialstack.session_verify(:'token');
SELECT generation FROM dialstack.session_info(:'session_id');
-- A rollback takes it back.
BEGIN;
SELECT count(*) FROM dialstack.session_update_data(:'session_id', '{"userId": "u", "cart": 99}');
SELECT data FROM dialstack.session_verify(:'token');
ROLLBACK;
SELECT data FROM dialstack.session_verify(:'token');
-- After a refresh it is still there.
SELECT count(*) FROM dialstack.session_update_data(:'session_id', '{"userId": "u", "cart": 3}');
SELECT token FROM dialstack.session_refresh(:'refresh_token') \gset
SELECT data FROM dialstack.session_verify(:'token');
-- The rules are those of session_create, and the user stays the same.
SELECT t.error(format('SELECT * FROM dialstack.session_update_data(%L, %L)', :'session_id', '{"userId": "s3cret"}'));
SELECT t.error(format('SELECT * FROM dialstack.session_update_data(%L, %L)', :'session_id', '{"cart": 1}'));
SELECT t.error(format('SELECT * FROM dialstack.session_update_data(%L, %L)', :'session_id', '{"userId": "u", "cart": "s3cret"}'));
SELECT t.error(format('SELECT * FROM dialstack.session_update_data(%L, %L)', :'session_id', '[]'));
SELECT t.error(format('SELECT * FROM dialstack.session_update_data(%L, %L)', :'session_id', jsonb_build_object('userId', 'u', 'x', repeat('x', 3480))));
SELECT t.error(format('SELECT * FROM dialstack.session_update_data(%L, NULL)', :'session_id'));
SELECT t.error($$SELECT * FROM dialstack.session_update_data(NULL, '{}')$$);
SELECT data FROM dialstack.session_verify(:'token');
-- It must live.
SELECT t.error($$SELECT * FROM dialstack.session_update_data('00000000-0000-0000-0000-000000000000', '{"userId": "u"}')$$);
BEGIN;
SELECT t.age(:'session_id', '31 days');
SELECT t.code(format('SELECT * FROM dialstack.session_update_data(%L, %L)', :'session_id', '{"userId": "u"}')) AS expired;
ROLLBACK;
SELECT dialstack.session_revoke('upd', 'production', 'web', session_id => :'session_id');
SELECT t.code(format('SELECT * FROM dialstack.session_update_data(%L, %L)', :'session_id', '{"userId": "u"}')) AS revoked;
