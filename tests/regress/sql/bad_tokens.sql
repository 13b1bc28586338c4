-- Bad tokens: truncated, bit-flipped, spliced, of another kind, of another database.
SELECT t.product('tok');
CREATE FUNCTION t.flips(token text) RETURNS SETOF text LANGUAGE sql AS $$
    -- Two of the seven bits of each character, so that every bit has its turn; NUL is no text.
    SELECT overlay(token PLACING chr(ascii(substr(token, n, 1)) # (1 << bit)) FROM n)
      FROM generate_series(1, length(token)) n, LATERAL (VALUES (n % 7), ((n + 3) % 7)) b (bit)
     WHERE ascii(substr(token, n, 1)) # (1 << bit) > 0;
$$;
CREATE FUNCTION t.cuts(token text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT left(token, n) FROM generate_series(1, length(token) - 1) n
    UNION ALL SELECT right(token, n) FROM generate_series(1, length(token) - 1) n;
$$;
CREATE FUNCTION t.accepts(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text := t.verdict(token);
BEGIN
    RETURN answer;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
CREATE FUNCTION t.refreshes(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    SELECT CASE WHEN ok THEN 'ok' ELSE reason END INTO answer FROM dialstack.session_refresh(token);
    RETURN answer;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
-- The answers to all of these, and whether there are as many as there are characters.
CREATE FUNCTION t.damage(token text) RETURNS TABLE (damage text, answer text, plenty boolean) LANGUAGE sql AS $$
    SELECT 'flipped', a, count(*) >= length(token) FROM t.flips(token) v, t.accepts(v) a GROUP BY a
    UNION ALL
    SELECT 'cut', a, count(*) >= length(token) FROM t.cuts(token) v, t.accepts(v) a GROUP BY a;
$$;

-- Of every algorithm: all damaged ones are invalid.
SELECT token AS hs256 FROM dialstack.session_create('tok', 'production', 'web', '{"userId": "u"}') \gset
SELECT t.verdict(:'hs256') AS undamaged;
SELECT * FROM t.damage(:'hs256');
SELECT alg FROM dialstack.signing_key_rotate('jwt', 'EdDSA');
SELECT token AS eddsa FROM dialstack.session_create('tok', 'production', 'web', '{"userId": "u"}') \gset
SELECT t.verdict(:'eddsa') AS undamaged;
SELECT * FROM t.damage(:'eddsa');
SELECT alg FROM dialstack.signing_key_rotate('jwt', 'ES256');
SELECT token AS es256 FROM dialstack.session_create('tok', 'production', 'web', '{"userId": "u"}') \gset
SELECT t.verdict(:'es256') AS undamaged;
SELECT * FROM t.damage(:'es256');
SELECT alg FROM dialstack.signing_key_rotate('jwt', 'HS256');
-- Spliced of two good ones: header, claims and signature of different tokens.
SELECT t.accepts(split_part(a, '.', 1) || '.' || split_part(b, '.', 2) || '.' || split_part(c, '.', 3)) AS answer, count(*)
  FROM unnest(ARRAY[:'hs256', :'eddsa', :'es256']) a, unnest(ARRAY[:'hs256', :'eddsa', :'es256']) b, unnest(ARRAY[:'hs256', :'eddsa', :'es256']) c
 GROUP BY 1 ORDER BY 1;
-- A public key is not an HMAC secret: the algorithm comes from the key, not from the header.
SELECT t.accepts(replace(encode(convert_to(h::text, 'UTF8'), 'base64'), E'\n', '') || '.' || split_part(:'eddsa', '.', 2) || '.' || repeat('A', 43)) AS answer
  FROM (SELECT jsonb_build_object('alg', 'HS256', 'typ', 'at+jwt', 'kid', key ->> 'kid') AS h FROM jsonb_array_elements(dialstack.jwks() -> 'keys') key LIMIT 1) x;
-- Wrapped, doubled, padded, in other letters.
SELECT t.accepts(v) AS answer, count(*) FROM unnest(ARRAY[:'hs256' || :'hs256', :'hs256' || '=', :'hs256' || '.', '.' || :'hs256', '"' || :'hs256' || '"', ' ' || :'hs256',
    E'\t' || :'hs256', :'hs256' || E'\n', lower(:'hs256'), replace(:'hs256', '.', ':'), replace(:'hs256', '.', '..'), repeat('.', 8192), repeat('web:', 100) || :'hs256',
    repeat('A', 10000000), repeat('.', 10000000), repeat('é', 5000), 'rt_live_' || :'hs256', 'cs_live_' || :'hs256']) v GROUP BY 1;

-- Refresh tokens.
SELECT token, refresh_token, session_id FROM dialstack.session_create('tok', 'production', 'web', '{"userId": "u"}') \gset
SELECT a AS answer, count(*) > 100 AS many FROM t.flips(:'refresh_token') v, t.refreshes(v) a GROUP BY 1;
SELECT a AS answer, count(*) > 100 AS many FROM t.cuts(:'refresh_token') v, t.refreshes(v) a GROUP BY 1;
SELECT a AS answer, count(*) FROM unnest(ARRAY[:'refresh_token' || 'A', :'refresh_token' || :'refresh_token', upper(:'refresh_token'), replace(:'refresh_token', 'live', 'test'),
    replace(:'refresh_token', 'rt_', 'sk_'), 'rt_live_' || repeat('A', 10000000), 'rt_live_' || repeat('A', 54), :'token', 'web:' || :'token']) v, t.refreshes(v) a GROUP BY 1;
-- None of that has touched the session.
SELECT generation, active FROM dialstack.session_info(:'session_id');
SELECT count(*) FROM dialstack.activity WHERE session_id = :'session_id';
SELECT t.refreshes(:'refresh_token') AS undamaged;
-- An opaque token's form, made up.
SELECT a AS answer, count(*) FROM unnest(ARRAY['cs_live_', 'cs_test_', 'cst_live_', 'cst_test_', 'sk_live_', 'rt_live_']) prefix, generate_series(0, 100) n, t.accepts(prefix || repeat('A', n)) a GROUP BY 1;

-- Of another database, where all the names are the same.
CREATE DATABASE regress_elsewhere;
\c regress_elsewhere
SET client_min_messages = warning;
CREATE EXTENSION dialstack_sessions;
SELECT dialstack.product_create('tok') IS NOT NULL AS made;
SELECT dialstack.env_create('tok', 'production');
SELECT tag FROM dialstack.definition_create('tok', 'web', 'Web', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours');
SELECT token, refresh_token FROM dialstack.session_create('tok', 'production', 'web', '{"userId": "u"}') \gset elsewhere_
SELECT valid, reason FROM dialstack.session_verify(:'token');
SELECT ok, reason FROM dialstack.session_refresh(:'refresh_token');
\c postgres
DROP DATABASE regress_elsewhere;
SELECT t.accepts(:'elsewhere_token') AS token, t.refreshes(:'elsewhere_refresh_token') AS refresh_token;
