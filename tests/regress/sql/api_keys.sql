-- API keys: api_key_create, api_key_list, api_key_revoke, and dialstack_sessions.api_key.
SELECT t.product('key');
SELECT t.product('key2');

-- A key is shown this once: its prefix tells secret from publishable and live from test.
SELECT api_key_id, api_key FROM dialstack.api_key_create(product => 'key', env => 'production') \gset
SELECT :'api_key' ~ '^sk_live_[A-Za-z0-9_-]{43}$' AS secret_by_default, :'api_key_id'::uuid IS NOT NULL AS api_key_id;
SELECT env, kind, api_key ~ '^[sp]k_(live|test)_[A-Za-z0-9_-]{43}$' AS form, left(api_key, 8) AS prefix FROM unnest('{production,staging}'::text[]) AS env, unnest('{secret,publishable}'::text[]) AS kind, dialstack.api_key_create('key', env, kind);
-- Only its SHA-256 and its last four characters are stored.
SELECT k.kind, k.name, k.key_hash = sha256(:'api_key') AS hash, k.hint = right(:'api_key', 4) AS hint, k.expires_at, k.revoked_at, e.env FROM dialstack.api_keys k JOIN dialstack.environments e USING (env_id) WHERE api_key_id = :'api_key_id';
CREATE FUNCTION t.stored(text) RETURNS TABLE (relation name) LANGUAGE plpgsql AS $$
DECLARE found boolean;
BEGIN
    FOR relation IN SELECT relname FROM pg_class WHERE relnamespace = 'dialstack'::regnamespace AND relkind = 'r' ORDER BY 1 LOOP
        -- As text, and as the bytes of a text.
        EXECUTE format('SELECT EXISTS (SELECT FROM dialstack.%I r WHERE position($1 IN r::text) > 0 OR position(encode(convert_to($1, %L), %L) IN r::text) > 0)', relation, 'UTF8', 'hex') INTO found USING $1;
        IF found THEN RETURN NEXT; END IF;
    END LOOP;
END $$;
SELECT relation AS hint_is_found_in FROM t.stored(right(:'api_key', 4)) WHERE relation = 'api_keys';
SELECT count(*) AS tables_with_the_key FROM t.stored(:'api_key');
SELECT count(*) AS tables_with_its_random_part FROM t.stored(substr(:'api_key', 9));
SELECT count(*) AS tables_with_half_of_it FROM t.stored(substr(:'api_key', 9, 20));
-- Two keys are never the same.
SELECT count(DISTINCT api_key) AS different FROM generate_series(1, 20) n, dialstack.api_key_create('key', 'staging', 'publishable', name => n::text);

-- api_key_list: those of one environment, oldest first, dead ones too; a hint, never the key.
SELECT api_key_id AS named_id FROM dialstack.api_key_create('key2', 'staging', name => 'Ünnamed key') \gset
SELECT api_key_id AS other_id FROM dialstack.api_key_create('key2', 'staging', kind => 'publishable', expires_at => now() + interval '1 day') \gset
SELECT dialstack.api_key_revoke(api_key_id => :'other_id');
SELECT api_key_id = :'named_id' AS named, kind, name, length(hint) AS hint, created_at > now() - interval '1 minute' AS created_at, expires_at - now() BETWEEN interval '23 hours' AND interval '1 day' AS expires_at, revoked_at > now() - interval '1 minute' AS revoked_at
  FROM dialstack.api_key_list(product => 'key2', env => 'staging');
SELECT count(*) FROM dialstack.api_key_list('key2', 'production');
-- Until infinity is without an end: NULL, of which no figure fails.
SELECT api_key_id AS endless_id FROM dialstack.api_key_create('key2', 'staging', expires_at => 'infinity') \gset
SELECT state, expires_at, expires_in_seconds FROM dialstack.stat_api_keys WHERE api_key_id = :'endless_id';
SELECT pg_get_function_result('dialstack.api_key_list(text,text)'::regprocedure) ~ 'hash|api_key text' AS shows_key_or_hash;

-- Bad input: a coded error, and nothing is written.
SELECT count(*) AS keys FROM dialstack.api_keys \gset before_
SELECT call, t.code(format('SELECT * FROM dialstack.api_key_%s', call)) FROM unnest(ARRAY['create(NULL, ''production'')', 'create(''key'', NULL)', 'create(''nope'', ''production'')', 'create(''key'', ''nope'')', 'create(''key'', ''production'', NULL)', 'create(''key'', ''production'', ''Secret'')',
    'create(''key'', ''production'', ''admin'')', 'create(''key'', ''production'', '''')', 'create(''key'', ''production'', name => '''')', 'create(''key'', ''production'', name => repeat(''n'', 201))', 'create(''key'', ''production'', name => E''two\nlines'')',
    'create(''key'', ''production'', expires_at => now() - interval ''1 second'')', 'create(''key'', ''production'', expires_at => now())', 'create(''key'', ''production'', expires_at => ''-infinity'')', 'list(NULL, ''production'')', 'list(''key'', NULL)', 'list(''nope'', ''production'')', 'list(''key'', ''nope'')', 'revoke(NULL)', 'revoke(''00000000-0000-0000-0000-000000000000'')', 'revoke(''x'')']) WITH ORDINALITY AS c (call, n) ORDER BY n;
SELECT count(*) - :before_keys AS made FROM dialstack.api_keys;

-- Presented, a key is its own product and environment. Revoked, it is refused at the next statement; revoking is idempotent.
CREATE FUNCTION t.as_key(key text, call text DEFAULT 'account_session_create(''acct_1'')') RETURNS text LANGUAGE plpgsql AS $$
DECLARE told text;
BEGIN
    PERFORM set_config('dialstack_sessions.api_key', key, true);
    told := t.error('SELECT * FROM dialstack.' || call);
    PERFORM set_config('dialstack_sessions.api_key', '', true);
    RETURN told;
END $$;
SELECT t.as_key(:'api_key') AS living;
BEGIN;
SELECT dialstack.api_key_revoke(:'api_key_id');
SELECT t.as_key(:'api_key') AS revoked;
ROLLBACK;
SELECT t.as_key(:'api_key') AS undone;
SELECT dialstack.api_key_revoke(:'api_key_id');
SELECT revoked_at AS then FROM dialstack.api_keys WHERE api_key_id = :'api_key_id' \gset
SELECT dialstack.api_key_revoke(:'api_key_id');
SELECT revoked_at = :'then' AS unchanged, t.as_key(:'api_key') AS revoked FROM dialstack.api_keys WHERE api_key_id = :'api_key_id';
-- An administrator's own UPDATE or DELETE counts too.
SELECT api_key_id, api_key FROM dialstack.api_key_create('key', 'production') \gset hand_
BEGIN;
UPDATE dialstack.api_keys SET revoked_at = now() WHERE api_key_id = :'hand_api_key_id';
SELECT t.as_key(:'hand_api_key') AS revoked;
DELETE FROM dialstack.api_keys WHERE api_key_id = :'hand_api_key_id';
SELECT t.as_key(:'hand_api_key') AS deleted;
ROLLBACK;
-- Expired: as soon as its time has come, even inside a statement's transaction.
SELECT api_key_id, api_key FROM dialstack.api_key_create('key', 'production', expires_at => now() + interval '1 day') \gset end_
SELECT t.as_key(:'end_api_key') AS before;
UPDATE dialstack.api_keys SET expires_at = clock_timestamp() WHERE api_key_id = :'end_api_key_id';
SELECT t.as_key(:'end_api_key') AS afterwards;
-- Of a deleted environment; one of the same name made later is another.
SELECT api_key FROM dialstack.api_key_create('key2', 'production') \gset gone_
SELECT t.as_key(:'gone_api_key') AS before;
SELECT dialstack.env_delete('key2', 'production');
SELECT t.as_key(:'gone_api_key') AS deleted;
SELECT dialstack.env_create('key2', 'production');
SELECT t.as_key(:'gone_api_key') AS made_anew, (SELECT count(*) FROM dialstack.api_key_list('key2', 'production')) AS listed;
SELECT t.code($$SELECT * FROM dialstack.api_key_list('key2', 'nope')$$);

-- What is no key is refused, whoever presents it: also by a superuser, who needs none.
SELECT api_key FROM dialstack.api_key_create('key', 'production') \gset
SELECT token AS jwt, refresh_token FROM dialstack.session_create('key', 'production', 'web', '{"userId": "u"}') \gset
SELECT client_secret FROM dialstack.account_session_create('acct_1', product => 'key', env => 'production') \gset
SELECT token AS client_token FROM dialstack.client_session_create('u', product => 'key', env => 'production') \gset
SELECT count(*) AS sessions FROM dialstack.sessions \gset before_
SELECT label, t.as_key(key) FROM (VALUES (1, 'an access token', :'jwt'), (2, 'a refresh token', :'refresh_token'), (3, 'a client secret', :'client_secret'), (4, 'a client session token', :'client_token'), (5, 'a client secret renamed', replace(:'client_secret', 'cs_', 'sk_')),
    (6, 'rubbish', 'rubbish'), (7, 'a blank', ' '), (8, 'a publishable key renamed', replace(:'api_key', 'sk_', 'pk_')), (9, 'a live key renamed', replace(:'api_key', 'live', 'test')), (10, 'in upper case', upper(:'api_key')), (11, 'with a blank', :'api_key' || ' '),
    (12, 'with a line end', :'api_key' || E'\n'), (13, 'cut', left(:'api_key', -1)), (14, 'longer', :'api_key' || 'A'), (15, 'another', overlay(:'api_key' PLACING CASE substr(:'api_key', 20, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM 20)), (16, 'its hash', encode(sha256(:'api_key'), 'hex')), (17, 'quoted', quote_literal(:'api_key')),
    (18, 'Bearer', 'Bearer ' || :'api_key'), (19, 'not ASCII', 'sk_live_é'), (20, '1 MB', repeat('sk_live_', 131072))) AS c (n, label, key) ORDER BY n;
SELECT call, t.as_key('rubbish', call) FROM unnest(ARRAY['session_create(''acct_1'')', 'client_session_create()', 'client_session_get_or_create()', 'client_session_get(user_identifier_key => ''u'')', 'client_session_list()', 'client_session_grant_access(user_identifier_key => ''u'', connected_account_ids => ''{00000000-0000-0000-0000-000000000001}'')',
    'client_session_revoke(''00000000-0000-0000-0000-000000000001'')', 'client_session_delete(''00000000-0000-0000-0000-000000000001'')']) WITH ORDINALITY AS c (call, n) ORDER BY n;
SELECT count(*) - :before_sessions AS made FROM dialstack.sessions;
-- Empty is none: a superuser goes on without.
SELECT t.as_key('', 'account_session_create(''acct_1'', product => ''key'', env => ''production'')') AS empty;

-- A secret key may all of sections 2.3 and 2.4, in its own environment.
SELECT product, env FROM (SELECT set_config('dialstack_sessions.api_key', :'api_key', false)) AS _, LATERAL dialstack.account_session_create('acct_1') s, dialstack.session_verify(s.client_secret);
SELECT client_session_id, token, workspace_id = product_id AS workspace FROM dialstack.client_session_create('by key', '{00000000-0000-0000-0000-000000000001}'), dialstack.products WHERE product = 'key' \gset secret_
SELECT :'secret_workspace' AS workspace, product, env FROM dialstack.session_verify(:'secret_token');
SELECT api_key_id = (SELECT api_key_id FROM dialstack.api_keys WHERE key_hash = sha256(:'api_key')) AS remembers_its_key FROM dialstack.client_sessions WHERE session_id = :'secret_client_session_id';
SELECT cardinality(connected_account_ids) FROM dialstack.client_session_grant_access(user_identifier_key => 'by key', connected_account_ids => '{00000000-0000-0000-0000-000000000002}');
SELECT total FROM dialstack.client_session_list(user_identifier_key => 'by key');
SELECT expires_at - now() < interval '1 day' AS sooner FROM dialstack.client_session_get_or_create('by key', expires_at => now() + interval '1 hour');
SELECT token = :'secret_token' AS got FROM dialstack.client_session_get(:'secret_client_session_id');
SELECT dialstack.client_session_revoke(:'secret_client_session_id');
SELECT dialstack.client_session_delete(:'secret_client_session_id');
-- Its own names may be said; others may not.
SELECT count(*) FROM dialstack.client_session_list(product => 'key', env => 'production', user_identifier_key => 'nobody');
SELECT t.error($$SELECT * FROM dialstack.client_session_list(product => 'key2')$$);
SELECT t.error($$SELECT * FROM dialstack.client_session_list(env => 'staging')$$);
-- A session token of another product is not seen through it.
SELECT api_key FROM dialstack.api_key_create('key2', 'staging') \gset key2_
SET dialstack_sessions.api_key = :'key2_api_key';
SET dialstack_sessions.token = :'client_token';
SELECT split_part(t.code('SELECT * FROM dialstack.client_session_get()'), ':', 1) = ANY ('{42501 PERMISSION_DENIED,42501 VERIFY_FAILED}') AS refused;
SET dialstack_sessions.api_key = 'rubbish';
SELECT t.code('SELECT * FROM dialstack.client_session_get()') AS with_a_bad_key;
RESET dialstack_sessions.token;

-- A publishable key only creates empty client sessions of a named user.
SELECT api_key FROM dialstack.api_key_create('key', 'production', 'publishable') \gset pk_
SELECT api_key FROM dialstack.api_key_create('key', 'production', 'publishable') \gset pk2_
SET dialstack_sessions.api_key = :'pk_api_key';
SELECT client_session_id, token, user_identifier_key, connected_account_ids, expires_at - now() > interval '364 days' AS one_year FROM dialstack.client_session_create('secret-of-a-browser') \gset pub_
SELECT :'pub_user_identifier_key' AS key, :'pub_connected_account_ids' AS accounts, :'pub_one_year' AS one_year;
SELECT client_session_id = :'pub_client_session_id' AS same, token = :'pub_token' AS same_token FROM dialstack.client_session_create('secret-of-a-browser');
SELECT client_session_id = :'pub_client_session_id' AS same, token = :'pub_token' AS same_token FROM dialstack.client_session_get_or_create('secret-of-a-browser');
SELECT expires_at - now() BETWEEN interval '59 minutes' AND interval '1 hour' AS its_own_expiry FROM dialstack.client_session_get_or_create('another-browser', expires_at => now() + interval '1 hour');
SELECT count(*) AS sessions FROM dialstack.sessions \gset before_
SELECT call, t.error('SELECT * FROM dialstack.' || call) FROM unnest(ARRAY['client_session_create(''n'', ''{00000000-0000-0000-0000-000000000001}'')', 'client_session_get_or_create(''n'', connect_webview_ids => ''{00000000-0000-0000-0000-000000000001}'')', 'client_session_create(''n'', user_identity_ids => ''{00000000-0000-0000-0000-000000000001}'')',
    'client_session_create(''secret-of-a-browser'', ''{00000000-0000-0000-0000-000000000001}'')', 'client_session_create()', 'client_session_get_or_create()', 'client_session_create('''')', 'client_session_get_or_create('''')', 'client_session_create(connected_account_ids => ''{00000000-0000-0000-0000-000000000001}'')',
    'client_session_get_or_create(''secret-of-a-browser'', expires_at => now() + interval ''1 hour'')', 'client_session_get_or_create(''secret-of-a-browser'', expires_at => now() + interval ''9 years'')', 'client_session_create(''n'', product => ''key2'')', 'client_session_create(''n'', env => ''staging'')',
    'account_session_create(''acct_1'')', 'session_create(''acct_1'')', 'client_session_list()', 'client_session_get(user_identifier_key => ''secret-of-a-browser'')', 'client_session_grant_access(user_identifier_key => ''secret-of-a-browser'', connected_account_ids => ''{00000000-0000-0000-0000-000000000001}'')',
    'client_session_revoke(''00000000-0000-0000-0000-000000000001'')', 'client_session_delete(''00000000-0000-0000-0000-000000000001'')']) WITH ORDINALITY AS c (call, n) ORDER BY n;
SELECT t.code(format('SELECT dialstack.client_session_%s(%L)', f, :'pub_client_session_id')) FROM unnest('{get,revoke,delete}'::text[]) AS f;
SELECT count(*) - :before_sessions AS made, t.verdict(:'pub_token') AS untouched FROM dialstack.sessions;
SELECT expires_at - now() > interval '364 days' AS expiry_stays, connected_account_ids FROM dialstack.client_sessions WHERE session_id = :'pub_client_session_id';
-- An empty list of grants is none.
SELECT client_session_id = :'pub_client_session_id' AS same FROM dialstack.client_session_create('secret-of-a-browser', '{}', '{}', '{}');
-- It reaches what publishable keys made, also another one of its environment; and only while that holds no grant.
SET dialstack_sessions.api_key = :'pk2_api_key';
SELECT client_session_id = :'pub_client_session_id' AS same FROM dialstack.client_session_get_or_create('secret-of-a-browser');
RESET dialstack_sessions.api_key;
SELECT count(*) FROM dialstack.client_session_create('of the backend', product => 'key', env => 'production');
SET dialstack_sessions.api_key = :'api_key';
SELECT count(*) FROM dialstack.client_session_create('of a secret key');
SELECT cardinality(connected_account_ids) FROM dialstack.client_session_grant_access(user_identifier_key => 'secret-of-a-browser', connected_account_ids => '{00000000-0000-0000-0000-000000000001}');
SELECT kind, key, t.error(format('SELECT * FROM dialstack.client_session_%s(%L)', f, key)) FROM (SELECT set_config('dialstack_sessions.api_key', :'pk_api_key', false)) AS _, unnest('{create,get_or_create}'::text[]) AS f,
    (VALUES ('made without a key', 'of the backend'), ('made with a secret key', 'of a secret key'), ('with a grant', 'secret-of-a-browser')) AS c (kind, key);
-- The token that the browser has goes on.
SELECT t.verdict(:'pub_token') AS token;
-- Other kinds of grant count as well.
RESET dialstack_sessions.api_key;
UPDATE dialstack.client_sessions SET connected_account_ids = '{}', connect_webview_ids = '{00000000-0000-0000-0000-000000000001}' WHERE session_id = :'pub_client_session_id';
SELECT left(t.as_key(:'pk_api_key', 'client_session_create(''secret-of-a-browser'')'), 23) AS with_a_webview;
UPDATE dialstack.client_sessions SET connect_webview_ids = '{}', user_identity_ids = '{00000000-0000-0000-0000-000000000001}' WHERE session_id = :'pub_client_session_id';
SELECT left(t.as_key(:'pk_api_key', 'client_session_create(''secret-of-a-browser'')'), 23) AS with_an_identity;
-- Made by a key that was revoked since, it is still a publishable key's.
UPDATE dialstack.client_sessions SET user_identity_ids = '{}' WHERE session_id = :'pub_client_session_id';
SELECT dialstack.api_key_revoke(api_key_id) FROM dialstack.api_keys WHERE key_hash = sha256(:'pk_api_key');
SELECT t.as_key(:'pk_api_key', 'client_session_create(''secret-of-a-browser'')') AS by_the_revoked_key, t.as_key(:'pk2_api_key', 'client_session_create(''secret-of-a-browser'')') AS by_another;

-- Neither setting is ever shown.
SET dialstack_sessions.api_key = :'api_key';
SET dialstack_sessions.token = :'client_token';
SHOW dialstack_sessions.api_key;
SHOW dialstack_sessions.token;
SELECT name, current_setting(name) FROM unnest('{dialstack_sessions.api_key,dialstack_sessions.token}'::text[]) AS name;
SELECT count(*) AS in_pg_settings FROM pg_settings s WHERE s::text ~ ANY (ARRAY[substr(:'api_key', 9), substr(:'client_token', 10)]) OR name ~ 'dialstack_sessions.(api_key|token)';
SELECT set_config('dialstack_sessions.api_key', :'api_key', false) AS set_config;
BEGIN;
SET LOCAL dialstack_sessions.api_key = :'key2_api_key';
SHOW dialstack_sessions.api_key;
-- A transaction's own key ends with it.
SELECT product FROM dialstack.account_session_create('acct_1') s, dialstack.session_verify(s.client_secret);
ROLLBACK;
SELECT product FROM dialstack.account_session_create('acct_1') s, dialstack.session_verify(s.client_secret);
RESET dialstack_sessions.api_key;
RESET dialstack_sessions.token;
SHOW dialstack_sessions.api_key;
DROP FUNCTION t.stored, t.as_key;
