-- session_users and session_user_details: who has sessions, and which.
SELECT t.product('people');
SELECT t.product('others');
SELECT tag FROM dialstack.definition_create('people', 'app', 'App', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours');
-- 25 users one after the other, the first with three sessions; the same name in another environment, tag and product.
SELECT count(*) FROM generate_series(1, 25) n, dialstack.session_create('people', 'production', 'web', jsonb_build_object('userId', 'user-' || lpad(n::text, 2, '0'), 'cart', n), ip => '203.0.113.7', user_agent => 'n' || n);
SELECT count(*) FROM generate_series(1, 2) n, dialstack.session_create('people', 'production', 'web', '{"userId": "user-01"}', user_agent => 'again');
SELECT count(*) FROM dialstack.session_create('people', 'staging', 'web', '{"userId": "user-01"}', user_agent => 'staging') a, dialstack.session_create('people', 'production', 'app', '{"userId": "user-01"}') b, dialstack.session_create('others', 'production', 'web', '{"userId": "user-01"}') c;

-- Newest first, twenty a page, of all environments, with the total on each row.
SELECT identifier, env, total_sessions, active_sessions, status, total FROM dialstack.session_users(product => 'people', tag => 'web');
SELECT identifier, env, total FROM dialstack.session_users('people', 'web', page => 2);
SELECT count(*) FROM dialstack.session_users('people', 'web', page => 3);
-- Of one environment; without the total, which is counted.
SELECT identifier, env, total FROM dialstack.session_users('people', 'web', env => 'production', page => 5, per_page => 6);
SELECT identifier, env, total FROM dialstack.session_users('people', 'web', env => 'staging', with_total => false);
-- Each user is on one page.
SELECT count(*) AS rows, count(DISTINCT (identifier, env)) AS users FROM generate_series(1, 9) page, dialstack.session_users('people', 'web', page => page, per_page => 3);

-- active: has a living session. inactive: none, and last seen within 30 days. expired: neither.
-- last_seen is the latest creation or refresh.
CREATE FUNCTION t.user_of(identifier text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s, %s of %s, seen %s', status, active_sessions, total_sessions, date_trunc('day', now() - last_seen + interval '1 hour'))
      FROM dialstack.session_users('people', 'web', env => 'production', per_page => 1000) u WHERE u.identifier = user_of.identifier;
$$;
SELECT t.user_of('user-01'), t.user_of('user-02');
SELECT dialstack.session_revoke('people', 'production', 'web', identifier => 'user-02');
SELECT t.user_of('user-02');
-- As if all of this had been so long ago.
CREATE FUNCTION t.age_user(identifier text, by interval) RETURNS void LANGUAGE sql AS $$
    SELECT t.age(session_id, by) FROM dialstack.sessions WHERE subject = age_user.identifier;
    UPDATE dialstack.session_users u SET first_seen = first_seen - by, last_seen = last_seen - by WHERE u.identifier = age_user.identifier;
$$;
SELECT t.age_user('user-03', '29 days');
SELECT t.user_of('user-03');
SELECT dialstack.session_revoke('people', 'production', 'web', identifier => 'user-03');
SELECT t.user_of('user-03');
SELECT t.age_user('user-03', '2 days');
SELECT t.user_of('user-03');
-- A refresh is being seen, though it leaves the user's row alone.
SELECT refresh_token FROM dialstack.session_create('people', 'production', 'web', '{"userId": "back"}') \gset
SELECT t.age_user('back', '20 days');
SELECT t.user_of('back');
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
SELECT t.user_of('back');
-- A user of long ago is at the end of the list.
SELECT identifier FROM dialstack.session_users('people', 'web', per_page => 1000) WITH ORDINALITY AS u ORDER BY u.ordinality DESC LIMIT 3;

-- session_user_details: the user and the newest sessions with their data.
CREATE FUNCTION t.timeless(document jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_set(document - '{first_seen,last_seen}'::text[], '{sessions}', (SELECT jsonb_agg(s - '{session_id,start_at,end_at}'::text[]) FROM jsonb_array_elements(document -> 'sessions') s));
$$;
SELECT jsonb_pretty(t.timeless(dialstack.session_user_details(product => 'people', tag => 'web', identifier => 'user-01', env => 'production')));
SELECT d - 'sessions' - 'first_seen' - 'last_seen' AS without_sessions, d ->> 'first_seen' < d ->> 'last_seen' AS seen,
       (SELECT jsonb_agg(s ->> 'env') FROM jsonb_array_elements(d -> 'sessions') s) AS envs
  FROM dialstack.session_user_details('people', 'web', 'user-01') d;
-- Its sessions are those of the list, with the same times.
SELECT count(*), bool_and((s ->> 'start_at')::timestamptz = l.start_at AND (s ->> 'end_at')::timestamptz = l.end_at AND (s ->> 'active')::boolean = l.active) AS same
  FROM jsonb_array_elements(dialstack.session_user_details('people', 'web', 'user-01', 'production') -> 'sessions') s
  JOIN dialstack.session_list('people', 'production', 'web', identifier => 'user-01', active_only => false) l ON l.session_id = (s ->> 'session_id')::uuid;
-- Dead sessions show their data too; numbers keep their digits.
SELECT session_id FROM dialstack.session_create('people', 'production', 'app', '{"userId": "exact", "n": 12345678901234567890.10, "deep": {"a": ["}", null]}}') \gset
SELECT dialstack.session_revoke('people', 'production', 'app', session_id => :'session_id');
SELECT d -> 'latestSessionData' AS data, d -> 'status' AS status, d -> 'sessions' -> 0 -> 'active' AS active FROM dialstack.session_user_details('people', 'app', 'exact') d;
-- Identifiers of any script, and user agents that look like JSON.
SELECT count(*) FROM dialstack.session_create('people', 'production', 'app', '{"userId": "Žofie \"{}"}', user_agent => '"}]}');
SELECT d -> 'identifier' AS identifier, d -> 'sessions' -> 0 -> 'user_agent' AS user_agent FROM dialstack.session_user_details('people', 'app', 'Žofie "{}') d;
-- Of the sessions the newest 1000; all are counted.
INSERT INTO dialstack.sessions (session_id, created_at, expires_at, last_seen_at, env_id, definition_id, key_number, purge_after, subject)
SELECT gen_random_uuid(), now() - n * interval '1 s', now() + interval '1 day', now() - n * interval '1 s', env_id, definition_id, key_number, purge_after, 'busy' FROM dialstack.sessions, generate_series(1, 1200) n WHERE session_id = :'session_id';
INSERT INTO dialstack.session_users SELECT env_id, definition_id, 'busy', now(), now(), 1200 FROM dialstack.sessions WHERE session_id = :'session_id';
SELECT jsonb_array_length(d -> 'sessions') AS shown, d -> 'totalSessions' AS total, d -> 'activeSessionsCount' AS active, d -> 'latestSessionData' AS no_data FROM dialstack.session_user_details('people', 'app', 'busy') d;
-- A user whose sessions were all purged is still known.
DELETE FROM dialstack.sessions WHERE subject = 'user-04';
SELECT d - 'first_seen' - 'last_seen' AS purged FROM dialstack.session_user_details('people', 'web', 'user-04') d;

-- Both read only.
BEGIN READ ONLY;
SELECT count(*), pg_current_xact_id_if_assigned() IS NULL AS without_transaction_id FROM dialstack.session_users('people', 'web');
SELECT dialstack.session_user_details('people', 'web', 'user-05') ->> 'identifier' AS identifier;
COMMIT;
-- A deleted environment's users are nobody's.
SELECT dialstack.env_delete('people', 'staging');
SELECT count(*) FROM dialstack.session_users('people', 'web', per_page => 1000) WHERE env = 'staging';
SELECT d -> 'env' AS env FROM dialstack.session_user_details('people', 'web', 'user-01') d;

-- An API key that is presented narrows: to its environment, and a publishable one to nothing.
SELECT dialstack.env_create('people', 'staging', live => false);
SELECT count(*) FROM dialstack.session_create('people', 'staging', 'web', '{"userId": "tester"}');
SELECT api_key AS secret FROM dialstack.api_key_create('people', 'staging') \gset
SELECT api_key AS publishable FROM dialstack.api_key_create('people', 'staging', 'publishable') \gset
SET dialstack_sessions.api_key = :'secret';
SELECT identifier, env, total FROM dialstack.session_users('people', 'web');
SELECT t.code($$SELECT * FROM dialstack.session_users('people', 'web', env => 'production')$$);
SELECT t.code($$SELECT * FROM dialstack.session_users('others', 'web')$$);
SELECT t.code($$SELECT dialstack.session_user_details('people', 'web', 'user-05')$$);
SET dialstack_sessions.api_key = :'publishable';
SELECT t.code($$SELECT * FROM dialstack.session_users('people', 'web')$$);
SELECT t.code($$SELECT dialstack.session_user_details('people', 'web', 'tester')$$);
RESET dialstack_sessions.api_key;

-- Bad input.
SELECT page, per_page, t.code(format('SELECT * FROM dialstack.session_users(%L, %L, page => %s, per_page => %s)', 'people', 'web', page, per_page))
  FROM (VALUES (1001, 1000), (1002, 1000), (2147483647, 1000), (0, 10), (-2147483648, 10), (1, 0), (1, 1001)) AS p (page, per_page);
SELECT t.code(c) FROM unnest(ARRAY[
    $$SELECT * FROM dialstack.session_users(NULL, 'web')$$, $$SELECT * FROM dialstack.session_users('people', NULL)$$,
    $$SELECT * FROM dialstack.session_users('people', 'web', page => NULL)$$, $$SELECT * FROM dialstack.session_users('people', 'web', per_page => NULL)$$, $$SELECT * FROM dialstack.session_users('people', 'web', with_total => NULL)$$,
    $$SELECT * FROM dialstack.session_users('nope', 'web')$$, $$SELECT * FROM dialstack.session_users('people', 'nope')$$, $$SELECT * FROM dialstack.session_users('people', 'web', env => 'nope')$$,
    $$SELECT dialstack.session_user_details(NULL, 'web', 'u')$$, $$SELECT dialstack.session_user_details('people', NULL, 'u')$$, $$SELECT dialstack.session_user_details('people', 'web', NULL)$$,
    $$SELECT dialstack.session_user_details('people', 'web', '')$$, $$SELECT dialstack.session_user_details('people', 'web', repeat('x', 256))$$,
    $$SELECT dialstack.session_user_details('nope', 'web', 'u')$$, $$SELECT dialstack.session_user_details('people', 'nope', 'u')$$, $$SELECT dialstack.session_user_details('people', 'web', 'u', 'nope')$$,
    $$SELECT dialstack.session_user_details('people', 'web', 'user-01', 'staging')$$]) AS c;
SELECT t.error($$SELECT dialstack.session_user_details('people', 'web', 'nobody')$$);

