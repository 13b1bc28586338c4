-- session_revoke and session_revoke_all: immediate, idempotent, counted.
SELECT t.product('rev');
CREATE TABLE t.rev (n int GENERATED ALWAYS AS IDENTITY, label text, token text, refresh_token text, session_id uuid);
CREATE FUNCTION t.rev(label text, env text, userid text) RETURNS text LANGUAGE sql AS $$
    INSERT INTO t.rev (label, token, refresh_token, session_id)
    SELECT label, token, refresh_token, session_id FROM dialstack.session_create('rev', env, 'web', jsonb_build_object('userId', userid))
    RETURNING label;
$$;
SELECT count(t.rev(label, env, userid)) FROM (VALUES
    ('ann 1', 'production', 'ann'), ('ann 2', 'production', 'ann'), ('ann 3', 'production', 'ann'), ('ann in staging', 'staging', 'ann'),
    ('bob', 'production', 'bob'), ('Ann', 'production', 'Ann')) AS v (label, env, userid);
CREATE VIEW t.rev_verdicts AS SELECT label, t.verdict(token), active, revoke_reason FROM t.rev, dialstack.session_info(session_id) ORDER BY n;

-- One session, by its id.
SELECT session_id FROM t.rev WHERE label = 'ann 1' \gset
SELECT dialstack.session_revoke(product => 'rev', env => 'production', tag => 'web', session_id => :'session_id');
SELECT * FROM t.rev_verdicts;
SELECT ok, reason FROM t.rev, dialstack.session_refresh(rev.refresh_token) WHERE label = 'ann 1';
-- Again: it is revoked already, and nothing changes.
SELECT revoked_at AS then FROM dialstack.session_info(:'session_id') \gset
SELECT dialstack.session_revoke('rev', 'production', 'web', session_id => :'session_id');
SELECT revoked_at = :'then' AS unchanged, end_at = revoked_at AS ended_then FROM dialstack.session_info(:'session_id');
-- Only where it belongs.
SELECT session_id FROM t.rev WHERE label = 'ann 2' \gset
SELECT tag FROM dialstack.definition_create('rev', 'app', 'App', '', '{}', '$Session{userId}', 1, 'hours');
SELECT dialstack.session_revoke('rev', 'staging', 'web', session_id => :'session_id') AS other_env,
       dialstack.session_revoke('rev', 'production', 'app', session_id => :'session_id') AS other_tag,
       dialstack.session_revoke('rev', 'production', 'web', session_id => '00000000-0000-0000-0000-000000000000') AS unknown;
-- All of a user, by the identifier; other users, and the same in another environment, stay.
SELECT dialstack.session_revoke(product => 'rev', env => 'production', tag => 'web', identifier => 'ann');
SELECT * FROM t.rev_verdicts;
SELECT dialstack.session_revoke('rev', 'production', 'web', identifier => 'ann') AS again, dialstack.session_revoke('rev', 'production', 'web', identifier => 'nobody') AS unknown;
-- An unknown user is not remembered by asking.
SELECT count(*) FROM dialstack.session_users WHERE identifier = 'nobody';
-- Both or neither.
SELECT t.error($$SELECT dialstack.session_revoke('rev', 'production', 'web')$$);
SELECT t.error($$SELECT dialstack.session_revoke('rev', 'production', 'web', session_id => '00000000-0000-0000-0000-000000000000', identifier => 'ann')$$);

-- session_revoke_all: all but one, for a change of the password.
SELECT count(t.rev('cat ' || n, 'production', 'cat')) FROM generate_series(1, 4) n;
SELECT session_id FROM t.rev WHERE label = 'cat 2' \gset
SELECT dialstack.session_revoke_all(product => 'rev', env => 'production', tag => 'web', identifier => 'cat', except_session_id => :'session_id');
SELECT * FROM t.rev_verdicts WHERE label LIKE 'cat%';
SELECT dialstack.session_revoke_all('rev', 'production', 'web', 'cat') AS the_last;
SELECT dialstack.session_revoke_all('rev', 'production', 'web', 'cat') AS none_left;
-- Excepting what is not there excepts nothing.
SELECT count(t.rev('dog ' || n, 'production', 'dog')) FROM generate_series(1, 2) n;
SELECT dialstack.session_revoke_all('rev', 'production', 'web', 'dog', except_session_id => :'session_id');
-- A session that ended by itself is no longer there to be revoked; it stays `expired`.
SELECT t.rev('eve', 'production', 'eve');
SELECT t.age(session_id, '31 days') FROM t.rev WHERE label = 'eve';
SELECT dialstack.session_revoke_all('rev', 'production', 'web', 'eve');
SELECT dialstack.session_revoke('rev', 'production', 'web', session_id => session_id) AS by_id FROM t.rev WHERE label = 'eve';
SELECT * FROM t.rev_verdicts WHERE label = 'eve';
-- The counter of sessions ever made is not touched.
SELECT total_sessions FROM dialstack.session_users WHERE identifier = 'cat';

-- Rolled back, it has not happened; in a subtransaction neither.
BEGIN;
SELECT dialstack.session_revoke_all('rev', 'production', 'web', 'bob');
SELECT verdict FROM t.rev_verdicts WHERE label = 'bob';
ROLLBACK;
SELECT verdict FROM t.rev_verdicts WHERE label = 'bob';
-- An administrator's own UPDATE or DELETE counts, at the next statement.
UPDATE dialstack.sessions SET revoked_at = now(), revoke_reason = 'by hand' WHERE session_id = (SELECT session_id FROM t.rev WHERE label = 'bob');
SELECT verdict, revoke_reason FROM t.rev_verdicts WHERE label = 'bob';
-- A revoked row stays, for its retention from the day it died.
SELECT (purge_after - (revoked_at AT TIME ZONE 'UTC')::date) AS days FROM dialstack.sessions JOIN t.rev USING (session_id) WHERE label = 'ann 1';
SET dialstack_sessions.session_retention = '1d';
SELECT t.rev('fox', 'production', 'fox');
SELECT dialstack.session_revoke_all('rev', 'production', 'web', 'fox');
SELECT (purge_after - (revoked_at AT TIME ZONE 'UTC')::date) AS days FROM dialstack.sessions JOIN t.rev USING (session_id) WHERE label = 'fox';
RESET dialstack_sessions.session_retention;

-- Errors.
SELECT t.code(c) FROM unnest(ARRAY[
    $$SELECT dialstack.session_revoke('nope', 'production', 'web', identifier => 'ann')$$, $$SELECT dialstack.session_revoke('rev', 'nope', 'web', identifier => 'ann')$$,
    $$SELECT dialstack.session_revoke('rev', 'production', 'nope', identifier => 'ann')$$, $$SELECT dialstack.session_revoke('rev', 'production', 'web', identifier => '')$$,
    $$SELECT dialstack.session_revoke('rev', 'production', 'web', identifier => repeat('x', 256))$$,
    $$SELECT dialstack.session_revoke_all('rev', 'production', 'web', NULL)$$, $$SELECT dialstack.session_revoke_all('rev', 'production', 'web', '')$$]) AS c;
-- By hand, without a reason: revoked is revoked.
SELECT token, refresh_token, session_id FROM dialstack.session_create('rev', 'production', 'web', '{"userId": "no reason"}') \gset
UPDATE dialstack.sessions SET revoked_at = now() WHERE session_id = :'session_id';
SELECT t.verdict(:'token');
SELECT ok, reason FROM dialstack.session_refresh(:'refresh_token');
-- What invalidates the caches is for triggers alone.
SELECT t.code('SELECT dialstack.invalidate_verdicts()');
