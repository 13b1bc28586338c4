-- Which key signs and when, what is published of it first, and what tokens say in the clear.
\c postgres
CREATE DATABASE regress_signing;
\c regress_signing
SET client_min_messages = warning;
CREATE EXTENSION dialstack_sessions;
SELECT dialstack.product_create('shop') IS NOT NULL AS made;
SELECT dialstack.env_create('shop', 'production');
SELECT tag FROM dialstack.definition_create('shop', 'web', 'Web', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours');
CREATE TABLE made (n int GENERATED ALWAYS AS IDENTITY, label text, token text, refresh_token text, session_id uuid);
CREATE FUNCTION make(label text) RETURNS text LANGUAGE sql AS $$
    INSERT INTO made (label, token, refresh_token, session_id)
    SELECT label, token, refresh_token, session_id
      FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "u"}') RETURNING label;
$$;
CREATE FUNCTION header(token text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT convert_from(decode(rpad(translate(split_part(token, '.', 1), '-_', '+/'),
        (length(split_part(token, '.', 1)) + 3) / 4 * 4, '='), 'base64'), 'UTF8')::jsonb;
$$;
CREATE FUNCTION code(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

-- publish_first: the new key is in jwks() before it signs, and takes over by itself.
SELECT kid AS before FROM dialstack.signing_key_list() WHERE purpose = 'jwt' AND state = 'active' \gset
SELECT kid, alg, state, active_at - created_at AS first FROM dialstack.signing_key_rotate(alg => 'EdDSA', publish_first => '1 hour') \gset next_
SELECT :'next_alg' AS alg, :'next_state' AS state, :'next_first' AS first;
SELECT make('published first');
SELECT header(token) ->> 'kid' = :'before' AS signed_by_the_old FROM made WHERE label = 'published first';
SELECT count(*) AS published FROM jsonb_array_elements(dialstack.jwks() -> 'keys') k WHERE k ->> 'kid' = :'next_kid';
-- As if that had been an hour ago; nobody writes anything when it takes over.
UPDATE dialstack.signing_keys SET active_at = clock_timestamp() + interval '1 second' WHERE kid = :'next_kid';
SELECT make('not yet');
SELECT pg_sleep(1.1);
BEGIN READ ONLY;
SELECT state, retired_at IS NOT NULL AS retired FROM dialstack.signing_key_list() WHERE kid IN (:'before', :'next_kid') ORDER BY key_number;
SELECT state FROM dialstack.signing_key_status WHERE kid IN (:'before', :'next_kid') ORDER BY key_number;
ROLLBACK;
SELECT make('taken over');
SELECT label, header(token) ->> 'kid' = :'next_kid' AS signed_by_the_new, (dialstack.session_verify(token)).valid FROM made WHERE label IN ('published first', 'not yet', 'taken over') ORDER BY n;
-- The key after it retires it; one that is revoked before its time never signs.
SELECT kid AS never FROM dialstack.signing_key_rotate(publish_first => '1 second') \gset
SELECT state FROM dialstack.signing_key_revoke(:'never');
SELECT alg, state FROM dialstack.signing_key_rotate('jwt', 'ES256');
SELECT pg_sleep(1.1);
SELECT state FROM dialstack.signing_key_list() WHERE kid IN (:'next_kid', :'never') ORDER BY key_number;
SELECT state, count(*) FROM dialstack.signing_keys WHERE purpose = 'jwt' GROUP BY 1 ORDER BY 1;
SELECT code(format('SELECT * FROM dialstack.signing_key_rotate(%s)', arguments)) FROM unnest(ARRAY[
    $$'seal', publish_first => '1 hour'$$, $$alg => 'HS256', publish_first => '1 hour'$$, $$publish_first => '0'$$, $$publish_first => '-1 hour'$$, $$publish_first => '101 years'$$,
    $$publish_first => '-1 month 31 days'$$]) AS arguments;
-- The chosen algorithm is configuration: a new identity keeps it, and so does a restored row.
SELECT alg FROM dialstack.signing_algorithm;
SELECT dialstack.instance_reset() IS NOT NULL AS reset;
SELECT alg, state FROM dialstack.signing_key_list() WHERE purpose = 'jwt';
UPDATE dialstack.signing_algorithm SET alg = 'EdDSA';
SELECT alg, state FROM dialstack.signing_key_list() WHERE purpose = 'jwt' ORDER BY key_number;
SELECT dialstack.issuer() = 'urn:uuid:' || instance_id AS issuer FROM dialstack.instance;
-- public_claims: what a definition names of the data is in the token in the clear, and nothing else.
CREATE FUNCTION claims(token text) RETURNS jsonb LANGUAGE sql AS $$ SELECT header(split_part(token, '.', 2)) $$;
SELECT public_claims FROM dialstack.definition_create('shop', 'open', 'Open', '', '{}', '$Session{userId}', 1, 'hours', public_claims => ARRAY['role', 'plan.name', '$Session{plan}{seats}', 'absent']);
SELECT token, refresh_token FROM dialstack.session_create('shop', 'production', 'open', '{"userId": "u", "role": "admin", "plan": {"name": "pro", "seats": 5, "price": 9}}') \gset
SELECT claims(:'token') -> 'public' AS public, valid, data FROM dialstack.session_verify(:'token');
SELECT public_claims FROM dialstack.definition_update('shop', 'open', '{"public_claims": ["role"]}');
SELECT claims(token) -> 'public' AS refreshed FROM dialstack.session_refresh(:'refresh_token');
SELECT public_claims FROM dialstack.definition_update('shop', 'open', '{"public_claims": null}');
SELECT claims(token) ? 'public' AS public FROM dialstack.session_create('shop', 'production', 'open', '{"userId": "u", "role": "admin"}');
SELECT code(format('SELECT * FROM dialstack.definition_update(%L, %L, %L)', 'shop', 'open', jsonb_build_object('public_claims', claims)))
  FROM unnest(ARRAY['"role"', '[1]', '[null]', '[""]', '["a..b"]', '["$Session{a"]', (SELECT jsonb_agg('a' || n)::text FROM generate_series(1, 33) n)]::jsonb[]) AS claims;

\c postgres
DROP DATABASE regress_signing;
