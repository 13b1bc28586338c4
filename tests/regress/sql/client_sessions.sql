-- Client sessions: create, get_or_create, get, list, grant_access, revoke, delete.
SELECT t.product('cli');
SELECT t.product('cli2');
-- Ids that are easy to tell apart: t.id(1) ends in 1.
CREATE FUNCTION t.id(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(n::text, 32, '0')::uuid $$;
CREATE FUNCTION t.ids(VARIADIC n int[]) RETURNS uuid[] LANGUAGE sql IMMUTABLE AS $$ SELECT array_agg(t.id(i) ORDER BY o) FROM unnest(n) WITH ORDINALITY AS u (i, o) $$;
-- ... and back.
CREATE FUNCTION t.ns(ids uuid[]) RETURNS int[] LANGUAGE sql IMMUTABLE AS $$ SELECT coalesce(array_agg(right(replace(i::text, '-', ''), 6)::int ORDER BY o), '{}') FROM unnest(ids) WITH ORDINALITY AS u (i, o) $$;
-- How a call failed, with the place filled in.
CREATE FUNCTION t.cli(call text) RETURNS text LANGUAGE sql AS $$ SELECT t.code(format('SELECT * FROM dialstack.client_session_%s, product => %L, env => %L)', left(call, -1), 'cli', 'production')) $$;

-- client_session_create: everything may be left out.
SELECT * FROM dialstack.client_session_create(product => 'cli', env => 'production') \gset
SELECT :'token' ~ '^cst_live_[A-Za-z0-9_-]{70}$' AS token, :'workspace_id' = product_id::text AS workspace_id, :device_count AS device_count,
       :'created_at'::timestamptz BETWEEN now() - interval '5 seconds' AND clock_timestamp() AS created_at,
       :'expires_at'::timestamptz BETWEEN now() + interval '1 year' - interval '5 seconds' AND now() + interval '1 year 5 seconds' AS one_year,
       :'connected_account_ids' AS connected_account_ids, :'third_party_account_ids' AS third_party_account_ids, :'connect_webview_ids' AS connect_webview_ids, :'user_identity_ids' AS user_identity_ids
  FROM dialstack.products WHERE product = 'cli' \gx
SELECT user_identifier_key IS NULL AS no_key FROM dialstack.client_session_get(:'client_session_id', product => 'cli', env => 'production');
-- Without a key each call makes another.
SELECT client_session_id <> :'client_session_id' AS another FROM dialstack.client_session_create(product => 'cli', env => 'production');
-- With all of it. third_party_account_ids is another name; the order given is kept, repetitions are not.
SELECT client_session_id, token, user_identifier_key, t.ns(connected_account_ids) AS accounts, t.ns(third_party_account_ids) AS third_party, t.ns(connect_webview_ids) AS webviews, t.ns(user_identity_ids) AS identities,
       expires_at - now() BETWEEN interval '1 day 59 minutes' AND interval '1 day 1 hour' AS expires_at, expires_at AS expires
  FROM dialstack.client_session_create(user_identifier_key => 'key-of-user-no-001', connected_account_ids => t.ids(3, 1, 3, 2, 1), connect_webview_ids => t.ids(9, 8, 9),
       user_identity_ids => t.ids(7, 7), expires_at => now() + interval '1 day 1 hour', product => 'cli', env => 'production') \gset full_
SELECT :'full_user_identifier_key' AS key, :'full_accounts' AS accounts, :'full_third_party' AS third_party, :'full_webviews' AS webviews, :'full_identities' AS identities, :'full_expires_at' AS expires_at;
-- The prefix tells live from test.
SELECT left(token, 9) FROM dialstack.client_session_create(product => 'cli', env => 'staging');
-- The key of a living session returns that session unchanged, whatever else is given.
SELECT count(*) AS rows FROM dialstack.client_sessions \gset before_
SELECT client_session_id = :'full_client_session_id' AS same, token = :'full_token' AS same_token, expires_at = :'full_expires' AS same_expiry, t.ns(connected_account_ids) AS accounts, t.ns(connect_webview_ids) AS webviews, t.ns(user_identity_ids) AS identities
  FROM dialstack.client_session_create('key-of-user-no-001', t.ids(4), t.ids(4), t.ids(4), now() + interval '2 days', 'cli', 'production');
SELECT count(*) - :before_rows AS made FROM dialstack.client_sessions;
-- A key belongs to one environment; its case counts, and so does each blank.
SELECT client_session_id <> :'full_client_session_id' AS another FROM unnest(ARRAY['key-of-user-no-001 ', 'Key-of-user-no-001', ' key-of-user-no-001', '%', '_']) AS key, dialstack.client_session_create(key, product => 'cli', env => 'production');
SELECT client_session_id <> :'full_client_session_id' AS another FROM dialstack.client_session_create('key-of-user-no-001', product => 'cli', env => 'staging');
SELECT client_session_id <> :'full_client_session_id' AS another FROM dialstack.client_session_create('key-of-user-no-001', product => 'cli2', env => 'production');
-- An account session of that name is no client session.
SELECT count(*) FROM dialstack.account_session_create('an-account', NULL, 'cli', 'production');
SELECT user_identifier_key FROM dialstack.client_session_create('an-account', product => 'cli', env => 'production');

-- client_session_get_or_create: the same, but an expiry that is given replaces the old one.
SELECT client_session_id = :'full_client_session_id' AS same, token = :'full_token' AS same_token, expires_at = :'full_expires' AS same_expiry, t.ns(connected_account_ids) AS accounts
  FROM dialstack.client_session_get_or_create('key-of-user-no-001', t.ids(4), product => 'cli', env => 'production');
SELECT client_session_id = :'full_client_session_id' AS same, token = :'full_token' AS same_token, expires_at - now() BETWEEN interval '59 minutes' AND interval '1 hour' AS replaced
  FROM dialstack.client_session_get_or_create('key-of-user-no-001', expires_at => now() + interval '1 hour', product => 'cli', env => 'production');
SELECT expires_at - now() BETWEEN interval '2 days 23 hours' AND interval '3 days' AS replaced FROM dialstack.client_session_get_or_create('key-of-user-no-001', expires_at => now() + interval '3 days', product => 'cli', env => 'production');
SELECT expires_at - now() BETWEEN interval '2 days 23 hours' AND interval '3 days' AS it_stays, purge_after > current_date AS kept_for_long FROM dialstack.client_sessions WHERE session_id = :'full_client_session_id';
SELECT expires_at - now() BETWEEN interval '2 days 23 hours' AND interval '3 days' AS verified FROM dialstack.session_verify(:'full_token');
SELECT expires_at - now() > interval '364 days' AS created, t.ns(connected_account_ids) AS accounts FROM dialstack.client_session_get_or_create('internal-user-id-2', t.ids(5), product => 'cli', env => 'production');
SELECT a.client_session_id <> b.client_session_id AS without_key_always_another
  FROM dialstack.client_session_get_or_create(product => 'cli', env => 'production') a, dialstack.client_session_get_or_create(product => 'cli', env => 'production') b;

-- session_verify knows the token: whose it is, and no more.
SELECT valid, kind, session_id = :'full_client_session_id' AS session_id, identifier, account, data, scopes, product, env, tag FROM dialstack.session_verify(:'full_token') \gx
SELECT t.verdict(:'full_token', 'cli', 'production') AS here, t.verdict(:'full_token', 'cli2') AS product, t.verdict(:'full_token', 'cli', 'staging') AS env, t.verdict(:'full_token', scope => 'call_logs') AS scope;
SELECT identifier IS NULL AS without_key FROM dialstack.session_verify(:'token');
SELECT count(*) AS stored FROM dialstack.client_sessions s WHERE position(substr(:'full_token', 16) IN s::text) > 0;
SELECT t.verdict(replace(:'full_token', 'cst_', 'cs_')) AS as_client_secret, t.verdict(replace(:'full_token', 'live', 'test')) AS as_test,
       t.verdict(overlay(:'full_token' PLACING CASE substr(:'full_token', 70, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM 70)) AS another_mac;

-- client_session_get: by id, by key, by both where they agree.
SELECT client_session_id = :'full_client_session_id' AS same, token = :'full_token' AS same_token, user_identifier_key, t.ns(connected_account_ids) AS accounts, t.ns(third_party_account_ids) AS third_party, t.ns(connect_webview_ids) AS webviews, t.ns(user_identity_ids) AS identities
  FROM dialstack.client_session_get(client_session_id => :'full_client_session_id', product => 'cli', env => 'production');
SELECT client_session_id = :'full_client_session_id' AS by_key FROM dialstack.client_session_get(user_identifier_key => 'key-of-user-no-001', product => 'cli', env => 'production');
SELECT client_session_id = :'full_client_session_id' AS by_both FROM dialstack.client_session_get(:'full_client_session_id', 'key-of-user-no-001', 'cli', 'production');
SELECT t.cli(format('get(%L, %L)', :'full_client_session_id', 'internal-user-id-2')) AS of_another, t.cli(format('get(%L)', t.id(1))) AS unknown_id, t.cli('get(user_identifier_key => ''nobody'')') AS unknown_key, t.cli('get(user_identifier_key => '''')') AS empty_key;
SELECT t.code(format('SELECT * FROM dialstack.client_session_get(%L, product => %L, env => %L)', :'full_client_session_id', product, env)) FROM (VALUES ('cli', 'staging'), ('cli2', 'production'), ('cli', 'nope'), ('nope', 'production')) AS p (product, env);
SELECT t.code($$SELECT * FROM dialstack.client_session_get('not-a-uuid', product => 'cli', env => 'production')$$);
-- With neither: the session of the current token, without naming a place.
SELECT t.error('SELECT * FROM dialstack.client_session_get()');
BEGIN;
SET LOCAL dialstack_sessions.token = :'full_token';
SELECT client_session_id = :'full_client_session_id' AS own, token = :'full_token' AS token, t.ns(connected_account_ids) AS accounts FROM dialstack.client_session_get();
SELECT count(*) AS here FROM dialstack.client_session_get(product => 'cli', env => 'production');
SELECT t.code($$SELECT * FROM dialstack.client_session_get(product => 'cli2')$$) AS elsewhere;
SELECT t.code($$SELECT * FROM dialstack.client_session_get(env => 'staging')$$) AS elsewhere;
ROLLBACK;
SELECT t.code('SELECT * FROM dialstack.client_session_get()') AS after_the_transaction;
SELECT client_secret FROM dialstack.account_session_create('acct_1', NULL, 'cli', 'production') \gset
SELECT token AS user_token FROM dialstack.session_create('cli', 'production', 'web', '{"userId": "u"}') \gset
SELECT label, t.code(format('SET LOCAL dialstack_sessions.token = %L; SELECT * FROM dialstack.client_session_get()', token)) FROM (VALUES (1, 'an account session', :'client_secret'), (2, 'a user session', :'user_token'), (3, 'rubbish', 'rubbish'), (4, 'empty', '')) AS c (n, label, token) ORDER BY n;
RESET dialstack_sessions.token;

-- client_session_grant_access: by id or by key; adds, never removes, keeps the order, repeats nothing.
SELECT client_session_id, token FROM dialstack.client_session_create('granted', t.ids(2), product => 'cli', env => 'production') \gset grant_
SELECT client_session_id = :'grant_client_session_id' AS same, token = :'grant_token' AS same_token, t.ns(connected_account_ids) AS accounts, t.ns(third_party_account_ids) AS third_party, t.ns(connect_webview_ids) AS webviews, t.ns(user_identity_ids) AS identities
  FROM dialstack.client_session_grant_access(client_session_id => :'grant_client_session_id', connected_account_ids => t.ids(5, 1, 2, 5, 3), product => 'cli', env => 'production');
SELECT t.ns(connected_account_ids) AS accounts, t.ns(connect_webview_ids) AS webviews, t.ns(user_identity_ids) AS identities
  FROM dialstack.client_session_grant_access(user_identifier_key => 'granted', connect_webview_ids => t.ids(6, 4), user_identity_ids => t.ids(9), product => 'cli', env => 'production');
SELECT t.ns(connected_account_ids) AS accounts, t.ns(connect_webview_ids) AS webviews, t.ns(user_identity_ids) AS identities
  FROM dialstack.client_session_grant_access(user_identifier_key => 'granted', connected_account_ids => t.ids(1, 4), connect_webview_ids => t.ids(4, 5), user_identity_ids => t.ids(8, 9), product => 'cli', env => 'production');
SELECT t.ns(connected_account_ids) AS accounts, t.ns(connect_webview_ids) AS webviews, t.ns(user_identity_ids) AS identities FROM dialstack.client_session_get(user_identifier_key => 'granted', product => 'cli', env => 'production');
SELECT operation, status, subject, count(*) FROM dialstack.activity WHERE session_id = :'grant_client_session_id' GROUP BY 1, 2, 3 ORDER BY 1;
BEGIN;
SELECT t.ns(connected_account_ids) AS inside FROM dialstack.client_session_grant_access(user_identifier_key => 'granted', connected_account_ids => t.ids(77), product => 'cli', env => 'production');
ROLLBACK;
SELECT t.ns(connected_account_ids) AS undone FROM dialstack.client_session_get(user_identifier_key => 'granted', product => 'cli', env => 'production');
SELECT t.cli('grant_access(user_identifier_key => ''granted'')') AS nothing, t.cli('grant_access(user_identifier_key => ''granted'', connected_account_ids => ''{}'')') AS empty, t.cli('grant_access(connected_account_ids => t.ids(1))') AS nobody,
       t.cli('grant_access(user_identifier_key => ''nobody'', connected_account_ids => t.ids(1))') AS unknown, t.cli(format('grant_access(%L, ''granted'', t.ids(1))', :'full_client_session_id')) AS disagree;
SELECT t.code(format('SELECT * FROM dialstack.client_session_grant_access(%L, NULL, t.ids(1), product => %L, env => %L)', :'grant_client_session_id', product, env)) FROM (VALUES ('cli', 'staging'), ('cli2', 'production')) AS p (product, env);
-- At most 1,000 of a kind, at once or together.
SELECT cardinality(connected_account_ids) FROM dialstack.client_session_create('many', (SELECT array_agg(t.id(n)) FROM generate_series(1, 1000) n), product => 'cli', env => 'production');
SELECT cardinality(connected_account_ids) FROM dialstack.client_session_grant_access(user_identifier_key => 'many', connected_account_ids => t.ids(1, 1000), product => 'cli', env => 'production');
SELECT t.error($$SELECT * FROM dialstack.client_session_grant_access(user_identifier_key => 'many', connected_account_ids => t.ids(1001), product => 'cli', env => 'production')$$);
SELECT t.code($$SELECT * FROM dialstack.client_session_create('too many', (SELECT array_agg(t.id(n)) FROM generate_series(1, 1001) n), product => 'cli', env => 'production')$$);

-- client_session_list: the living ones of an environment, the newest first, with the total on each row.
SELECT t.product('cli-list');
SELECT count(*) FROM (SELECT dialstack.client_session_create(CASE WHEN n % 3 > 0 THEN 'n' || n END, connected_account_ids => t.ids(n), connect_webview_ids => t.ids(n % 2, 100 + n), user_identity_ids => t.ids(n % 4), product => 'cli-list', env => 'production') FROM generate_series(1, 12) n) made;
SELECT count(*) FROM dialstack.client_session_create('n1', product => 'cli-list', env => 'staging');
UPDATE dialstack.client_sessions s SET created_at = now() - interval '1 hour' + (t.ns(connected_account_ids))[1] * interval '1 minute' FROM dialstack.environments e JOIN dialstack.products p USING (product_id)
 WHERE s.env_id = e.env_id AND p.product = 'cli-list' AND e.env = 'production';
SELECT user_identifier_key AS key, t.ns(connected_account_ids) AS accounts, t.ns(third_party_account_ids) AS third_party, t.ns(connect_webview_ids) AS webviews, t.ns(user_identity_ids) AS identities, device_count, left(token, 9) AS token, total
  FROM dialstack.client_session_list(product => 'cli-list', env => 'production');
SELECT t.ns(connected_account_ids) AS accounts, total FROM dialstack.client_session_list(page => 2, product => 'cli-list', env => 'production');
SELECT count(*) AS beyond_the_last FROM dialstack.client_session_list(page => 3, product => 'cli-list', env => 'production');
SELECT count(*) AS rows, count(DISTINCT client_session_id) AS sessions FROM generate_series(1, 5) page, dialstack.client_session_list(page => page, per_page => 3, product => 'cli-list', env => 'production');
-- Tokens are the same at each showing.
SELECT count(*) AS differ FROM dialstack.client_session_list(per_page => 1000, product => 'cli-list', env => 'production') l, LATERAL dialstack.client_session_get(l.client_session_id, product => 'cli-list', env => 'production') g WHERE l.token <> g.token OR NOT (SELECT valid FROM dialstack.session_verify(l.token));
-- Each filter, and all together.
SELECT client_session_id FROM dialstack.client_session_get(user_identifier_key => 'n7', product => 'cli-list', env => 'production') \gset n7_
CREATE FUNCTION t.listed(filters text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE listed text;
BEGIN
    EXECUTE format($q$SELECT concat_ws(' of ', array_agg((t.ns(connected_account_ids))[1] ORDER BY created_at DESC), max(total)) FROM dialstack.client_session_list(%s, per_page => 1000, product => 'cli-list', env => 'production')$q$, filters) INTO listed;
    RETURN listed;
END $$;
SELECT t.listed(format('client_session_id => %L', :'n7_client_session_id')) AS id, t.listed('user_identifier_key => ''n7''') AS key, t.listed('connect_webview_id => t.id(0)') AS webview, t.listed('user_identity_id => t.id(3)') AS identity,
       t.listed('without_user_identifier_key => true') AS without_key, t.listed('without_user_identifier_key => false') AS false;
SELECT t.listed('connect_webview_id => t.id(1), user_identity_id => t.id(3)') AS webview_and_identity, t.listed('user_identifier_key => ''n7'', without_user_identifier_key => true') AS contradiction,
       t.listed('connect_webview_id => t.id(107), user_identity_id => t.id(3), user_identifier_key => ''n7'', without_user_identifier_key => false') AS all_of_one, t.listed('connect_webview_id => t.id(55)') AS none, t.listed('user_identifier_key => ''n%''') AS no_pattern,
       t.listed(format('client_session_id => %L', :'full_client_session_id')) AS of_another_product, t.listed('connect_webview_id => NULL, user_identity_id => NULL, client_session_id => NULL, user_identifier_key => NULL, without_user_identifier_key => NULL') AS nulls;
SELECT count(*) AS in_staging, max(total) AS total FROM dialstack.client_session_list(product => 'cli-list', env => 'staging');
-- A page of a filter.
SELECT t.ns(connected_account_ids) AS accounts, total FROM dialstack.client_session_list(connect_webview_id => t.id(0), page => 2, per_page => 4, product => 'cli-list', env => 'production');
SELECT page, per_page, t.code(format('SELECT * FROM dialstack.client_session_list(page => %s, per_page => %s, product => %L, env => %L)', coalesce(page::text, 'NULL'), coalesce(per_page::text, 'NULL'), 'cli-list', 'production'))
  FROM (VALUES (1, 1), (1, 1000), (1001, 1000), (1002, 1000), (2147483647, 1000), (0, 10), (-1, 10), (1, 0), (1, 1001), (NULL, 10), (1, NULL)) AS p (page, per_page);
-- It reads only: also in a READ ONLY transaction, and without a transaction id.
BEGIN READ ONLY;
SELECT count(*), pg_current_xact_id_if_assigned() IS NULL AS without_transaction_id FROM dialstack.client_session_list(product => 'cli-list', env => 'production');
SELECT count(*), pg_current_xact_id_if_assigned() IS NULL AS without_transaction_id FROM dialstack.client_session_get(user_identifier_key => 'n1', product => 'cli-list', env => 'production');
ROLLBACK;

-- client_session_revoke: the token is dead, the row stays. Idempotent.
SELECT client_session_id, token FROM dialstack.client_session_create('leaves', t.ids(1), product => 'cli', env => 'production') \gset leaves_
SELECT dialstack.client_session_revoke(client_session_id => :'leaves_client_session_id', product => 'cli', env => 'production');
SELECT t.verdict(:'leaves_token') AS token, active, revoke_reason, kind, identifier FROM dialstack.session_info(:'leaves_client_session_id');
SELECT revoked_at AS then FROM dialstack.client_sessions WHERE session_id = :'leaves_client_session_id' \gset
SELECT dialstack.client_session_revoke(:'leaves_client_session_id', 'cli', 'production');
SELECT revoked_at = :'then' AS unchanged FROM dialstack.client_sessions WHERE session_id = :'leaves_client_session_id';
SELECT operation, count(*) FROM dialstack.activity WHERE session_id = :'leaves_client_session_id' GROUP BY 1 ORDER BY 1;
-- It is not listed, not got, not granted anything; its key is free.
SELECT t.cli(format('get(%L)', :'leaves_client_session_id')) AS get, t.cli('get(user_identifier_key => ''leaves'')') AS get_by_key, t.cli(format('grant_access(%L, connected_account_ids => t.ids(2))', :'leaves_client_session_id')) AS granted, count(*) AS listed
  FROM dialstack.client_session_list(client_session_id => :'leaves_client_session_id', product => 'cli', env => 'production');
SELECT client_session_id <> :'leaves_client_session_id' AS another, token <> :'leaves_token' AS another_token, connected_account_ids, token AS new_token FROM dialstack.client_session_get_or_create('leaves', product => 'cli', env => 'production') \gset again_
SELECT :'again_another' AS another, :'again_another_token' AS another_token, :'again_connected_account_ids' AS accounts, t.verdict(:'again_new_token') AS new, t.verdict(:'leaves_token') AS old;
BEGIN;
SELECT dialstack.client_session_revoke(session_id, 'cli', 'production'), t.verdict(:'again_new_token') AS inside FROM dialstack.session_verify(:'again_new_token');
ROLLBACK;
SELECT t.verdict(:'again_new_token') AS undone;

-- client_session_delete: the row is gone, dead or alive; the token was never known.
SELECT dialstack.client_session_delete(client_session_id => :'leaves_client_session_id', product => 'cli', env => 'production');
SELECT t.verdict(:'leaves_token') AS token, count(*) AS rows FROM dialstack.client_sessions WHERE session_id = :'leaves_client_session_id';
SELECT client_session_id, token FROM dialstack.client_session_create('deleted', product => 'cli', env => 'production') \gset deleted_
SELECT dialstack.client_session_delete(:'deleted_client_session_id', 'cli', 'production');
SELECT t.verdict(:'deleted_token') AS token, count(*) AS rows FROM dialstack.client_sessions WHERE session_id = :'deleted_client_session_id';
SELECT operation, status, subject FROM dialstack.activity WHERE session_id = :'deleted_client_session_id' ORDER BY activity_id;
SELECT t.cli(format('delete(%L)', :'deleted_client_session_id')) AS twice, t.cli(format('revoke(%L)', :'deleted_client_session_id')) AS revoke, t.cli('delete(NULL)') AS null_delete, t.cli('revoke(NULL)') AS null_revoke;
SELECT t.code(format('SELECT dialstack.client_session_%s(%L, %L, %L)', f, :'full_client_session_id', product, env)) FROM unnest('{revoke,delete}'::text[]) AS f, (VALUES ('cli', 'staging'), ('cli2', 'production')) AS p (product, env);
SELECT t.verdict(:'full_token') AS still_there;

-- An id needs no place, whatever the number of environments; what is given must match.
SELECT client_session_id, token FROM dialstack.client_session_create('placeless', product => 'cli2', env => 'production') \gset placeless_
SELECT (SELECT token = :'placeless_token' FROM dialstack.client_session_get(:'placeless_client_session_id')) AS got,
       (SELECT cardinality(connected_account_ids) FROM dialstack.client_session_grant_access(:'placeless_client_session_id', connected_account_ids => t.ids(1))) AS granted;
SELECT call, place, t.code(format('SELECT dialstack.client_session_%s(%L%s, %s)', call, :'placeless_client_session_id',
    CASE call WHEN 'grant_access' THEN ', connected_account_ids => t.ids(1)' ELSE '' END, place))
  FROM unnest('{get,grant_access,revoke,delete}'::text[]) AS call, unnest(ARRAY[$$product => 'cli'$$, $$env => 'staging'$$, $$product => 'nope'$$]) AS place;
SELECT dialstack.client_session_revoke(:'placeless_client_session_id'), t.verdict(:'placeless_token') AS revoked;
SELECT dialstack.client_session_delete(:'placeless_client_session_id'), t.verdict(:'placeless_token') AS deleted;

-- An expired one is not listed, got or granted anything; the next call with its key makes another, and the old token says what happened.
SELECT client_session_id, token FROM dialstack.client_session_create('late', t.ids(1), product => 'cli', env => 'production') \gset late_
SELECT t.age(:'late_client_session_id', '400 days');
SELECT t.verdict(:'late_token') AS token, t.cli('get(user_identifier_key => ''late'')') AS get, t.cli('grant_access(user_identifier_key => ''late'', connected_account_ids => t.ids(2))') AS granted, count(*) AS listed
  FROM dialstack.client_session_list(user_identifier_key => 'late', product => 'cli', env => 'production');
SELECT token AS new_token, client_session_id <> :'late_client_session_id' AS another, connected_account_ids AS accounts FROM dialstack.client_session_get_or_create('late', product => 'cli', env => 'production') \gset late_
SELECT :'late_another' AS another, :'late_accounts' AS accounts, t.verdict(:'late_new_token') AS new, t.verdict(:'late_token') AS old, t.verdict(:'late_token', 'cli2') AS elsewhere;
SELECT t.age(session_id, '400 days') FROM dialstack.session_verify(:'late_new_token');
SELECT t.verdict(token) AS by_create FROM dialstack.client_session_create('late', product => 'cli', env => 'production');
SELECT t.verdict(:'late_token') AS first, t.verdict(:'late_new_token') AS second, count(*) AS living FROM dialstack.client_session_list(user_identifier_key => 'late', product => 'cli', env => 'production');

-- Bad input: a coded error, and nothing is written.
SELECT (SELECT count(*) FROM dialstack.client_sessions) AS sessions, (SELECT count(*) FROM dialstack.activity) AS activity \gset before_
SELECT call, t.cli(call) FROM unnest(ARRAY['create('''')', 'create(repeat(''x'', 256))', 'create(repeat(''x'', 10000))', 'create(E''a\nb'')', 'get_or_create('''')', 'get_or_create(repeat(''x'', 256))',
    'create(''u'', ARRAY[NULL]::uuid[])', 'create(''u'', connect_webview_ids => ARRAY[t.id(1), NULL])', 'create(''u'', user_identity_ids => ''{NULL}'')', 'create(''u'', ''{NULL}'', expires_at => now())', 'create(''u'', ''{not-a-uuid}'')', 'create(''u'', connect_webview_ids => ''{1}'')', 'get(''x'')', 'list(user_identity_id => ''x'')', 'list(connect_webview_id => '''')', 'revoke(''x'')', 'delete(''x'')',
    'create(''u'', expires_at => now())', 'create(''u'', expires_at => now() - interval ''1 second'')', 'create(''u'', expires_at => now() + interval ''11 years'')', 'create(''u'', expires_at => now() + interval ''10 years 1 month'')', 'create(''u'', expires_at => now() + interval ''10 years 2 days'')', 'create(''u'', expires_at => ''infinity'')', 'create(''u'', expires_at => ''-infinity'')', 'create(''u'', expires_at => ''4714-01-01 BC'')',
    'get_or_create(''granted'', expires_at => now() - interval ''1 second'')', 'get_or_create(''granted'', expires_at => ''infinity'')', 'grant_access(user_identifier_key => ''granted'', connected_account_ids => ''{NULL}'')']) WITH ORDINALITY AS c (call, n) ORDER BY n;
SELECT (SELECT count(*) FROM dialstack.client_sessions) - :before_sessions AS sessions, (SELECT count(*) FROM dialstack.activity) - :before_activity AS activity;
SELECT expires_at > now() + interval '364 days' AS expiry_stays FROM dialstack.client_session_get(user_identifier_key => 'granted', product => 'cli', env => 'production');
SELECT expires_at IS NOT NULL AS ten_years FROM dialstack.client_session_create(expires_at => now() + interval '10 years', product => 'cli', env => 'production');
BEGIN READ ONLY;
SELECT count(*) FROM dialstack.client_session_create('read only', product => 'cli', env => 'production');
ROLLBACK;

-- device_count: the rows of the tables registered as devices of the environment whose connected account is granted.
CREATE TABLE t.locks (lock_id int, connected_account_id uuid);
CREATE TABLE t.cameras (camera_id int, "Account ""Id""" text);
CREATE TABLE t."Other ""Things" (id int, connected_account_id uuid);
INSERT INTO t.locks SELECT n, t.id(n % 3) FROM generate_series(1, 9) n;
INSERT INTO t.locks VALUES (100, NULL);
INSERT INTO t.cameras SELECT n, t.id(n % 2) FROM generate_series(1, 4) n;
INSERT INTO t.cameras VALUES (100, 'not a uuid'), (101, NULL), (102, t.id(1)::text || ' ');
INSERT INTO t."Other ""Things" SELECT n, t.id(1) FROM generate_series(1, 50) n;
CREATE FUNCTION t.devices(VARIADIC n int[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT device_count FROM dialstack.client_session_create(connected_account_ids => t.ids(VARIADIC n), product => 'cli', env => 'production') $$;
SELECT t.devices(1) AS nothing_registered;
SELECT dialstack.protect_table('t.locks', 'connected_account_id', 'cli', 'production', 'connected_account', device => true);
SELECT t.devices(1) AS one, t.devices(0, 1) AS two, t.devices(0, 1, 2) AS three, t.devices(2, 2) AS twice, t.devices(7) AS none;
-- In several tables, of text or uuid columns; a session without accounts counts nothing.
SELECT dialstack.protect_table('t.cameras', 'Account "Id"', 'cli', 'production', 'connected_account', device => true);
SELECT t.devices(1) AS in_both, t.devices(2) AS in_one, t.devices(0, 1, 2) AS all, (SELECT device_count FROM dialstack.client_session_create(product => 'cli', env => 'production')) AS without;
-- Of another environment, another product, or not as devices: not counted.
SELECT dialstack.protect_table('t."Other ""Things"', 'connected_account_id', 'cli', 'staging', 'connected_account', device => true);
SELECT t.devices(1) AS another_environment;
SELECT dialstack.protect_table('t."Other ""Things"', 'connected_account_id', 'cli2', 'production', 'connected_account', device => true);
SELECT t.devices(1) AS another_product;
SELECT dialstack.protect_table('t."Other ""Things"', 'connected_account_id', 'cli', 'production', 'connected_account');
SELECT t.devices(1) AS not_devices;
SELECT dialstack.protect_table('t."Other ""Things"', 'connected_account_id', 'cli', 'production', 'connected_account', device => true);
SELECT t.devices(1) AS now_devices;
-- Such a table may be emptied.
BEGIN;
TRUNCATE t."Other ""Things";
SELECT t.devices(1) AS emptied;
ROLLBACK;
-- Every function that shows a session shows it, as it is now; a list counts for all of its sessions.
SELECT device_count AS created FROM dialstack.client_session_create('devices', t.ids(2), product => 'cli', env => 'production');
SELECT device_count AS got_or_created FROM dialstack.client_session_get_or_create('devices', product => 'cli', env => 'production');
SELECT device_count AS granted FROM dialstack.client_session_grant_access(user_identifier_key => 'devices', connected_account_ids => t.ids(0), product => 'cli', env => 'production');
INSERT INTO t.locks VALUES (101, t.id(2));
SELECT device_count AS got FROM dialstack.client_session_get(user_identifier_key => 'devices', product => 'cli', env => 'production');
SELECT t.product('cli-count');
INSERT INTO t.locks SELECT 200 + n, t.id(500 + n) FROM generate_series(1, 3) n, generate_series(1, n);
SELECT dialstack.protect_table('t.locks', 'connected_account_id', 'cli-count', 'production', 'connected_account', device => true);
SELECT count(*) FROM dialstack.client_session_create('a', t.ids(501), product => 'cli-count', env => 'production') a, dialstack.client_session_create('b', t.ids(502, 503), product => 'cli-count', env => 'production') b, dialstack.client_session_create('c', product => 'cli-count', env => 'production') c;
SELECT user_identifier_key, device_count FROM dialstack.client_session_list(product => 'cli-count', env => 'production') ORDER BY 1;
-- A table that is gone, a column that is gone, counts nothing.
SET client_min_messages = warning;
ALTER TABLE t."Other ""Things" DROP COLUMN connected_account_id CASCADE;
RESET client_min_messages;
DROP TABLE t.cameras;
SELECT t.devices(1) AS what_is_left;
DROP TABLE t.locks, t."Other ""Things";

-- Token keys: a rotated one makes new tokens, and the old are shown as they were.
\c postgres
CREATE DATABASE regress_client_keys;
\c regress_client_keys
SET client_min_messages = warning;
CREATE EXTENSION dialstack_sessions;
SELECT dialstack.product_create('shop') IS NOT NULL AS made;
SELECT dialstack.env_create('shop', 'production');
CREATE FUNCTION code(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN EXECUTE statement; RETURN 'no error'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM; END $$;
SELECT token, client_session_id FROM dialstack.client_session_create('old') \gset old_
SELECT client_secret FROM dialstack.account_session_create('acct_1') \gset
SELECT kid AS old_kid FROM dialstack.signing_key_list() WHERE purpose = 'token' \gset
SELECT state FROM dialstack.signing_key_rotate('token');
SELECT token FROM dialstack.client_session_create('new') \gset new_
SELECT user_identifier_key, token = CASE user_identifier_key WHEN 'old' THEN :'old_token' ELSE :'new_token' END AS same FROM dialstack.client_session_list();
SELECT token = :'old_token' AS got FROM dialstack.client_session_get(user_identifier_key => 'old');
SELECT token = :'old_token' AS created FROM dialstack.client_session_create('old');
SELECT token = :'old_token' AS granted FROM dialstack.client_session_grant_access(user_identifier_key => 'old', connected_account_ids => '{00000000-0000-0000-0000-000000000001}');
SELECT (SELECT valid FROM dialstack.session_verify(:'old_token')) AS old, (SELECT valid FROM dialstack.session_verify(:'new_token')) AS new, (SELECT valid FROM dialstack.session_verify(:'client_secret')) AS client_secret;
-- A revoked one: what it made is dead.
SELECT state FROM dialstack.signing_key_revoke(:'old_kid');
SELECT (SELECT reason FROM dialstack.session_verify(:'old_token')) AS old, (SELECT valid FROM dialstack.session_verify(:'new_token')) AS new, (SELECT reason FROM dialstack.session_verify(:'client_secret')) AS client_secret;
-- Others go on, the dead session is not in their way, and whoever had it gets a new one.
SELECT code('SELECT * FROM dialstack.client_session_list()') AS list;
SELECT code($$SELECT * FROM dialstack.client_session_get(user_identifier_key => 'old')$$) AS get;
SELECT code($$SELECT * FROM dialstack.client_session_get_or_create('old')$$) AS get_or_create;
SELECT user_identifier_key, client_session_id <> :'old_client_session_id' AS another, (SELECT valid FROM dialstack.session_verify(token)) AS valid FROM dialstack.client_session_list();
SELECT code(format('SELECT dialstack.client_session_revoke(%L)', :'old_client_session_id')) AS revoke;
-- user_identifier_key is stored sealed: neither its row nor its activity shows it.
SELECT count(*) FROM (SELECT t::text AS row FROM dialstack.client_sessions t UNION ALL SELECT t::text FROM dialstack.activity t) r WHERE row ~ '\ynew\y' OR row LIKE '%' || encode('new', 'hex') || '%';
-- A session is found by its key after a rotation of the seal key too, and new sessions are sealed with the new one.
SELECT kid AS seal_kid, key_number AS seal_number FROM dialstack.signing_keys WHERE purpose = 'seal' \gset
SELECT client_session_id FROM dialstack.client_session_get(user_identifier_key => 'new') \gset
SELECT state FROM dialstack.signing_key_rotate('seal');
SELECT client_session_id = :'client_session_id' AS same, user_identifier_key FROM dialstack.client_session_get(user_identifier_key => 'new');
SELECT client_session_id = :'client_session_id' AS same FROM dialstack.client_session_create('new');
SELECT client_session_id = :'client_session_id' AS same, total FROM dialstack.client_session_list(user_identifier_key => 'new');
SELECT user_identifier_key FROM dialstack.client_session_create('newer');
SELECT get_byte(sealed_key, 3) = :seal_number AS by_the_old_key, count(*) FROM dialstack.client_sessions WHERE revoked_at IS NULL GROUP BY 1 ORDER BY 1;
SELECT state, living_sessions FROM dialstack.signing_key_status WHERE purpose = 'seal' ORDER BY created_at;
-- Where the seal key was revoked, the session lives on, without its key.
SELECT state FROM dialstack.signing_key_revoke(:'seal_kid');
SELECT valid, identifier FROM dialstack.session_verify(:'new_token');
SELECT user_identifier_key, token = :'new_token' AS same FROM dialstack.client_session_get(:'client_session_id');
SELECT active, identifier FROM dialstack.session_info(:'client_session_id');
SELECT code($$SELECT * FROM dialstack.client_session_get(user_identifier_key => 'new')$$) AS get;
SELECT code(format('SELECT * FROM dialstack.client_session_get(%L, %L)', :'client_session_id', 'new')) AS get_by_both;
SELECT client_session_id <> :'client_session_id' AS another FROM dialstack.client_session_create('new');
SELECT user_identifier_key, total FROM dialstack.client_session_list() ORDER BY 1;
\c postgres
DROP DATABASE regress_client_keys;
