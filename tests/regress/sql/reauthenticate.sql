-- How old the log-in is: authenticated_at, max_age and `stale`, session_reauthenticate, and the two helpers.
SELECT t.product('reauth');
SELECT token, refresh_token, session_id FROM dialstack.session_create('reauth', 'production', 'web', '{"userId": "ann"}') \gset
SELECT valid, reason, now() - created_at < '1 minute' AS created, created_at = authenticated_at AS at_creation FROM dialstack.session_verify(:'token', max_age => '5 minutes');
SELECT t.age(:'session_id', '10 minutes');
SELECT valid, reason, session_id, created_at, authenticated_at FROM dialstack.session_verify(:'token', max_age => '5 minutes');
SELECT valid, reason FROM dialstack.session_verify(:'token', max_age => '11 minutes');
SELECT t.error(format('SELECT * FROM dialstack.session_require(%L, max_age => %L)', :'token', '5 minutes'));
-- A refresh proves nothing; the password does.
SELECT token, refresh_token FROM dialstack.session_refresh(:'refresh_token') \gset
SELECT valid, reason FROM dialstack.session_verify(:'token', max_age => '5 minutes');
-- The backend remembers the answer, and forgets it.
SELECT count(*) FROM generate_series(1, 3), dialstack.session_verify(:'token') v WHERE v.valid;
SELECT session_id = :'session_id' AS same, now() - authenticated_at < '1 minute' AS just_now FROM dialstack.session_reauthenticate(:'session_id');
SELECT valid, authenticated_at - created_at > '9 minutes' AS later FROM dialstack.session_verify(:'token', max_age => '5 minutes');
SELECT operation, status, identifier FROM dialstack.session_activity_logs('reauth', 'web') WHERE operation = 'reauthenticate';
-- What is wrong otherwise is said first.
SELECT reason FROM dialstack.session_verify(:'token', scope => 'call_logs', max_age => '1 microsecond');
SELECT reason FROM dialstack.session_verify(:'token', tag => 'app', max_age => '1 microsecond');
-- Policies ask the same; without a session there is no age.
SELECT dialstack.current_session_age(), dialstack.current_authentication_age();
BEGIN;
SELECT valid FROM dialstack.session_use(:'token');
SELECT dialstack.current_session_age() BETWEEN '10 minutes' AND '11 minutes' AS session, dialstack.current_authentication_age() BETWEEN '0' AND '1 minute' AS authentication,
       dialstack.current_session_age() = dialstack.current_session_age() AS stable;
SELECT t.age(:'session_id', '3 minutes');
SELECT dialstack.current_session_age() BETWEEN '13 minutes' AND '14 minutes' AS session, dialstack.current_authentication_age() BETWEEN '3 minutes' AND '4 minutes' AS authentication;
ROLLBACK;
-- An account or client session is as old as it is.
SELECT client_secret FROM dialstack.account_session_create('acct', product => 'reauth', env => 'production') \gset
SELECT token AS client_token, client_session_id FROM dialstack.client_session_create(product => 'reauth', env => 'production') \gset
SELECT kind, valid, created_at = authenticated_at AS at_creation FROM unnest(ARRAY[:'client_secret', :'client_token']) AS token, dialstack.session_verify(token, max_age => '1 minute');
SELECT t.age(:'client_session_id', '2 minutes');
SELECT valid, reason FROM dialstack.session_verify(:'client_token', max_age => '1 minute');
-- Bad input.
SELECT t.code(format('SELECT * FROM dialstack.session_verify(%L, max_age => %L)', :'token', age)) FROM unnest('{0, -1 second, 101 years, 178000000 years}'::interval[]) age;
SELECT t.code(c) FROM unnest(ARRAY[$$SELECT * FROM dialstack.session_reauthenticate(NULL)$$, $$SELECT * FROM dialstack.session_reauthenticate('00000000-0000-0000-0000-000000000000')$$,
    format('SELECT * FROM dialstack.session_reauthenticate(%L)', :'client_session_id')]) AS c;
SELECT dialstack.session_revoke('reauth', 'production', 'web', session_id => :'session_id');
SELECT t.code(format('SELECT * FROM dialstack.session_reauthenticate(%L)', :'session_id'));
