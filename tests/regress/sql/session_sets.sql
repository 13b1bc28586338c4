-- Administration by sets: session_find, session_count, session_revoke_where share one filter. Reasons of revocations.
SELECT t.product('sets');
SELECT 1 FROM dialstack.definition_create('sets', 'app', 'App', '', '{}', '$Session{userId}', 1, 'hours');
CREATE TABLE t.sets (n int GENERATED ALWAYS AS IDENTITY, label text, session_id uuid, token text, refresh_token text);
INSERT INTO t.sets (label, session_id, token, refresh_token)
SELECT label, session_id, token, refresh_token
  FROM (VALUES ('ann old', 'production', 'web', 'ann', '10.1.2.3', 'Firefox/100'), ('ann new', 'production', 'web', 'ann', '10.9.9.9', 'Chrome/1'),
               ('ann app', 'production', 'app', 'ann', NULL, NULL), ('ann staging', 'staging', 'web', 'ann', '192.0.2.1', 'firefox'),
               ('bob', 'production', 'web', 'bob', '2001:db8::7', '100%')) AS v (label, env, tag, userid, ip, agent),
       dialstack.session_create('sets', env, tag, jsonb_build_object('userId', userid), ip::inet, agent);
INSERT INTO t.sets (label, token)
SELECT 'acct', client_secret FROM dialstack.account_session_create('acct_1', product => 'sets', env => 'production')
UNION ALL SELECT 'acct staging', client_secret FROM dialstack.account_session_create('acct_1', product => 'sets', env => 'staging')
UNION ALL SELECT 'acct other', client_secret FROM dialstack.account_session_create('acct_2', product => 'sets', env => 'production')
UNION ALL SELECT 'client', token FROM dialstack.client_session_create(user_identifier_key => 'ann', product => 'sets', env => 'production');
UPDATE t.sets SET session_id = (SELECT v.session_id FROM dialstack.session_verify(token) v) WHERE session_id IS NULL;
-- Each a minute younger than the one before; the first a year old, but refreshed meanwhile.
SELECT count(*) FROM (SELECT t.age(session_id, (10 - n) * interval '1 minute') FROM t.sets OFFSET 0) aged;
UPDATE dialstack.sessions s SET created_at = created_at - interval '1 year' FROM t.sets x WHERE x.session_id = s.session_id AND label = 'ann old';
CREATE FUNCTION t.found(filter text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    labels text; counted bigint; dry bigint;
BEGIN
    EXECUTE format('SELECT string_agg(label, '', '' ORDER BY created_at DESC) FROM dialstack.session_find(%s) f LEFT JOIN t.sets x USING (session_id)', filter) INTO labels;
    EXECUTE format('SELECT dialstack.session_count(%s), dialstack.session_revoke_where(%1$s)', filter) INTO counted, dry;
    RETURN format('%s: %s%s', counted, coalesce(labels, 'nothing'), CASE WHEN dry <> counted THEN ' and another number in session_revoke_where' END);
END
$$;
SELECT kind, product, env, tag, identifier, account, active, revoked_at, revoke_reason, ip, user_agent, api_key_id, key_number > 0 AS key
  FROM dialstack.session_find('sets');
SELECT filter, t.found(filter) FROM unnest(ARRAY[
    $$product => 'sets'$$, $$product => 'sets', env => 'staging'$$, $$product => 'sets', tag => 'app'$$, $$product => 'sets', kind => 'user'$$,
    $$product => 'sets', kind => 'account'$$, $$product => 'sets', kind => 'client'$$,
    $$product => 'sets', identifier => 'ann'$$, $$'sets', 'production', identifier => 'ann'$$, $$'sets', tag => 'web', identifier => 'ann'$$, $$'sets', 'production', 'web', identifier => 'ann'$$,
    $$product => 'sets', identifier => 'Ann'$$, $$product => 'sets', identifier => 'ann', kind => 'account'$$,
    $$product => 'sets', account => 'acct_1'$$, $$'sets', 'production', account => 'acct_1'$$, $$product => 'sets', account => 'ann'$$, $$'sets', tag => 'web', account => 'acct_1'$$,
    $$product => 'sets', ip => '10.0.0.0/8'$$, $$product => 'sets', ip => '10.1.2.3'$$, $$product => 'sets', ip => '2001:db8::/32'$$, $$product => 'sets', ip => '0.0.0.0/0'$$,
    $$product => 'sets', user_agent => '%FIREFOX%'$$, $$product => 'sets', user_agent => '100\%'$$, $$product => 'sets', user_agent => ''$$,
    $$product => 'sets', created_before => now() - interval '1 day'$$, $$product => 'sets', created_after => now() - interval '270 seconds'$$,
    $$product => 'sets', seen_before => now() - interval '530 seconds'$$, $$product => 'sets', created_before => now() - interval '1 day', seen_before => now() - interval '1 day'$$,
    $$product => 'sets', api_key_id => '00000000-0000-0000-0000-000000000000'$$, $$product => 'sets', key_number => -1$$]) AS filter;
-- By a name that several products have; and nothing at all is everything.
SELECT dialstack.session_count(env => 'staging', identifier => 'ann') >= 1 AS of_all_products, dialstack.session_count() >= 9 AS everything;
-- What an API key made is found by it, and nobody who presents one may ask.
SELECT api_key_id, api_key FROM dialstack.api_key_create('sets', 'production') \gset
SELECT set_config('dialstack_sessions.api_key', :'api_key', false) <> '' AS presented;
SELECT count(*) FROM dialstack.account_session_create('acct_3');
SELECT t.code($$SELECT * FROM dialstack.session_find('sets')$$), t.code($$SELECT dialstack.session_count('sets')$$), t.code($$SELECT dialstack.session_revoke_where('sets')$$);
RESET dialstack_sessions.api_key;
SELECT account FROM dialstack.session_find(api_key_id => :'api_key_id');
SELECT dialstack.session_revoke_where(api_key_id => :'api_key_id', dry_run => false, reason => 'leaked key');

-- Pages follow the last session of the page before, and hold each session once.
WITH RECURSIVE pages AS (
    SELECT 1 AS page, ARRAY(SELECT session_id FROM dialstack.session_find('sets', per_page => 4)) AS ids
    UNION ALL
    SELECT page + 1, ARRAY(SELECT session_id FROM dialstack.session_find('sets', per_page => 4, after => ids[cardinality(ids)])) FROM pages WHERE ids <> '{}')
SELECT page, string_agg(label, ', ' ORDER BY position) FROM pages, unnest(ids) WITH ORDINALITY AS i (session_id, position) JOIN t.sets USING (session_id) GROUP BY page ORDER BY page;

-- Revoking: by default nothing happens; then what the filter shows, and why is seen by administrators.
SELECT dialstack.session_revoke_where('sets', ip => '10.0.0.0/8') AS would_be;
SELECT dialstack.session_revoke_where('sets', ip => '10.0.0.0/8', dry_run => false, reason => 'stolen laptop') AS revoked;
SELECT dialstack.session_revoke_where('sets', ip => '10.0.0.0/8', dry_run => false) AS again;
SELECT label, t.verdict(token), revoke_reason FROM t.sets, dialstack.session_info(session_id) ORDER BY n;
SELECT ok, reason FROM t.sets, dialstack.session_refresh(sets.refresh_token) WHERE label = 'ann old';
SELECT operation, status, reason, identifier, count(*) FROM dialstack.session_activity_logs('sets') WHERE operation = 'revoke' GROUP BY 1, 2, 3, 4 ORDER BY 3, 4;
SELECT label, active, revoke_reason FROM dialstack.session_find('sets', identifier => 'ann', active_only => false) JOIN t.sets USING (session_id);
SELECT dialstack.session_revoke_where('sets', identifier => 'ann', dry_run => false), dialstack.session_revoke_where('sets', 'production', kind => 'client', dry_run => false);
SELECT label, t.verdict(token), revoke_reason FROM t.sets, dialstack.session_info(session_id) ORDER BY n;
-- Everything must be said.
BEGIN;
SELECT t.error('SELECT dialstack.session_revoke_where(dry_run => false)');
SELECT dialstack.session_count() AS living \gset
SELECT dialstack.session_revoke_where(dry_run => false, everything => true) = :living AS all_of_them, dialstack.session_count() AS living;
ROLLBACK;
-- In a READ ONLY transaction there is all but the revocation.
BEGIN READ ONLY;
SELECT dialstack.session_count('sets'), dialstack.session_revoke_where('sets'), count(*) FROM dialstack.session_find('sets');
SELECT dialstack.session_revoke_where('sets', dry_run => false);
ROLLBACK;

-- All sessions of an account, in one environment.
SELECT t.code($$SELECT dialstack.account_session_revoke('acct_1')$$);
SELECT dialstack.account_session_revoke('acct_1', product => 'sets', env => 'production', reason => 'account closed') AS revoked, dialstack.account_session_revoke('acct_1', 'sets', 'production') AS again,
       dialstack.account_session_revoke('acct_unknown', 'sets', 'production') AS unknown;
SELECT label, t.verdict(token), revoke_reason FROM t.sets, dialstack.session_info(session_id) WHERE label LIKE 'acct%' ORDER BY n;
-- ... or in that of a secret key.
CREATE ROLE regress_sets;
SELECT dialstack.grant_access('regress_sets', 'client');
GRANT USAGE ON SCHEMA t TO regress_sets;
GRANT INSERT ON t.raised TO regress_sets;
SELECT api_key AS publishable FROM dialstack.api_key_create('sets', 'production', 'publishable') \gset
SET ROLE regress_sets;
SELECT t.code($$SELECT dialstack.account_session_revoke('acct_2')$$);
SELECT set_config('dialstack_sessions.api_key', :'publishable', false) <> '' AS presented;
SELECT t.code($$SELECT dialstack.account_session_revoke('acct_2')$$);
SELECT set_config('dialstack_sessions.api_key', :'api_key', false) <> '' AS presented;
SELECT dialstack.account_session_revoke('acct_2'), t.code($$SELECT dialstack.account_session_revoke('acct_2', 'sets', 'staging')$$);
RESET dialstack_sessions.api_key;
RESET ROLE;
DROP OWNED BY regress_sets;
DROP ROLE regress_sets;

-- Every revocation takes a reason, which changes nothing for the client.
SELECT token, session_id FROM dialstack.session_create('sets', 'production', 'web', '{"userId": "cat"}') \gset
SELECT dialstack.session_revoke('sets', 'production', 'web', identifier => 'cat', reason => 'Passwort geändert');
SELECT t.verdict(:'token'), revoke_reason FROM dialstack.session_info(:'session_id');
SELECT token, session_id FROM dialstack.session_create('sets', 'production', 'web', '{"userId": "cat"}') \gset
SELECT dialstack.session_revoke_all('sets', 'production', 'web', 'cat', reason => 'left the company');
SELECT t.verdict(:'token'), revoke_reason FROM dialstack.session_info(:'session_id');
SELECT token, client_session_id FROM dialstack.client_session_create(product => 'sets', env => 'production') \gset
SELECT dialstack.client_session_revoke(:'client_session_id', 'sets', 'production', reason => 'signed out');
SELECT t.verdict(:'token'), revoke_reason FROM dialstack.session_info(:'client_session_id');

-- Bad input: coded, and nothing happens.
SELECT t.error(c) FROM unnest(ARRAY[
    $$SELECT * FROM dialstack.session_find(product => 'nope')$$, $$SELECT * FROM dialstack.session_find('sets', 'nope')$$, $$SELECT * FROM dialstack.session_find(env => 'nope')$$,
    $$SELECT * FROM dialstack.session_find('sets', tag => 'nope')$$, $$SELECT * FROM dialstack.session_find(tag => 'nope')$$, $$SELECT * FROM dialstack.session_find(kind => 'admin')$$,
    $$SELECT * FROM dialstack.session_find(ip => '10.0.0.0/33')$$, $$SELECT * FROM dialstack.session_find(ip => 'somewhere')$$, $$SELECT * FROM dialstack.session_find(user_agent => 'x\')$$,
    $$SELECT * FROM dialstack.session_find(user_agent => repeat('x', 1001))$$, $$SELECT * FROM dialstack.session_find(identifier => '')$$, $$SELECT * FROM dialstack.session_find(account => repeat('x', 256))$$,
    $$SELECT * FROM dialstack.session_find(identifier => 'ann', account => 'acct_1')$$, $$SELECT * FROM dialstack.session_find(after => '00000000-0000-0000-0000-000000000000')$$,
    $$SELECT * FROM dialstack.session_find(per_page => 0)$$, $$SELECT * FROM dialstack.session_find(per_page => 1001)$$, $$SELECT * FROM dialstack.session_find(active_only => NULL)$$]) AS c;
SELECT t.code(c) FROM unnest(ARRAY[
    $$SELECT dialstack.session_revoke_where('sets', dry_run => NULL)$$, $$SELECT dialstack.session_revoke_where('sets', everything => NULL)$$, $$SELECT dialstack.session_revoke_where('sets', reason => NULL)$$,
    $$SELECT dialstack.session_revoke_where('sets', dry_run => false, reason => 'reused')$$, $$SELECT dialstack.session_revoke_where('sets', dry_run => false, reason => 'expired')$$,
    $$SELECT dialstack.session_revoke_where('sets', dry_run => false, reason => '')$$, $$SELECT dialstack.session_revoke_where('sets', dry_run => false, reason => repeat('x', 201))$$,
    $$SELECT dialstack.session_revoke_where('nope', dry_run => false)$$, $$SELECT dialstack.session_revoke('sets', 'production', 'web', identifier => 'ann', reason => 'reused')$$,
    $$SELECT dialstack.session_revoke_all('sets', 'production', 'web', 'ann', reason => E'two\nlines')$$, $$SELECT dialstack.account_session_revoke(NULL, 'sets', 'production')$$,
    $$SELECT dialstack.account_session_revoke('', 'sets', 'production')$$, $$SELECT dialstack.account_session_revoke('acct_1', 'sets', 'production', reason => '')$$]) AS c;
SELECT t.found($$product => 'sets'$$);

-- Account sessions that were made for somebody are found by that identifier; with a tag they are not meant, with the kind alone they are.
SELECT t.product('sets.for');
SELECT 1 FROM dialstack.session_create('sets.for', 'production', 'web', '{"userId": "ann"}');
SELECT client_secret FROM dialstack.account_session_create('acct_1', product => 'sets.for', env => 'production', identifier => 'ann') \gset
SELECT 1 FROM dialstack.account_session_create('acct_1', product => 'sets.for', env => 'production', identifier => 'bob');
SELECT 1 FROM dialstack.account_session_create('acct_1', product => 'sets.for', env => 'staging');
SELECT kind, identifier, account FROM dialstack.session_find('sets.for', identifier => 'ann');
SELECT kind, identifier, account FROM dialstack.session_find('sets.for', account => 'acct_1');
SELECT dialstack.session_count('sets.for', tag => 'web', identifier => 'ann') AS of_tag, dialstack.session_count('sets.for', kind => 'account', identifier => 'ann') AS of_kind,
       dialstack.session_count('sets.for', kind => 'user', identifier => 'ann') AS users, dialstack.session_count('sets.for', 'staging', identifier => 'ann') AS elsewhere,
       dialstack.session_count(identifier => 'ann') >= 2 AS of_all_products;
SELECT dialstack.session_revoke_where('sets.for', identifier => 'ann') AS dry, dialstack.session_revoke_where('sets.for', identifier => 'ann', dry_run => false) AS revoked;
SELECT t.verdict(:'client_secret'), dialstack.session_count('sets.for') AS left_over;
