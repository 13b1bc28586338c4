\set user random(1, :sessions)
SELECT token, refresh_token, expires_at, session_id
FROM dialstack.session_create('bench', 'production', 'web', bench.data(:user));
