-- session_refresh: rotation, the reuse interval, theft, and what it refuses. A bad token is an answer.
SELECT t.product('ref');
CREATE FUNCTION t.refresh(refresh_token text, product text = NULL, env text = NULL, tag text = NULL) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN r.ok THEN 'ok' ELSE r.reason END FROM dialstack.session_refresh(refresh_token, product, env, tag) r;
$$;
SELECT token, refresh_token, session_id FROM dialstack.session_create('ref', 'production', 'web', '{"userId": "user_456", "cart": 3}',
    ip => '203.0.113.7', user_agent => 'Firefox') \gset first_

-- It gives new tokens for the same session.
SELECT * FROM dialstack.session_refresh(refresh_token => :'first_refresh_token') \gset second_
SELECT :'second_ok' AS ok, :'second_session_id' = :'first_session_id' AS same_session, :'second_token' <> :'first_token' AS new_token,
       :'second_refresh_token' <> :'first_refresh_token' AS new_refresh_token, :'second_refresh_token' ~ '^rt_live_' AS live,
       :'second_expires_at'::timestamptz > now() + interval '14 minutes' AS expires_at;
SELECT valid, identifier, data FROM dialstack.session_verify(:'second_token');
-- The former access token lives until it expires.
SELECT t.verdict(:'first_token');
SELECT generation, active, last_seen_at > start_at AS seen, ip, user_agent FROM dialstack.session_info(:'first_session_id');

-- Within the reuse interval the former refresh token gives the current one again, and changes nothing:
-- parallel callers all end with the same one.
SELECT r.ok, r.refresh_token = :'second_refresh_token' AS the_current_one, r.session_id = :'first_session_id' AS same_session, t.verdict(r.token) AS token
  FROM dialstack.session_refresh(:'first_refresh_token') r;
SELECT r.refresh_token = :'second_refresh_token' AS again FROM dialstack.session_refresh(:'first_refresh_token') r;
SELECT generation FROM dialstack.session_info(:'first_session_id');
-- The interval runs from the rotation, not from the repeat: 29 s later it still works, 31 s later it is theft.
UPDATE dialstack.sessions SET rotated_at = rotated_at - interval '29 seconds' WHERE session_id = :'first_session_id';
SELECT t.refresh(:'first_refresh_token') AS after_29_s;
-- So it is on the other side, where the clock was set back: nearer than the interval, and farther.
BEGIN;
UPDATE dialstack.sessions SET rotated_at = clock_timestamp() + interval '25 seconds' WHERE session_id = :'first_session_id';
SELECT t.refresh(:'first_refresh_token') AS before_it_by_25_s;
UPDATE dialstack.sessions SET rotated_at = clock_timestamp() + interval '1 hour' WHERE session_id = :'first_session_id';
SELECT t.refresh(:'first_refresh_token') AS before_it_by_1_h;
ROLLBACK;
BEGIN;
UPDATE dialstack.sessions SET rotated_at = rotated_at - interval '2 seconds' WHERE session_id = :'first_session_id';
SELECT * FROM dialstack.session_refresh(:'first_refresh_token');
-- The thief's try ends the session: for him, and for the user.
SELECT t.refresh(:'second_refresh_token') AS current, t.refresh(:'first_refresh_token') AS old, t.verdict(:'second_token') AS token;
SELECT active, revoke_reason FROM dialstack.session_info(:'first_session_id');
ROLLBACK;
-- What is two generations old is theft at once.
SELECT refresh_token FROM dialstack.session_refresh(:'second_refresh_token') \gset third_
SELECT t.refresh(:'first_refresh_token') AS two_generations_old;
SELECT t.refresh(:'third_refresh_token') AS current;
-- The session's other tokens die with it; the user's other sessions don't.
SELECT token AS other_token FROM dialstack.session_create('ref', 'production', 'web', '{"userId": "user_456"}') \gset
SELECT t.verdict(:'second_token') AS same_session, t.verdict(:'other_token') AS other_session;

-- A rollback after a refresh: the caller holds a token that is ahead of the row. It is authentic, so it goes on.
SELECT refresh_token, session_id FROM dialstack.session_create('ref', 'production', 'web', '{"userId": "rollback"}') \gset lost_
BEGIN;
SELECT refresh_token FROM dialstack.session_refresh(:'lost_refresh_token') \gset ahead_
ROLLBACK;
SELECT generation FROM dialstack.session_info(:'lost_session_id');
BEGIN;
SELECT r.ok, r.refresh_token = :'ahead_refresh_token' AS same_as_lost FROM dialstack.session_refresh(:'lost_refresh_token') r;
ROLLBACK;
SELECT t.refresh(:'ahead_refresh_token') AS ahead;
SELECT generation FROM dialstack.session_info(:'lost_session_id');
-- Now the first one is two generations old.
SELECT t.refresh(:'lost_refresh_token') AS left_behind;
-- A rollback to a savepoint undoes a theft alarm too: commit before you throw.
SELECT refresh_token FROM dialstack.session_create('ref', 'production', 'web', '{"userId": "alarm"}') \gset a_
SELECT refresh_token FROM dialstack.session_refresh(:'a_refresh_token') \gset b_
SELECT refresh_token FROM dialstack.session_refresh(:'b_refresh_token') \gset c_
BEGIN;
SAVEPOINT s;
SELECT t.refresh(:'a_refresh_token') AS alarm;
ROLLBACK TO s;
SELECT t.refresh(:'c_refresh_token') AS undone;
COMMIT;

-- reuse_interval 0: every repetition is theft.
SELECT tag FROM dialstack.definition_create('ref', 'strict', 'Strict', '', '{}', '$Session{userId}', 15, 'minutes', reuse_interval => '0');
SELECT refresh_token FROM dialstack.session_create('ref', 'production', 'strict', '{"userId": "u"}') \gset strict_
SELECT t.refresh(:'strict_refresh_token') AS once, t.refresh(:'strict_refresh_token') AS twice;

-- invalid: malformed, forged, of another kind.
SELECT token, refresh_token, session_id FROM dialstack.session_create('ref', 'staging', 'web', '{"userId": "u"}') \gset
SELECT label, t.refresh(token) FROM (VALUES (1, 'NULL', NULL), (2, 'empty', ''), (3, 'rubbish', 'rubbish'), (4, 'an access token', :'token'),
    (5, 'the prefix alone', 'rt_test_'), (6, 'with another prefix', replace(:'refresh_token', 'rt_test_', 'rt_live_')), (7, 'without prefix', substr(:'refresh_token', 9)),
    (8, 'with a blank', :'refresh_token' || ' '), (9, 'padded', :'refresh_token' || '='), (10, 'with a tag', 'web:' || :'refresh_token')) AS c (n, label, token) ORDER BY n;
-- mismatch: of another product, environment or tag; the session goes on.
SELECT t.refresh(:'refresh_token', product => 'other') AS product, t.refresh(:'refresh_token', env => 'production') AS env, t.refresh(:'refresh_token', tag => 'app') AS tag;
SELECT * FROM dialstack.session_refresh(:'refresh_token', product => 'other') \gx
SELECT t.refresh(:'refresh_token', product => 'ref', env => 'staging', tag => 'web') AS here;
-- revoked; unknown.
SELECT refresh_token AS current FROM dialstack.session_refresh(:'refresh_token') \gset
SELECT dialstack.session_revoke('ref', 'staging', 'web', session_id => :'session_id');
SELECT t.refresh(:'current') AS revoked;
DELETE FROM dialstack.sessions WHERE session_id = :'session_id';
SELECT t.refresh(:'current') AS deleted;

-- expired: refresh_expiry without a refresh; each refresh starts it anew.
SELECT refresh_token, session_id FROM dialstack.session_create('ref', 'production', 'web', '{"userId": "idle"}') \gset
SELECT t.age(:'session_id', '29 days');
SELECT refresh_token FROM dialstack.session_refresh(:'refresh_token') \gset
SELECT end_at > now() + interval '29 days 23 hours' AS slid, purge_after >= (now() + interval '29 days')::date AS kept
  FROM dialstack.session_info(:'session_id') JOIN dialstack.sessions USING (session_id);
SELECT t.age(:'session_id', '31 days');
SELECT t.refresh(:'refresh_token') AS expired;
-- An expired one that was stolen is only expired, and is not revoked.
SELECT active, revoke_reason FROM dialstack.session_info(:'session_id');

-- idle_timeout runs from the last refresh.
SELECT tag FROM dialstack.definition_create('ref', 'idle', 'Idle', '', '{}', '$Session{userId}', 15, 'minutes', idle_timeout => '1 hour', max_lifetime => '3 hours');
SELECT refresh_token, session_id FROM dialstack.session_create('ref', 'production', 'idle', '{"userId": "u"}') \gset
SELECT t.age(:'session_id', '50 minutes');
SELECT refresh_token FROM dialstack.session_refresh(:'refresh_token') \gset
SELECT end_at - now() BETWEEN interval '59 minutes' AND interval '61 minutes' AS another_hour FROM dialstack.session_info(:'session_id');
SELECT t.age(:'session_id', '50 minutes');
SELECT refresh_token FROM dialstack.session_refresh(:'refresh_token') \gset
BEGIN;
SELECT t.age(:'session_id', '61 minutes');
SELECT t.refresh(:'refresh_token') AS idle_too_long;
ROLLBACK;
-- max_lifetime is never extended, and no access token outlives it: 170 minutes have passed.
SELECT t.age(:'session_id', '50 minutes');
SELECT refresh_token FROM dialstack.session_refresh(:'refresh_token') \gset
SELECT t.age(:'session_id', '20 minutes');
SELECT refresh_token, expires_at FROM dialstack.session_refresh(:'refresh_token') \gset
SELECT end_at = :'expires_at' AS token_ends_with_it, end_at - start_at BETWEEN interval '3 hours' AND interval '3 hours 1 second' AS life
  FROM dialstack.session_info(:'session_id');
SELECT t.age(:'session_id', '11 minutes');
SELECT t.refresh(:'refresh_token') AS beyond_max_lifetime;
-- One that was lowered counts at the next refresh: that gives no tokens that are dead already, and the session is over.
SELECT refresh_token, session_id FROM dialstack.session_create('ref', 'production', 'idle', '{"userId": "lowered"}') \gset
SELECT t.age(:'session_id', '40 minutes');
SELECT refresh_token AS next FROM dialstack.session_refresh(:'refresh_token') \gset
SELECT max_lifetime FROM dialstack.definition_update('ref', 'idle', '{"max_lifetime": "30 minutes"}');
SELECT ok, reason, token, expires_at FROM dialstack.session_refresh(:'refresh_token');
SELECT ok, reason, token, expires_at FROM dialstack.session_refresh(:'next');
SELECT active, end_at <= now() AS over, revoke_reason FROM dialstack.session_info(:'session_id');
SELECT operation, status, reason FROM dialstack.activity WHERE session_id = :'session_id' ORDER BY activity_id;

-- From where: what is given replaces, what is not stays.
SELECT refresh_token, session_id FROM dialstack.session_create('ref', 'production', 'web', '{"userId": "moves"}', ip => '203.0.113.7', user_agent => 'Firefox') \gset
SELECT refresh_token FROM dialstack.session_refresh(:'refresh_token', ip => '2001:db8::1') \gset
SELECT ip, user_agent FROM dialstack.session_info(:'session_id');
-- A user agent is cut after 1,000 characters.
SELECT ok FROM dialstack.session_refresh(:'refresh_token', user_agent => repeat('é', 1500));
SELECT user_agent = repeat('é', 1000) AS cut FROM dialstack.session_info(:'session_id');
-- The refusals of dead tokens are noted ten times, whatever the number of tries.
SELECT refresh_token AS a_token, session_id AS a_session FROM dialstack.session_create('ref', 'production', 'web', '{"userId": "dead"}') \gset
SELECT refresh_token AS b_token, session_id AS b_session FROM dialstack.session_create('ref', 'production', 'web', '{"userId": "dead"}') \gset
SELECT dialstack.session_revoke_all('ref', 'production', 'web', 'dead');
SELECT r AS refused, count(*) FROM generate_series(1, 8) n, LATERAL t.refresh(:'a_token' || left('', n)) r GROUP BY r;
SELECT r AS refused, count(*) FROM generate_series(1, 50) n, LATERAL t.refresh(:'b_token' || left('', n)) r GROUP BY r;
SELECT session_id = :'a_session' AS first, count(*) FROM dialstack.activity WHERE session_id IN (:'a_session', :'b_session') AND status = 'fail' GROUP BY 1 ORDER BY 1 DESC;
-- An hour later there is room for more.
UPDATE dialstack.activity SET at = at - interval '1 hour' WHERE session_id IN (:'a_session', :'b_session');
SELECT t.refresh(:'b_token') AS refused;
SELECT count(*) FROM dialstack.activity WHERE session_id IN (:'a_session', :'b_session') AND status = 'fail';
-- The data stays, as it is now.
SELECT count(*) FROM dialstack.session_update_data(:'session_id', '{"userId": "moves", "cart": 9}');
SELECT v.data FROM dialstack.session_refresh(:'refresh_token') r, dialstack.session_verify(r.token) v;
-- A refresh touches no indexed column: it is a heap-only update.
SELECT refresh_token, session_id FROM dialstack.session_create('ref', 'production', 'web', '{"userId": "hot"}') \gset
SELECT pg_stat_get_xact_tuples_updated('dialstack.sessions'::regclass) AS updates,
       pg_stat_get_xact_tuples_hot_updated('dialstack.sessions'::regclass) AS hot \gset before_
BEGIN;
SELECT t.refresh(:'refresh_token');
SELECT pg_stat_get_xact_tuples_updated('dialstack.sessions'::regclass) - :before_updates AS updates,
       pg_stat_get_xact_tuples_hot_updated('dialstack.sessions'::regclass) - :before_hot AS heap_only;
COMMIT;
SELECT purge_after = (expires_at AT TIME ZONE 'UTC')::date AS purge_after FROM dialstack.sessions WHERE session_id = :'session_id';
-- A READ ONLY transaction cannot refresh; a repetition needs no writing.
BEGIN READ ONLY;
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
ROLLBACK;

-- Where a definition has become stricter, a refresh can bring the end nearer than an earlier token's: who
-- remembers that token is told.
SELECT token, refresh_token, session_id FROM dialstack.session_create('ref', 'production', 'web', '{"userId": "stricter"}', expires_in => '10 days') \gset
SELECT count(*) FROM dialstack.definition_update('ref', 'web', '{"idle_timeout": "1 hour"}');
SELECT count(*) FROM generate_series(1, 3), dialstack.session_verify(:'token') v WHERE v.valid;
SELECT t.refresh(:'refresh_token');
SELECT v.expires_at = s.expires_at AS told, s.expires_at < now() + interval '61 minutes' AS nearer
  FROM dialstack.session_verify(:'token') v, dialstack.sessions s WHERE s.session_id = :'session_id';
SELECT count(*) FROM dialstack.definition_update('ref', 'web', '{"idle_timeout": null}');

-- A refresh sends no invalidation: what is known of other sessions is not read again.
CREATE FUNCTION t.reads_again(token text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    before bigint := pg_stat_get_xact_numscans('dialstack.sessions_pkey'::regclass);
BEGIN
    PERFORM dialstack.session_verify(token);
    RETURN pg_stat_get_xact_numscans('dialstack.sessions_pkey'::regclass) > before;
END $$;
SELECT token FROM dialstack.session_create('ref', 'production', 'web', '{"userId": "remembered"}') \gset
SELECT refresh_token, session_id FROM dialstack.session_create('ref', 'production', 'web', '{"userId": "another"}') \gset
SELECT t.reads_again(:'token') AS first, t.reads_again(:'token') AS second, t.reads_again(:'token') AS third;
SELECT t.refresh(:'refresh_token');
SELECT t.reads_again(:'token') AS after_refresh;
SELECT dialstack.session_revoke(session_id => :'session_id');
SELECT t.reads_again(:'token') AS after_revocation, t.reads_again(:'token') AS again;

-- Both say when the session ends; a refresh also whose it is, and its data as it is now.
SELECT token, refresh_token, session_id, session_expires_at FROM dialstack.session_create('ref', 'production', 'web', '{"userId": "ends", "cart": 1}') \gset ends_
SELECT end_at = :'ends_session_expires_at' AS as_created FROM dialstack.session_info(:'ends_session_id');
SELECT count(*) FROM dialstack.session_update_data(:'ends_session_id', '{"userId": "ends", "cart": 2}');
SELECT identifier, data, session_expires_at = end_at AS as_listed, expires_at < session_expires_at AS token_first
  FROM dialstack.session_refresh(:'ends_refresh_token') r, LATERAL (SELECT end_at FROM dialstack.session_info(r.session_id)) i;
-- Repeated within the reuse interval: the same.
SELECT identifier, data, session_expires_at = end_at AS as_listed
  FROM dialstack.session_refresh(:'ends_refresh_token') r, LATERAL (SELECT end_at FROM dialstack.session_info(r.session_id)) i;
