-- session_create and its alias session_start.
SELECT t.product('create');

-- Both tokens, when the access token expires, and the session's id.
SELECT * FROM dialstack.session_create(
    product => 'create', env => 'production', tag => 'web',
    data => '{"userId": "user_456", "cart": 3}', ip => '203.0.113.7', user_agent => 'Firefox') \gset
SELECT :'token' ~ '^eyJ[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}$' AS jwt,
       :'refresh_token' ~ '^rt_live_[A-Za-z0-9_-]+$' AS refresh_token,
       :'session_id'::uuid IS NOT NULL AS session_id,
       :'expires_at'::timestamptz BETWEEN now() + interval '14 minutes 50 seconds' AND now() + interval '15 minutes 1 second' AS expires_at;
-- The identifier is what the selector picks; the session ends 30 days from now; the row says from where.
SELECT identifier, active, end_at BETWEEN now() + interval '30 days' - interval '10 seconds' AND now() + interval '30 days 1 second' AS end_at,
       start_at > now() - interval '10 seconds' AS start_at, last_seen_at = start_at AS last_seen_at, ip, user_agent, kind, generation
  FROM dialstack.session_info(:'session_id');
-- Nothing of the data, of a token or of an identifier but the subject lies in the row in clear.
SELECT position('cart' IN encode(sealed_data, 'escape')) = 0 AS sealed, s::text !~ 'eyJ|rt_live' AS no_token
  FROM dialstack.sessions s WHERE session_id = :'session_id';
-- The access token is a JWS in the shape of RFC 9068, with the session data encrypted.
CREATE FUNCTION t.part(token text, n int) RETURNS jsonb LANGUAGE sql AS $$
    SELECT convert_from(decode(rpad(translate(split_part(token, '.', n), '-_', '+/'),
        (length(split_part(token, '.', n)) + 3) / 4 * 4, '='), 'base64'), 'UTF8')::jsonb;
$$;
SELECT t.part(:'token', 1) ->> 'typ' AS typ, t.part(:'token', 1) ->> 'alg' AS alg, ARRAY(SELECT jsonb_object_keys(t.part(:'token', 1)) ORDER BY 1) AS members;
SELECT c ->> 'iss' = 'urn:uuid:' || instance_id AS iss, c ->> 'aud' AS aud, c ->> 'client_id' AS client_id, c ->> 'sub' AS sub,
       c ->> 'sid' = :'session_id' AS sid, c ->> 'tag' AS tag, (c ->> 'jti')::uuid IS NOT NULL AS jti,
       to_timestamp((c ->> 'exp')::bigint) = :'expires_at' AS exp, (c ->> 'exp')::bigint - (c ->> 'iat')::bigint BETWEEN 900 AND 901 AS life,
       c ->> 'dat' ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){4}$' AS dat, ARRAY(SELECT jsonb_object_keys(c) ORDER BY 1) AS claims
  FROM t.part(:'token', 2) AS c, dialstack.instance \gx
SELECT t.part(t.part(:'token', 2) ->> 'dat', 1) - 'kid' AS dat_header;

-- Two sessions of one user are different in everything.
SELECT a.session_id <> b.session_id AS ids, a.token <> b.token AS tokens, a.refresh_token <> b.refresh_token AS refresh_tokens
  FROM dialstack.session_create('create', 'production', 'web', '{"userId": "twice"}') a,
       dialstack.session_create('create', 'production', 'web', '{"userId": "twice"}') b;
-- session_start is another name.
SELECT token, session_id FROM dialstack.session_start(
    product => 'create', env => 'staging', tag => 'web', data => '{"userId": "u"}', expires_in => '1 hour') \gset alias_
SELECT valid, env, identifier FROM dialstack.session_verify(:'alias_token');
SELECT identifier, first_seen = last_seen AS once, total_sessions FROM dialstack.session_users
  JOIN dialstack.environments USING (env_id) JOIN dialstack.products p USING (product_id) WHERE p.product = 'create' ORDER BY 1, 3;

-- expires_in replaces the definition's expiry; the session lives at least as long as the token.
SELECT expires_at BETWEEN now() + interval '2 hours' - interval '5 seconds' AND now() + interval '2 hours 5 seconds' AS token_ends
  FROM dialstack.session_create('create', 'production', 'web', '{"userId": "u"}', expires_in => '2 hours');
SELECT expires_at, session_id FROM dialstack.session_create('create', 'production', 'web', '{"userId": "u"}', expires_in => '60 days') \gset
SELECT end_at >= :'expires_at' AS session_lives_on FROM dialstack.session_info(:'session_id');
-- idle_timeout and max_lifetime cap the session, and the token with it, whatever expires_in says.
SELECT tag FROM dialstack.definition_create('create', 'capped', 'Capped', '', '{}', '$Session{userId}', 1, 'hours',
    idle_timeout => '2 hours', max_lifetime => '3 hours');
SELECT session_id FROM dialstack.session_create('create', 'production', 'capped', '{"userId": "u"}') \gset
SELECT end_at BETWEEN now() + interval '2 hours' - interval '5 seconds' AND now() + interval '2 hours 5 seconds' AS by_idle_timeout FROM dialstack.session_info(:'session_id');
SELECT session_id, expires_at FROM dialstack.session_create('create', 'production', 'capped', '{"userId": "u"}', expires_in => '1 day') \gset
SELECT end_at = :'expires_at' AS same, end_at BETWEEN now() + interval '2 hours' - interval '5 seconds' AND now() + interval '2 hours 5 seconds' AS by_idle_timeout
  FROM dialstack.session_info(:'session_id');
SELECT idle_timeout FROM dialstack.definition_update('create', 'capped', '{"idle_timeout": null}');
SELECT session_id, expires_at FROM dialstack.session_create('create', 'production', 'capped', '{"userId": "u"}', expires_in => '1 day') \gset
SELECT end_at = :'expires_at' AS same, end_at BETWEEN now() + interval '3 hours' - interval '5 seconds' AND now() + interval '3 hours 5 seconds' AS by_max_lifetime
  FROM dialstack.session_info(:'session_id');

-- The selector picks primitives, nested ones too; a number is its digits, and a long one stays exact.
SELECT tag FROM dialstack.definition_create('create', 'nested', 'Nested', '', '{}', '$Session{details}{id}', 1, 'hours');
SELECT v AS value, (SELECT identifier FROM dialstack.session_create('create', 'production', 'nested', jsonb_build_object('details', jsonb_build_object('id', v))) c,
       dialstack.session_info(c.session_id)) AS identifier
  FROM jsonb_array_elements('["user_456", 42, -1, 0, 18446744073709551615, true, false, " ", "a:b/c", "ユーザー", "😀", "é"]') AS v;
SELECT length(identifier) FROM dialstack.session_create('create', 'production', 'nested', jsonb_build_object('details', jsonb_build_object('id', repeat('ü', 255)))) c,
       dialstack.session_info(c.session_id);
SELECT left(v::text, 30) AS value, t.code(format('SELECT * FROM dialstack.session_create(%L, %L, %L, %L)', 'create', 'production', 'nested',
       jsonb_build_object('details', jsonb_build_object('id', v))))
  FROM jsonb_array_elements(jsonb_build_array(NULL, '', repeat('x', 256), 1.5, 1.0, 18446744073709551616, '{}'::jsonb, '[1]'::jsonb, E'a\nb', E'\u007f')) AS v;
SELECT t.error($$SELECT * FROM dialstack.session_create('create', 'production', 'nested', '{"details": {}}')$$);
SELECT t.error($$SELECT * FROM dialstack.session_create('create', 'production', 'nested', '{"details": "s3cret"}')$$);

-- Session data is an object of at most 3500 bytes, as JSON text without blanks, and 64 levels.
SELECT octet_length(data ->> 'x') FROM dialstack.session_create('create', 'production', 'web', jsonb_build_object('userId', 'u', 'x', repeat('x', 3500 - 21))) c,
       dialstack.session_verify(c.token);
SELECT t.error(format('SELECT * FROM dialstack.session_create(%L, %L, %L, %L)', 'create', 'production', 'web', jsonb_build_object('userId', 'u', 'x', repeat('x', 3501 - 21))));
-- The longest data with the longest identifier still makes a token that verifies.
SELECT v.valid FROM dialstack.session_create('create', 'production', 'web', jsonb_build_object('userId', repeat('x', 255), 'x', repeat('x', 3224))) c,
       dialstack.session_verify('web:' || c.token) v;
SELECT t.code(format('SELECT * FROM dialstack.session_create(%L, %L, %L, %L)', 'create', 'production', 'web',
       jsonb_build_object('userId', 'u', 'deep', (repeat('{"a": ', levels) || '1' || repeat('}', levels))::jsonb)))
  FROM unnest('{63, 64}'::int[]) AS levels;
-- What goes in comes out: every kind of value, and every digit of a number.
SELECT data FROM dialstack.session_create('create', 'production', 'web',
    '{"userId": "u", "cart": 1.10, "big": 123456789012345678901234567890.123456789, "null": null, "list": [1, "two", {"three": 3}], "text": "ü \"q\" \\ \n 😀", "": ""}') c,
    dialstack.session_verify(c.token);

-- A user agent is cut after 1,000 characters.
SELECT i.user_agent = repeat('x', 1000) AS cut
  FROM dialstack.session_create('create', 'production', 'web', '{"userId": "u"}', user_agent => repeat('x', 1500)) c, dialstack.session_info(c.session_id) i;
-- A refused create leaves nothing behind: no session, user or activity.
SELECT (SELECT count(*) FROM dialstack.sessions) AS sessions, (SELECT count(*) FROM dialstack.session_users) AS users,
       (SELECT count(*) FROM dialstack.activity) AS activity \gset before_
SELECT t.error($$SELECT * FROM dialstack.session_create('create', 'production', 'web', '{"userId": 5}')$$);
SELECT t.error($$SELECT * FROM dialstack.session_create('create', 'production', 'web', '{"userId": "nobody", "cart": "s3cret"}')$$);
SELECT t.error($$SELECT * FROM dialstack.session_create('create', 'production', 'web', '{"userId": "nobody"}', expires_in => '-1 second')$$);
SELECT (SELECT count(*) FROM dialstack.sessions) - :before_sessions AS sessions, (SELECT count(*) FROM dialstack.session_users) - :before_users AS users,
       (SELECT count(*) FROM dialstack.activity) - :before_activity AS activity;
-- Rolled back, it never was.
BEGIN;
SELECT token, refresh_token FROM dialstack.session_create('create', 'production', 'web', '{"userId": "undone"}') \gset
SELECT t.verdict(:'token') AS inside;
ROLLBACK;
SELECT t.verdict(:'token') AS afterwards;
SELECT ok, reason FROM dialstack.session_refresh(:'refresh_token');
-- A READ ONLY transaction creates nothing.
BEGIN READ ONLY;
SELECT count(*) FROM dialstack.session_create('create', 'production', 'web', '{"userId": "u"}');
ROLLBACK;

-- How long this one session lives without a refresh: "remember me", or the opposite. Within max_lifetime, and kept by refreshes.
CREATE FUNCTION t.lives(session_expires_in interval, tag text = 'web', expires_in interval = NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    made record; info record; first interval;
BEGIN
    SELECT * INTO made FROM dialstack.session_create('create', 'production', tag, '{"userId": "remembered"}', expires_in => lives.expires_in, session_expires_in => lives.session_expires_in);
    SELECT * INTO info FROM dialstack.session_info(made.session_id);
    ASSERT info.end_at = made.session_expires_at;
    first := date_trunc('minute', info.end_at - info.start_at);
    -- As if that had been so long ago, but without the end of before, which a refresh does not shorten.
    UPDATE dialstack.sessions s SET created_at = created_at - interval '4 minutes', expires_at = clock_timestamp() + interval '1 minute' WHERE s.session_id = made.session_id;
    SELECT * INTO made FROM dialstack.session_refresh(made.refresh_token);
    RETURN format('%s, refreshed %s, its token %s', first, date_trunc('minute', made.session_expires_at - clock_timestamp() + interval '1 second'),
        CASE WHEN made.expires_at = made.session_expires_at THEN 'as long' ELSE 'shorter' END);
END
$$;
SELECT t.lives(NULL) AS as_defined;
SELECT t.lives('90 days') AS longer;
SELECT t.lives('2 hours') AS shorter;
SELECT t.lives('5 minutes') AS shorter_than_the_token;
SELECT expires_at = session_expires_at AS token_does_not_outlive_it
  FROM dialstack.session_create('create', 'production', 'web', '{"userId": "remembered"}', expires_in => '5 hours', session_expires_in => '2 hours');
SELECT tag FROM dialstack.definition_create('create', 'capped', 'Capped', '', '{}', '$Session{userId}', 15, 'minutes', max_lifetime => '1 day');
SELECT t.lives('90 days', 'capped') AS capped;
SELECT t.code(format('SELECT * FROM dialstack.session_create(%L, %L, %L, %L, session_expires_in => %L)', 'create', 'production', 'web', '{"userId": "u"}', session_expires_in))
  FROM unnest(ARRAY['0', '-1 hour', '101 years', '1 month -32 days']) AS session_expires_in;
