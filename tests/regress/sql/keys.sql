-- Keys: signing_key_rotate/list/revoke, root_key_rotate, jwks, instance_reset; and what tokens say in the clear.
\c postgres
CREATE DATABASE regress_keys;
\c regress_keys
SET client_min_messages = warning;
CREATE EXTENSION dialstack_sessions;
SELECT dialstack.product_create('shop') IS NOT NULL AS made;
SELECT dialstack.env_create('shop', 'production');
SELECT tag FROM dialstack.definition_create('shop', 'web', 'Web', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours');
-- Every token of this test, and the header of an access token.
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
CREATE VIEW verdicts AS
    SELECT label, CASE WHEN valid THEN 'valid' ELSE reason END AS verdict
      FROM made, dialstack.session_verify(token) ORDER BY n;

-- The first keys, none of which has a public part: HS256 signs.
SELECT purpose, alg, state, key_number, kid ~ '^[0-9a-f]{32}$' AS kid, retired_at IS NULL AS not_retired, revoked_at IS NULL AS not_revoked
  FROM dialstack.signing_key_list();
SELECT dialstack.jwks();
SELECT make('HS256');
SELECT header(token) - 'kid' AS header, header(token) ->> 'kid' = k.kid AS by_the_active_key
  FROM made, dialstack.signing_key_list() k WHERE purpose = 'jwt';

-- signing_key_rotate: a new active key; the former one retires and goes on verifying.
SELECT purpose, alg, state, created_at > now() - interval '1 minute' AS created, retired_at, revoked_at
  FROM dialstack.signing_key_rotate(purpose => 'jwt', alg => 'EdDSA');
SELECT make('EdDSA');
SELECT alg, state FROM dialstack.signing_key_rotate('jwt', 'ES256');
SELECT make('ES256');
-- Without an algorithm it is the current one's.
SELECT alg, state FROM dialstack.signing_key_rotate();
SELECT make('ES256 again');
SELECT purpose, alg, state FROM dialstack.signing_key_rotate('seal');
SELECT make('new seal key');
SELECT purpose, alg, state FROM dialstack.signing_key_rotate('token');
SELECT make('new token key');
SELECT label, header(token) - 'kid' AS header FROM made ORDER BY n;
SELECT purpose, alg, state, retired_at IS NOT NULL AS retired FROM dialstack.signing_key_list();
SELECT purpose, count(*) FILTER (WHERE state = 'active') AS active FROM dialstack.signing_key_list() GROUP BY 1 ORDER BY 1;
-- What was made before verifies, shows its data, and refreshes.
SELECT * FROM verdicts;
SELECT bool_and(data = '{"userId": "u"}') AS data FROM made, dialstack.session_verify(token);
SELECT label, ok FROM made, dialstack.session_refresh(refresh_token) ORDER BY n;
-- Errors.
SELECT code(c) FROM unnest(ARRAY[$$SELECT dialstack.signing_key_rotate('root')$$, $$SELECT dialstack.signing_key_rotate('')$$,
    $$SELECT dialstack.signing_key_rotate('jwt', 'none')$$, $$SELECT dialstack.signing_key_rotate('jwt', 'RS256')$$,
    $$SELECT dialstack.signing_key_rotate('jwt', 'hs256')$$, $$SELECT dialstack.signing_key_rotate('seal', 'HS256')$$,
    $$SELECT dialstack.signing_key_rotate(NULL)$$, $$SELECT dialstack.signing_key_revoke('nope')$$,
    $$SELECT dialstack.signing_key_revoke(NULL)$$, $$SELECT dialstack.signing_key_revoke('')$$]) AS c;
-- A rotation that is rolled back has not happened, also for this backend.
BEGIN;
SELECT alg FROM dialstack.signing_key_rotate('jwt', 'HS256');
SELECT header(token) ->> 'alg' AS inside FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "u"}');
ROLLBACK;
SELECT header(token) ->> 'alg' AS afterwards FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "u"}');

-- jwks publishes the public keys alone, newest first: of EdDSA (RFC 8037) and ES256 (RFC 7518).
SELECT key ->> 'kty' AS kty, key ->> 'crv' AS crv, key ->> 'alg' AS alg, key ->> 'use' AS use,
       length(key ->> 'x') AS x, length(key ->> 'y') AS y, ARRAY(SELECT jsonb_object_keys(key) ORDER BY 1) AS members,
       key ->> 'kid' IN (SELECT header(token) ->> 'kid' FROM made) AS signed_something
  FROM jsonb_array_elements(dialstack.jwks() -> 'keys') AS key;
SELECT dialstack.jwks()::text ~ '"d"|"k"' AS private_parts;

-- signing_key_revoke: what a retired key made is invalid at the next statement; the rest stays.
SELECT header(token) ->> 'kid' AS kid FROM made WHERE label = 'EdDSA' \gset
SELECT alg, state, revoked_at IS NOT NULL AS revoked FROM dialstack.signing_key_revoke(kid => :'kid');
SELECT * FROM verdicts;
SELECT key ->> 'alg' AS published FROM jsonb_array_elements(dialstack.jwks() -> 'keys') AS key;
-- Again: no change.
SELECT revoked_at AS then FROM dialstack.signing_key_list() WHERE kid = :'kid' \gset
SELECT state, revoked_at = :'then' AS unchanged FROM dialstack.signing_key_revoke(:'kid');
-- Its session lives on: the refresh token is another key's.
SELECT r.ok, r.token IS NOT NULL AS new_token FROM made, dialstack.session_refresh(made.refresh_token) r WHERE label = 'EdDSA';
-- An active one gets a successor first, of the same algorithm.
SELECT kid FROM dialstack.signing_key_list() WHERE purpose = 'jwt' AND state = 'active' \gset
SELECT alg, state FROM dialstack.signing_key_revoke(:'kid');
SELECT alg, state, count(*) FROM dialstack.signing_key_list() WHERE purpose = 'jwt' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT label, verdict FROM verdicts WHERE label LIKE 'ES256%';
SELECT make('after revocation');
SELECT label, verdict FROM verdicts WHERE label = 'after revocation';
-- Of a `token` key: refresh tokens are invalid, access tokens stay.
SELECT kid FROM dialstack.signing_key_list() WHERE purpose = 'token' AND state = 'active' \gset
SELECT purpose, state FROM dialstack.signing_key_revoke(:'kid');
SELECT ok, reason FROM made, dialstack.session_refresh(refresh_token) WHERE label = 'after revocation';
SELECT label, verdict FROM verdicts WHERE label = 'after revocation';
-- Of a `seal` key: the data of its sessions is lost, and so they are over: no list and no max_sessions counts them.
SELECT make('sealed');
SELECT kid FROM dialstack.signing_key_list() WHERE purpose = 'seal' AND state = 'active' \gset
SELECT purpose, state FROM dialstack.signing_key_revoke(:'kid');
SELECT label, verdict FROM verdicts WHERE label = 'sealed';
SELECT ok, reason FROM made, dialstack.session_refresh(refresh_token) WHERE label = 'sealed';
SELECT generation, active, revoke_reason FROM made, dialstack.session_info(session_id) WHERE label = 'sealed';
SELECT operation, status, reason FROM dialstack.activity JOIN made USING (session_id) WHERE label = 'sealed' ORDER BY activity_id;
SELECT passed, detail FROM made, dialstack.session_explain(token) WHERE label = 'sealed' AND checked = 'data';
-- A new one works.
SELECT make('sealed anew');
SELECT label, verdict FROM verdicts WHERE label = 'sealed anew';

-- An administrator's own UPDATE counts, at the next statement.
UPDATE dialstack.signing_keys SET state = 'revoked', revoked_at = now() WHERE purpose = 'jwt' AND state = 'active';
SELECT label, verdict FROM verdicts WHERE label = 'sealed anew';
SELECT split_part(code($$SELECT * FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "u"}')$$), ':', 1) AS without_active_key;
SELECT alg, state FROM dialstack.signing_key_rotate('jwt', 'HS256');
SELECT make('another active key');
-- Two active keys of one purpose cannot be.
SELECT code($$UPDATE dialstack.signing_keys SET state = 'active' WHERE purpose = 'jwt'$$);

-- root_key_rotate wraps the ring with another root key; no token notices.
SELECT root_key AS old_root, root_fingerprint AS old_fingerprint FROM dialstack.instance \gset
CREATE TABLE wrapped_before AS SELECT kid, wrapped FROM dialstack.signing_keys WHERE state <> 'revoked';
SELECT dialstack.root_key_rotate();
SELECT root_key <> :'old_root' AS new_root, root_fingerprint <> :'old_fingerprint' AS new_fingerprint, octet_length(root_key) AS bytes FROM dialstack.instance;
SELECT bool_and(k.wrapped <> b.wrapped) AS wrapped_anew FROM dialstack.signing_keys k JOIN wrapped_before b USING (kid);
SELECT label, verdict FROM verdicts WHERE label = 'another active key';
SELECT make('after root rotation');
\c
SELECT label, verdict FROM verdicts WHERE label IN ('another active key', 'after root rotation');
-- What no longer fits its root key is an error that says what to do, never a silent new ring.
BEGIN;
UPDATE dialstack.instance SET root_key = :'old_root';
SELECT code('SELECT * FROM verdicts');
SELECT code($$SELECT * FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "u"}')$$);
SELECT code('SELECT dialstack.root_key_rotate()');
SELECT code('SELECT * FROM dialstack.signing_key_rotate()');
ROLLBACK;
SELECT label, verdict FROM verdicts WHERE label = 'after root rotation';

-- instance_reset: a new identity and a new ring; every token and session of before is dead.
SELECT instance_id AS old_id FROM dialstack.instance \gset
SELECT dialstack.instance_reset() <> :'old_id' AS new_identity;
SELECT purpose, alg, state FROM dialstack.signing_key_list();
SELECT verdict, count(*) = (SELECT count(*) FROM made) AS "all" FROM verdicts GROUP BY 1;
SELECT ok, reason, count(*) = (SELECT count(*) FROM made) AS "all" FROM made, dialstack.session_refresh(refresh_token) GROUP BY 1, 2;
SELECT active, revoke_reason FROM made, dialstack.session_info(session_id) WHERE label = 'after root rotation';
SELECT count(*) FILTER (WHERE active) AS active FROM made, dialstack.session_info(session_id);
-- Configuration stays, and work goes on.
SELECT make('after reset');
SELECT label, verdict FROM verdicts WHERE label = 'after reset';

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
DROP DATABASE regress_keys;
