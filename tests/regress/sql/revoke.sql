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
SELECT place, t.code(format('SELECT dialstack.session_revoke(%s, session_id => %L)', place, :'session_id')) FROM unnest(ARRAY[
    $$'rev', 'staging', 'web'$$, $$'rev', 'production', 'app'$$, $$env => 'staging'$$, $$tag => 'app'$$, $$product => 'nope'$$,
    $$'rev', 'nope'$$, $$'rev', tag => 'nope'$$, $$identifier => 'bob'$$, $$identifier => ''$$]) AS place;
SELECT t.error($$SELECT dialstack.session_revoke(session_id => '00000000-0000-0000-0000-000000000000')$$);
-- All of a user, by the identifier; other users, and the same in another environment, stay.
SELECT dialstack.session_revoke(product => 'rev', env => 'production', tag => 'web', identifier => 'ann');
SELECT * FROM t.rev_verdicts;
SELECT dialstack.session_revoke('rev', 'production', 'web', identifier => 'ann') AS again, dialstack.session_revoke('rev', 'production', 'web', identifier => 'nobody') AS unknown;
-- An unknown user is not remembered by asking.
SELECT count(*) FROM dialstack.session_users WHERE identifier = 'nobody';
-- One of the two is needed.
SELECT t.error($$SELECT dialstack.session_revoke('rev', 'production', 'web')$$);
SELECT t.code($$SELECT dialstack.session_revoke(identifier => 'ann')$$);
-- The id alone is enough; with an identifier, the session must be that user's.
SELECT count(t.rev('by id ' || n, 'production', 'gil')) FROM generate_series(1, 2) n;
SELECT session_id FROM t.rev WHERE label = 'by id 1' \gset
SELECT dialstack.session_revoke(session_id => :'session_id', identifier => 'gil') AS his,
       dialstack.session_revoke(session_id => :'session_id') AS dead_already;
SELECT dialstack.session_revoke(session_id => session_id) AS by_id, t.verdict(token) FROM t.rev WHERE label = 'by id 2';
-- Of any family, unless a tag or an identifier says that a user session is meant.
SELECT * FROM dialstack.account_session_create('acct_rev', NULL, 'rev', 'production') \gset account_
SELECT * FROM dialstack.client_session_create('key_rev', product => 'rev', env => 'production') \gset client_
SELECT session_id AS account_id FROM dialstack.session_verify(:'account_client_secret') \gset
SELECT named, t.kind(format('SELECT dialstack.session_revoke(%s, session_id => %L)', named, id))
  FROM unnest(ARRAY[$$'rev', 'production', 'web'$$, $$env => 'staging'$$, $$identifier => 'acct_rev'$$, $$identifier => 'key_rev'$$]) AS named,
       unnest(ARRAY[:'account_id', :'client_client_session_id']::uuid[]) AS id;
SELECT dialstack.session_revoke('rev', 'production', session_id => :'account_id') AS account, dialstack.session_revoke(session_id => :'client_client_session_id') AS client,
       dialstack.session_revoke(session_id => :'account_id') AS account_again, dialstack.session_revoke(session_id => :'client_client_session_id') AS client_again;
SELECT t.verdict(:'account_client_secret') AS account, t.verdict(:'client_token') AS client;
-- Without a tag in all definitions, without an environment in all of the product.
CREATE FUNCTION t.hal() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM unnest(ARRAY['production', 'staging']) AS env, unnest(ARRAY['web', 'app']) AS tag,
        LATERAL dialstack.session_create('rev', env, tag, '{"userId": "hal"}');
$$;
SELECT t.hal(), t.rev('not hal', 'production', 'not hal');
SELECT dialstack.session_revoke('rev', 'production', identifier => 'hal') AS definitions, dialstack.session_revoke('rev', tag => 'web', identifier => 'hal') AS other_environment,
       dialstack.session_revoke('rev', identifier => 'hal') AS the_last, dialstack.session_revoke('rev', identifier => 'hal') AS none_left;
SELECT t.hal(), dialstack.session_revoke('rev', identifier => 'hal') AS everywhere, verdict AS somebody_else FROM t.rev_verdicts WHERE label = 'not hal';
SELECT dialstack.session_revoke('rev', identifier => 'nobody') AS revoked;
SELECT count(*) AS remembered FROM dialstack.session_users WHERE identifier = 'nobody';
-- With an API key, in the key's environment: others are not found, or refused where they are named.
SELECT api_key AS secret FROM dialstack.api_key_create('rev', 'production') \gset
SELECT api_key AS publishable FROM dialstack.api_key_create('rev', 'production', 'publishable') \gset
SELECT t.hal();
SELECT session_id AS other_id FROM dialstack.session_create('rev', 'staging', 'web', '{"userId": "ivy"}') \gset
SELECT session_id AS own_id FROM dialstack.session_create('rev', 'production', 'web', '{"userId": "ivy"}') \gset
BEGIN;
SELECT set_config('dialstack_sessions.api_key', :'secret', true) <> '' AS presented;
SELECT t.code(format('SELECT dialstack.session_revoke(session_id => %L)', :'other_id'));
SELECT t.code(format('SELECT dialstack.session_revoke(''rev'', ''staging'', session_id => %L)', :'own_id'));
SELECT dialstack.session_revoke(identifier => 'hal') AS in_its_environment, dialstack.session_revoke(session_id => :'own_id') AS own;
SELECT DISTINCT api_key_id IS NOT NULL AS named FROM dialstack.activity WHERE operation = 'revoke' AND subject IN ('hal', 'ivy') AND at >= now();
-- An extension says so too.
SELECT count(*) FROM dialstack.session_create('rev', 'production', 'web', '{"userId": "jan"}') AS created, LATERAL dialstack.session_extend(created.session_id, '1 day');
SELECT operation, api_key_id IS NOT NULL AS named FROM dialstack.activity WHERE subject = 'jan' ORDER BY activity_id;
SELECT set_config('dialstack_sessions.api_key', :'publishable', true) <> '' AS presented;
SELECT t.code(format('SELECT dialstack.session_revoke(session_id => %L)', :'own_id'));
ROLLBACK;

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
-- A revoked row stays, for the retention from the day it died.
SELECT (purge_after - (revoked_at AT TIME ZONE 'UTC')::date) AS days FROM dialstack.sessions JOIN t.rev USING (session_id) WHERE label = 'ann 1';

-- Errors.
SELECT t.code(c) FROM unnest(ARRAY[
    $$SELECT dialstack.session_revoke('nope', 'production', 'web', identifier => 'ann')$$, $$SELECT dialstack.session_revoke('rev', 'nope', 'web', identifier => 'ann')$$,
    $$SELECT dialstack.session_revoke('rev', 'production', 'nope', identifier => 'ann')$$, $$SELECT dialstack.session_revoke('rev', 'production', 'web', identifier => '')$$,
    $$SELECT dialstack.session_revoke('rev', 'production', 'web', identifier => repeat('x', 256))$$,
    $$SELECT dialstack.session_revoke_all('rev', 'production', 'web', NULL)$$, $$SELECT dialstack.session_revoke_all('rev', 'production', 'web', '')$$]) AS c;
-- What invalidates the caches is for triggers alone.
SELECT t.code('SELECT dialstack.invalidate_verdicts()');
