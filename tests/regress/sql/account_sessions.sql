-- Account sessions: account_session_create, its deprecated alias, and their tokens.
SELECT t.product('acc');
SELECT t.product('acc2');

-- A client secret, when it expires, whose it is, and every known component with whether it is enabled.
SELECT client_secret, expires_at, account_id, components FROM dialstack.account_session_create(account => 'acct_blue_lamp_0000000000000007', product => 'acc', env => 'production') \gset
SELECT :'client_secret' ~ '^cs_live_[A-Za-z0-9_-]{70}$' AS client_secret, :'account_id' AS account_id,
       :'expires_at'::timestamptz BETWEEN now() + interval '59 minutes 50 seconds' AND now() + interval '1 hour 1 second' AS one_hour;
-- Absent: all are enabled.
SELECT key AS component, value FROM jsonb_each(:'components') ORDER BY key;
SELECT array_agg(c ORDER BY c) = (SELECT array_agg(scope ORDER BY scope) FROM dialstack.scopes JOIN dialstack.products USING (product_id) WHERE product = 'acc') AS each_scope FROM jsonb_object_keys(:'components') AS c;
-- Present: those that say so. What is not named is disabled, and shows as such.
SELECT key AS component, value FROM dialstack.account_session_create('acct_1', '{"call_logs": {"enabled": false}, "voicemails": {"enabled": true}}', 'acc', 'production') s, jsonb_each(s.components) ORDER BY key;
-- The prefix tells live from test.
SELECT env, left(client_secret, 8) FROM unnest('{production,staging}'::text[]) AS env, dialstack.account_session_create('acct_1', NULL, 'acc', env);
-- Another expiry, up to ten years.
SELECT by, expires_at BETWEEN now() + by::interval - interval '1 second' AND now() + by::interval + interval '2 seconds' AS expires_at
  FROM unnest('{1 second,90 minutes,1 day,1 month,10 years}'::text[]) AS by, dialstack.account_session_create('acct_1', NULL, 'acc', 'production', expires_in => by::interval);
-- Two sessions of one account are different; one does not end the other.
SELECT a.client_secret <> b.client_secret AS different, t.verdict(a.client_secret) AS first, t.verdict(b.client_secret) AS second
  FROM dialstack.account_session_create('acct_1', NULL, 'acc', 'production') a, dialstack.account_session_create('acct_1', NULL, 'acc', 'production') b;

-- session_verify: the account, no identifier and no data, the scopes that are enabled.
SELECT client_secret, expires_at FROM dialstack.account_session_create('acct_2', '{"call_logs": {"enabled": true}, "dial_plan": {"enabled": true}}', 'acc', 'production') \gset
SELECT valid, reason, kind, session_id IS NOT NULL AS session_id, identifier, account, data, scopes, expires_at = :'expires_at' AS expires_at, product, env, tag
  FROM dialstack.session_verify(:'client_secret') \gx
SELECT t.verdict(:'client_secret', 'acc', 'production') AS here, t.verdict(:'client_secret', 'acc2') AS product, t.verdict(:'client_secret', 'acc', 'staging') AS env, t.verdict(:'client_secret', tag => 'web') AS tag;
-- A disabled component is told apart from an end and from a revocation.
SELECT t.verdict(:'client_secret', scope => 'call_logs') AS enabled, t.verdict(:'client_secret', scope => 'voicemails') AS disabled, t.verdict(:'client_secret', scope => 'nope') AS unknown;
SELECT session_id FROM dialstack.session_verify(:'client_secret') \gset
BEGIN;
SELECT t.age(:'session_id', '2 hours');
SELECT t.verdict(:'client_secret', scope => 'call_logs') AS expired, t.verdict(:'client_secret', scope => 'voicemails') AS expired_and_disabled, t.verdict(:'client_secret', 'acc2', scope => 'voicemails') AS and_elsewhere;
UPDATE dialstack.sessions SET revoked_at = now(), revoke_reason = 'revoked' WHERE session_id = :'session_id';
SELECT t.verdict(:'client_secret', scope => 'voicemails') AS revoked_and_all_that, t.verdict(:'client_secret', 'acc2', scope => 'voicemails') AS and_elsewhere;
SELECT * FROM dialstack.session_verify(:'client_secret', scope => 'voicemails') \gx
ROLLBACK;
SELECT t.verdict(:'client_secret') AS undone;
-- It says so as an error, an introspection and an explanation too.
SELECT t.error(format('SELECT * FROM dialstack.session_require(%L, scope => %L)', :'client_secret', 'voicemails'));
SELECT account, scopes FROM dialstack.session_require(:'client_secret', scope => 'dial_plan');
SELECT i ->> 'active' AS active, i ->> 'sub' AS sub, i ->> 'scope' AS scope, i ->> 'aud' AS aud, i ? 'username' AS username FROM dialstack.token_introspect(:'client_secret') AS i;
SELECT step, checked, passed, regexp_replace(detail, '\d+ s$|[0-9a-f-]{36}|\d+$', '…') AS detail FROM dialstack.session_explain(:'client_secret');
SELECT kind, identifier, active, product, env, tag, generation, scopes FROM dialstack.session_info(:'session_id');
SELECT operation, status, kind, subject FROM dialstack.activity WHERE session_id = :'session_id';

-- Nothing of the token is stored.
SELECT count(*) AS stored FROM dialstack.sessions s WHERE position(substr(:'client_secret', 15) IN s::text) > 0;
-- It is no refresh token, and what is for user sessions does not touch it.
SELECT ok, reason FROM dialstack.session_refresh(:'client_secret');
SELECT t.code(format('SELECT * FROM dialstack.session_update_data(%L, %L)', :'session_id', '{"userId": "u"}'));
SELECT t.code(format('SELECT * FROM dialstack.session_extend(%L, %L)', :'session_id', '1 day'));
SELECT t.code(format('SELECT dialstack.session_revoke(''acc'', ''production'', ''web'', session_id => %L)', :'session_id')) AS revoked, dialstack.session_revoke_all('acc', 'production', 'web', 'acct_2') AS revoked_all;
SELECT t.code(format('SELECT dialstack.client_session_revoke(%L, %L, %L)', :'session_id', 'acc', 'production'));
SELECT t.code(format('SELECT dialstack.client_session_delete(%L, %L, %L)', :'session_id', 'acc', 'production'));
SELECT count(*) FROM dialstack.client_session_list(client_session_id => :'session_id', product => 'acc', env => 'production');
SELECT t.verdict(:'client_secret');
-- For whom it was made, and from where: in what verifying says, in lists and in the activity; never the current user of a policy.
SELECT client_secret FROM dialstack.account_session_create('acct_for', NULL, 'acc', 'production', identifier => 'ann', ip => '192.0.2.7', user_agent => 'Browser') \gset for_
SELECT kind, identifier, account, session_id FROM dialstack.session_verify(:'for_client_secret') \gset for_
SELECT :'for_kind' AS kind, :'for_identifier' AS identifier, :'for_account' AS account;
SELECT kind, identifier, ip, user_agent FROM dialstack.session_info(:'for_session_id');
SELECT identifier, ip, user_agent FROM dialstack.active_sessions WHERE session_id = :'for_session_id';
BEGIN;
SELECT valid FROM dialstack.session_use(:'for_client_secret');
SELECT dialstack.current_identifier() IS NULL AS no_user, dialstack.current_account() AS account;
ROLLBACK;
SELECT t.kind(format('SELECT dialstack.session_revoke(session_id => %L, identifier => %L)', :'for_session_id', 'bob')) AS not_his, dialstack.session_revoke(session_id => :'for_session_id', identifier => 'ann') AS hers;
SELECT operation, identifier, detail, ip, user_agent FROM dialstack.session_activity_logs('acc', env => 'production', identifier => 'ann') WHERE session_id = :'for_session_id' ORDER BY activity_id;
SELECT t.code(format('SELECT * FROM dialstack.account_session_create(%L, NULL, %L, %L, identifier => %L)', 'acct_for', 'acc', 'production', identifier)) FROM unnest(ARRAY['', repeat('x', 256)]) AS identifier;

-- Its environment's end is its own.
SELECT client_secret, expires_at FROM dialstack.account_session_create('acct_3', NULL, 'acc2', 'staging') \gset gone_
SELECT dialstack.env_delete('acc2', 'staging');
SELECT t.verdict(:'gone_client_secret') AS of_a_deleted_environment;

-- Bad input: a coded error, and nothing is written.
SELECT (SELECT count(*) FROM dialstack.sessions) AS sessions, (SELECT count(*) FROM dialstack.activity) AS activity \gset before_
SELECT n, t.error(format('SELECT * FROM dialstack.account_session_create(%L, %L::jsonb, %L, %L)', 'acct_1', components, 'acc', 'production'))
  FROM unnest(ARRAY['{"fax": {"enabled": true}}', '{"call_logs": {"enabled": true}, "fax": {"enabled": false}}', '{"Call_Logs": {"enabled": true}}', '[]', '[{"call_logs": {"enabled": true}}]', '"call_logs"', '1', 'true', 'null', '{}',
    '{"call_logs": {"enabled": false}}', '{"call_logs": {"enabled": false}, "voicemails": {"enabled": false}}', '{"call_logs": true}', '{"call_logs": null}', '{"call_logs": []}', '{"call_logs": {}}', '{"call_logs": {"enabled": null}}',
    '{"call_logs": {"enabled": "true"}}', '{"call_logs": {"enabled": 1}}', '{"call_logs": {"Enabled": true}}', '{"call_logs": {"enabled": true, "features": {}}}']) WITH ORDINALITY AS c (components, n) ORDER BY n;
-- What is wrong decides the code, not what else there is.
SELECT t.code(format('SELECT * FROM dialstack.account_session_create(%L, %L::jsonb, %L, %L)', 'acct_1', '{"call_logs": {"enabled": "yes"}, "fax": {"enabled": true}}', 'acc', 'production')) AS first_a_bad_one;
-- Of a key that stands twice jsonb keeps the last.
SELECT components -> 'call_logs' AS call_logs FROM dialstack.account_session_create('acct_1', '{"dial_plan": {"enabled": true}, "call_logs": {"enabled": true}, "call_logs": {"enabled": false}}', 'acc', 'staging');
SELECT label, t.error(format('SELECT * FROM dialstack.account_session_create(%L, NULL, %L, %L)', account, 'acc', 'production'))
  FROM (VALUES (1, 'empty', ''), (2, 'null', NULL), (3, '256 characters', repeat('ü', 256)), (4, '10,000 characters', repeat('x', 10000)), (5, 'a line end', E'a\nb'), (6, 'a control character', E'a\u007f')) AS c (n, label, account) ORDER BY n;
SELECT account_id = repeat('ü', 255) AS "255 characters" FROM dialstack.account_session_create(repeat('ü', 255), NULL, 'acc', 'staging');
SELECT expires_in, t.error(format('SELECT * FROM dialstack.account_session_create(%L, NULL, %L, %L, %L::interval)', 'acct_1', 'acc', 'production', expires_in))
  FROM unnest(ARRAY['0', '-1 second', '-1 hour', '1 month -31 days', '10 years 1 day', '10 years 1 month', '11 years', '178000000 years', NULL]) AS expires_in;
SELECT t.error($$SELECT * FROM dialstack.account_session_create('acct_1', NULL, 'nope', 'production')$$);
SELECT t.error($$SELECT * FROM dialstack.account_session_create('acct_1', NULL, 'acc', 'nope')$$);
SELECT t.error($$SELECT * FROM dialstack.account_session_create('acct_1', NULL, 'acc2', 'staging')$$);
SELECT t.error($$SELECT * FROM dialstack.account_session_create('acct_1', NULL, 'ACC', 'production')$$);
-- (Two were good, both of `staging`.)
SELECT (SELECT count(*) FROM dialstack.sessions) - :before_sessions AS sessions, (SELECT count(*) FROM dialstack.activity) - :before_activity AS activity;
BEGIN READ ONLY;
SELECT count(*) FROM dialstack.account_session_create('acct_1', NULL, 'acc', 'production');
ROLLBACK;

-- The deprecated alias takes neither product nor environment; it says what to call.
SET client_min_messages = notice;
SELECT api_key FROM dialstack.api_key_create('acc', 'staging') \gset
BEGIN;
SET LOCAL dialstack_sessions.api_key = :'api_key';
\set VERBOSITY sqlstate
SELECT left(client_secret, 8), account_id, expires_at BETWEEN now() + interval '59 minutes 50 seconds' AND now() + interval '1 hour 1 second' AS one_hour,
       components -> 'call_logs' AS call_logs, components -> 'dial_plan' AS dial_plan
  FROM dialstack.session_create(account => 'acct_1', components => '{"call_logs": {"enabled": true}}') \gx
\set VERBOSITY default
SELECT account_id FROM dialstack.session_create('acct_1');
-- Both give the same columns.
SELECT pg_get_function_result('dialstack.session_create(text,jsonb)'::regprocedure) = pg_get_function_result('dialstack.account_session_create(text,jsonb,text,text,interval,text,inet,text)'::regprocedure) AS same;
ROLLBACK;
SET client_min_messages = warning;

-- Which environment is meant, where names are left out: the only one that there is.
CREATE DATABASE regress_only;
\c regress_only
SET client_min_messages = warning;
CREATE EXTENSION dialstack_sessions;
CREATE FUNCTION code(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN EXECUTE statement; RETURN 'no error'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM; END $$;
CREATE FUNCTION made(product text = NULL, env text = NULL) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT concat_ws('/', v.product, v.env) FROM dialstack.account_session_create('acct_1', NULL, made.product, made.env) s, dialstack.session_verify(s.client_secret) v);
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT made() AS without_any, made('one') AS without_product;
SELECT dialstack.product_create('one') IS NOT NULL AS made;
SELECT made() AS without_environment, made('one') AS "of one", made('one', 'e') AS exact;
SELECT dialstack.env_create('one', 'production');
SELECT made() AS only_one, made('one') AS product, made(env => 'production') AS env, made('one', 'production') AS both, made(env => 'nope') AS other_env, made('nope') AS other_product, made('', '') AS empty;
SELECT client_secret FROM dialstack.session_create('acct_1') \gset
SELECT product, env FROM dialstack.session_verify(:'client_secret');
-- Two environments of one product: the product alone no longer tells; the name of the environment does.
SELECT dialstack.env_create('one', 'staging', live => false);
SELECT made() AS which, made('one') AS product, made(env => 'staging') AS env;
-- Two products: a name may be in both.
SELECT dialstack.product_create('two') IS NOT NULL AS made;
SELECT dialstack.env_create('two', 'production');
SELECT made() AS which, made('two') AS product, made(env => 'production') AS in_both, made(env => 'staging') AS in_one;
-- Client sessions follow the same rules.
SELECT code($$SELECT * FROM dialstack.client_session_create('u')$$), code($$SELECT * FROM dialstack.client_session_list(product => 'one')$$);
SELECT workspace_id = product_id AS same FROM dialstack.client_session_create('u', product => 'two'), dialstack.products WHERE products.product = 'two';
-- A key is for one environment: names may be left out, and must not contradict it.
SELECT api_key FROM dialstack.api_key_create('one', 'staging') \gset
SET dialstack_sessions.api_key = :'api_key';
SELECT made() AS key, made('one') AS product, made(env => 'staging') AS env, made('one', 'staging') AS both;
SELECT made('one', 'production') AS other_env, made('two', 'staging') AS other_product, made('nope') AS unknown_product, made(env => 'nope') AS unknown_env;
\c postgres
DROP DATABASE regress_only;
