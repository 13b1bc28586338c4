-- user_export and user_erase: all that is held of a person, and nothing of it any more.
SELECT t.product('persons');
SELECT 1 FROM dialstack.definition_create('persons', 'app', 'App', '', '{}', '$Session{userId}', 1, 'hours');
CREATE TABLE t.persons (n int GENERATED ALWAYS AS IDENTITY, who text, session_id uuid, token text, refresh_token text);
INSERT INTO t.persons (who, session_id, token, refresh_token)
SELECT who, session_id, token, refresh_token
  FROM (VALUES ('eve@example.com', 'production', 'web'), ('eve@example.com', 'production', 'web'), ('eve@example.com', 'staging', 'web'), ('eve@example.com', 'production', 'app'),
               ('fay', 'production', 'web'), ('gil', 'production', 'web')) AS v (who, env, tag),
       dialstack.session_create('persons', env, tag, jsonb_build_object('userId', who, 'cart', 12345678901234567890.10), '203.0.113.77', 'EveBrowser/' || who);
SELECT dialstack.session_revoke('persons', 'production', 'web', session_id => session_id) FROM t.persons WHERE n = 2;
SELECT ok FROM t.persons, dialstack.session_refresh(persons.refresh_token) WHERE n = 1;
SELECT dialstack.session_update_data(session_id, data => jsonb_build_object('userId', who)) IS NOT NULL AS updated FROM t.persons WHERE n = 4;
SELECT count(client_secret) AS created
  FROM (VALUES ('acct_1', 'eve@example.com'), ('acct_1', 'fay'), ('acct_2', NULL)) AS v (account, who),
       dialstack.account_session_create(account, product => 'persons', env => 'production', identifier => who, ip => '203.0.113.77', user_agent => 'EveBrowser/' || who);

-- Export: users, sessions with their data, activity; each list by pages.
SELECT e ->> 'identifier' AS identifier, e -> 'totalUsers' AS users, e -> 'totalSessions' AS sessions, e -> 'totalActivity' AS activity,
       jsonb_array_length(e -> 'users') AS users_here, jsonb_array_length(e -> 'sessions') AS sessions_here, jsonb_array_length(e -> 'activity') AS activity_here
  FROM dialstack.user_export('persons', 'eve@example.com') e;
SELECT u ->> 'env' AS env, u ->> 'tag' AS tag, u -> 'total_sessions' AS total FROM dialstack.user_export('persons', 'eve@example.com') e, jsonb_array_elements(e -> 'users') u ORDER BY 1, 2;
SELECT p.n, s ->> 'env' AS env, s ->> 'tag' AS tag, s ->> 'revoke_reason' AS revoked, s -> 'generation' AS generation, s ->> 'ip' AS ip, s ->> 'user_agent' AS agent, s -> 'data' AS data
  FROM dialstack.user_export('persons', 'eve@example.com') e, jsonb_array_elements(e -> 'sessions') s JOIN t.persons p ON p.session_id = (s ->> 'session_id')::uuid ORDER BY 1;
SELECT a ->> 'env' AS env, a ->> 'tag' AS tag, a ->> 'operation' AS operation, a ->> 'status' AS status, a ->> 'ip' AS ip, count(*)
  FROM dialstack.user_export('persons', 'eve@example.com', env => 'production') e, jsonb_array_elements(e -> 'activity') a GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3;
SELECT page, jsonb_array_length(e -> 'users') AS users, jsonb_array_length(e -> 'sessions') AS sessions, jsonb_array_length(e -> 'activity') AS activity, e -> 'totalActivity' AS total
  FROM generate_series(1, 4) page, dialstack.user_export('persons', 'eve@example.com', page => page, per_page => 3) e;
SELECT count(DISTINCT a) FROM generate_series(1, 3) page, dialstack.user_export('persons', 'eve@example.com', page => page, per_page => 3) e, jsonb_array_elements(e -> 'activity') a;
SELECT e -> 'totalSessions' AS of_tag FROM dialstack.user_export('persons', 'eve@example.com', tag => 'app') e;

-- What the dashboard says: totals, and figures of users. Rolled up before, and not rolled up.
CREATE FUNCTION t.figures(tag text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('totalSessions', d -> 'totalSessions', 'totalUsers', d -> 'totalUsers', 'activeUsers', d -> 'activeUsers', 'newUsersToday', d -> 'newUsersToday',
                              'dau', d #> '{dau,current}', 'wau', d #> '{wau,current}', 'mau', d #> '{mau,current}', 'listed', (SELECT count(*) FROM dialstack.session_users('persons', tag)))
      FROM dialstack.session_dashboard('persons', tag, env => 'production') d;
$$;
-- Columns of the schema that hold the person, wherever that is.
CREATE FUNCTION t.held() RETURNS TABLE (relation text, rows bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR relation IN
        SELECT relname FROM pg_class WHERE relnamespace = 'dialstack'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1
    LOOP
        EXECUTE format('SELECT count(*) FROM dialstack.%I r WHERE r::text ~ ''eve@example.com|EveBrowser/eve''', relation) INTO rows;
        IF rows > 0 THEN RETURN NEXT; END IF;
    END LOOP;
END
$$;
BEGIN;
SELECT t.figures('web') AS before;
SELECT dialstack.user_erase('persons', 'eve@example.com');
SELECT t.figures('web') AS after;
SELECT count(*) FROM t.held();
ROLLBACK;
-- Undone, it has not happened.
SELECT t.verdict(token) FROM t.persons ORDER BY n;
SELECT count(*) > 0 AS rolled_up FROM dialstack.maintain();
SELECT regexp_replace(relation, '\d\d$', 'MM') AS relation, rows FROM t.held();
SELECT t.figures('web') AS before;
SELECT t.figures('app') AS before;
-- One definition in one environment; then the rest.
SELECT dialstack.user_erase('persons', 'eve@example.com', env => 'production', tag => 'web');
SELECT t.figures('web') AS after;
SELECT n, t.verdict(token) FROM t.persons ORDER BY n;
SELECT dialstack.user_erase('persons', 'eve@example.com');
SELECT t.figures('app') AS after;
SELECT n, t.verdict(token) FROM t.persons ORDER BY n;
SELECT * FROM t.held();
SELECT t.error($$SELECT dialstack.user_erase('persons', 'eve@example.com')$$), t.code($$SELECT dialstack.user_export('persons', 'eve@example.com')$$);
-- The same after what was left is rolled up; what happened is still known, without saying to whom.
SELECT count(*) > 0 AS rolled_up FROM dialstack.maintain();
SELECT t.figures('web') AS after, t.figures('app') AS app;
SELECT * FROM t.held();
SELECT operation, reason, identifier, ip, user_agent, count(*) FROM dialstack.session_activity_logs('persons', 'web', 'production', per_page => 100) GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3;
-- Whoever comes back is a new user.
SELECT count(*) FROM dialstack.session_create('persons', 'production', 'web', '{"userId": "eve@example.com"}');
SELECT t.figures('web') AS back;
SELECT e -> 'totalSessions' AS sessions, e -> 'totalActivity' AS activity FROM dialstack.user_export('persons', 'eve@example.com') e;

-- Bad input.
SELECT t.code(c) FROM unnest(ARRAY[
    $$SELECT dialstack.user_erase('nope', 'fay')$$, $$SELECT dialstack.user_erase('persons', 'fay', env => 'nope')$$, $$SELECT dialstack.user_erase('persons', 'fay', tag => 'nope')$$,
    $$SELECT dialstack.user_erase(NULL, 'fay')$$, $$SELECT dialstack.user_erase('persons', NULL)$$, $$SELECT dialstack.user_erase('persons', '')$$, $$SELECT dialstack.user_erase('persons', repeat('x', 256))$$,
    $$SELECT dialstack.user_erase('persons', 'nobody')$$, $$SELECT dialstack.user_erase('persons', 'fay', env => 'staging')$$, $$SELECT dialstack.user_export('persons', 'nobody')$$,
    $$SELECT dialstack.user_export('persons', 'fay', page => 0)$$, $$SELECT dialstack.user_export('persons', 'fay', per_page => NULL)$$]) AS c;
SELECT api_key FROM dialstack.api_key_create('persons', 'production') \gset
SELECT set_config('dialstack_sessions.api_key', :'api_key', false) <> '' AS presented;
SELECT t.code($$SELECT dialstack.user_erase('persons', 'fay')$$), t.code($$SELECT dialstack.user_export('persons', 'fay')$$);
RESET dialstack_sessions.api_key;
SELECT t.verdict(token) FROM t.persons WHERE who = 'fay';

-- A table of the application that references a session keeps it, until it says what becomes of its own rows.
CREATE TABLE t.orders (session_id uuid REFERENCES dialstack.sessions);
INSERT INTO t.orders SELECT session_id FROM dialstack.session_create('persons', 'production', 'web', '{"userId": "ivo"}');
SELECT t.code($$SELECT dialstack.user_erase('persons', 'ivo')$$);
SELECT dialstack.session_count('persons', identifier => 'ivo') AS living;
ALTER TABLE t.orders DROP CONSTRAINT orders_session_id_fkey, ADD FOREIGN KEY (session_id) REFERENCES dialstack.sessions ON DELETE SET NULL;
SELECT dialstack.user_erase('persons', 'ivo') -> 'sessions' AS erased, (SELECT count(*) FROM t.orders) AS orders;
DROP TABLE t.orders;
