-- maintain: what is dead for long goes, and nothing else. Time is moved by changing rows.
SELECT t.product('clean');
CREATE FUNCTION t.maintain(batch integer = 1000) RETURNS jsonb LANGUAGE sql AS $$ SELECT dialstack.maintain(batch) $$;
-- Begins clean.
SELECT t.maintain() ->> 'more' AS more;
SELECT t.maintain();

-- A session as if it were so much older, with its last day.
CREATE FUNCTION t.age_whole(session_id uuid, by interval) RETURNS void LANGUAGE sql AS $$
    SELECT t.age(session_id, by);
    UPDATE dialstack.sessions s SET revoked_at = revoked_at - by, purge_after = (least(expires_at, revoked_at - by) AT TIME ZONE 'UTC')::date WHERE s.session_id = age_whole.session_id;
$$;
CREATE FUNCTION t.make(name text, by interval) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE made uuid;
BEGIN
    SELECT session_id INTO made FROM dialstack.session_create('clean', 'production', 'web', jsonb_build_object('userId', name));
    PERFORM t.age_whole(made, by);
    RETURN made;
END $$;
CREATE FUNCTION t.left_over() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(DISTINCT subject, ' ' ORDER BY subject) FROM dialstack.sessions JOIN dialstack.environments USING (env_id) JOIN dialstack.products USING (product_id) WHERE product = 'clean' $$;
-- The session lives 30 days, its row 30 more, and the day of its end.
SELECT count(t.make(name, by)) FROM (VALUES ('living', interval '29 days'), ('expired', '31 days'), ('kept', '59 days'), ('due', '61 days 1 hour'), ('long due', '300 days')) AS s (name, by);
SELECT t.left_over();
SELECT t.maintain();
SELECT t.left_over();
-- Revoked ones stay as long after their revocation.
SELECT session_id AS young FROM dialstack.session_create('clean', 'production', 'web', '{"userId": "revoked lately"}') \gset
SELECT session_id AS old FROM dialstack.session_create('clean', 'production', 'web', '{"userId": "revoked long ago"}') \gset
SELECT dialstack.session_revoke('clean', 'production', 'web', session_id => s) FROM unnest(ARRAY[:'young', :'old']::uuid[]) s;
SELECT t.age_whole(:'young', '29 days'), t.age_whole(:'old', '32 days');
SELECT t.maintain() -> 'sessions_purged' AS purged;
SELECT t.left_over();
-- The row decides, not the day: a living one whose day says otherwise stays, as does one that is not due.
UPDATE dialstack.sessions SET purge_after = '2001-01-01' WHERE subject IN ('living', 'kept', 'revoked lately');
SELECT t.maintain() -> 'sessions_purged' AS purged;
SELECT t.left_over();
UPDATE dialstack.sessions SET purge_after = (least(expires_at, revoked_at) AT TIME ZONE 'UTC')::date;
-- The retention is that of now, whatever it was when the session was made.
SELECT count(t.make('under 30 days', '61 days 1 hour'));
SET dialstack_sessions.session_retention = '90d';
SELECT t.maintain() -> 'sessions_purged' AS purged;
SET dialstack_sessions.session_retention = '32d';
SELECT t.maintain() -> 'sessions_purged' AS purged;
RESET dialstack_sessions.session_retention;
SELECT t.maintain() -> 'sessions_purged' AS purged;
SELECT t.left_over();
-- In small batches all the same.
SELECT count(t.make('many ' || n, '61 days 1 hour')) FROM generate_series(1, 25) n;
SELECT t.maintain(batch => 4) -> 'sessions_purged' AS purged;
-- Account and client sessions too.
SELECT count(*) FROM dialstack.account_session_create('acct_1', product => 'clean', env => 'production');
SELECT client_session_id FROM dialstack.client_session_create('key-1', product => 'clean', env => 'production') \gset
SELECT t.age_whole(session_id, '13 months 10 days') FROM dialstack.sessions JOIN dialstack.environments USING (env_id) JOIN dialstack.products USING (product_id) WHERE product = 'clean' AND subject = 'acct_1';
SELECT t.age(:'client_session_id', '13 months 10 days');
-- The row decides here too.
UPDATE dialstack.client_sessions SET purge_after = '2001-01-01' WHERE env_id = (SELECT env_id FROM dialstack.client_sessions WHERE session_id = :'client_session_id');
SELECT t.maintain() -> 'sessions_purged' AS purged;

-- Users stay, with when they were last seen: a refresh is known to the session alone.
SELECT refresh_token, session_id FROM dialstack.session_create('clean', 'production', 'web', '{"userId": "refreshed"}') \gset
UPDATE dialstack.session_users SET first_seen = now() - interval '90 days', last_seen = now() - interval '90 days' WHERE identifier = 'refreshed';
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
SELECT t.age_whole(:'session_id', '61 days 1 hour');
SELECT total_sessions, active_sessions, status, date_trunc('day', now() - last_seen) AS seen FROM dialstack.session_users('clean', 'web', per_page => 1000) WHERE identifier = 'refreshed';
SELECT t.maintain() -> 'sessions_purged' AS purged;
SELECT total_sessions, active_sessions, status, date_trunc('day', now() - last_seen) AS seen FROM dialstack.session_users('clean', 'web', per_page => 1000) WHERE identifier = 'refreshed';
-- Those of a deleted environment go with their last session.
SELECT session_id FROM dialstack.session_create('clean', 'staging', 'web', '{"userId": "of staging"}') \gset
SELECT dialstack.env_delete('clean', 'staging');
SELECT t.maintain() -> 'users_purged' AS purged;
SELECT t.age_whole(:'session_id', '32 days');
SELECT m -> 'sessions_purged' AS sessions, m -> 'users_purged' AS users FROM t.maintain() m;
SELECT count(*) FROM dialstack.session_users WHERE identifier = 'of staging';

-- Signing keys: retired ones stay, revoked ones for the retention.
CREATE FUNCTION t.keys() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(state, ', ' ORDER BY state) FROM dialstack.signing_keys WHERE purpose = 'jwt' $$;
DELETE FROM dialstack.signing_keys WHERE state <> 'active';
SELECT count(*) FROM dialstack.signing_key_rotate('jwt');
UPDATE dialstack.signing_keys SET retired_at = now() - interval '40 days' WHERE state = 'retired';
SELECT state FROM dialstack.signing_key_revoke((SELECT kid FROM dialstack.signing_keys WHERE purpose = 'jwt' AND state = 'active'));
SELECT t.maintain() -> 'keys_purged' AS purged;
UPDATE dialstack.signing_keys SET revoked_at = now() - interval '31 days' WHERE state = 'revoked';
SELECT t.maintain() -> 'keys_purged' AS purged;
SELECT t.keys();

-- API keys: revoked or expired for the retention; a publishable one stays while there is a client session that it made.
SELECT api_key_id AS publishable_id, api_key AS publishable FROM dialstack.api_key_create('clean', 'production', 'publishable', name => 'publishable') \gset
SET dialstack_sessions.api_key = :'publishable';
SELECT count(*) FROM dialstack.client_session_create('key-2');
RESET dialstack_sessions.api_key;
SELECT count(dialstack.api_key_revoke(api_key_id)) FROM dialstack.api_key_create('clean', 'production', name => 'revoked');
SELECT count(dialstack.api_key_revoke(api_key_id)) FROM dialstack.api_key_create('clean', 'production', name => 'revoked lately');
SELECT count(*) FROM dialstack.api_key_create('clean', 'production', name => 'expired', expires_at => now() + interval '1 day') a, dialstack.api_key_create('clean', 'production', name => 'living', expires_at => now() + interval '1 day') b, dialstack.api_key_create('clean', 'production', name => 'for ever') c;
SELECT dialstack.api_key_revoke(:'publishable_id');
UPDATE dialstack.api_keys SET revoked_at = now() - interval '31 days' WHERE name IN ('revoked', 'publishable');
UPDATE dialstack.api_keys SET expires_at = now() - interval '31 days' WHERE name = 'expired';
CREATE FUNCTION t.api_keys() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(name, ', ' ORDER BY name) FROM dialstack.api_key_list('clean', 'production') $$;
SELECT t.api_keys();
SELECT t.maintain() -> 'api_keys_purged' AS purged;
SELECT t.api_keys();
DELETE FROM dialstack.client_sessions;
SELECT t.maintain() -> 'api_keys_purged' AS purged;
SELECT t.api_keys();

-- Activity: whole months whose last day is older than the retention.
TRUNCATE dialstack.activity;
CREATE FUNCTION t.note(at timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO dialstack.activity (at, month, env_id, kind, operation, status) SELECT at, extract(month FROM at AT TIME ZONE 'UTC'), env_id, 'user', 'create', 'success' FROM dialstack.environments;
$$;
CREATE FUNCTION t.months() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(DISTINCT (extract(year FROM age(date_trunc('month', now() AT TIME ZONE 'UTC'), date_trunc('month', at AT TIME ZONE 'UTC'))) * 12 + extract(month FROM age(date_trunc('month', now() AT TIME ZONE 'UTC'), date_trunc('month', at AT TIME ZONE 'UTC'))))::text, ' ') FROM dialstack.activity $$;
-- In each environment a row in the middle of each of the last 12 months, and one of now.
SELECT count(*) FROM generate_series(1, 12) n, LATERAL t.note((date_trunc('month', now() AT TIME ZONE 'UTC') - n * interval '1 month' + interval '14 days') AT TIME ZONE 'UTC');
SELECT t.note(now());
SELECT t.months();
-- All that the partitions can hold is kept, but for this month of a year ago.
SET dialstack_sessions.activity_retention = '334d';
SELECT m -> 'activity_months' AS months, m -> 'activity_skipped' AS skipped, (m ->> 'activity_purged')::integer = (SELECT count(*) FROM dialstack.environments) AS last_year FROM t.maintain() m;
SELECT t.months();
SET dialstack_sessions.activity_retention = '100d';
SELECT jsonb_array_length(m -> 'activity_months') BETWEEN 7 AND 8 AS emptied, m -> 'activity_months' ->> 0 = to_char(date_trunc('month', now() AT TIME ZONE 'UTC') - interval '11 months', 'YYYY-MM') AS oldest_first, m -> 'activity_purged' AS purged FROM t.maintain() m;
RESET dialstack_sessions.activity_retention;
SELECT t.maintain() IS NOT NULL AS maintained;
-- What is left begins with the month of 31 days ago.
SELECT min(at) >= date_trunc('month', (now() - interval '31 days') AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS kept, t.months() = CASE WHEN date_trunc('month', (now() - interval '31 days') AT TIME ZONE 'UTC') = date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month' THEN '0 1' ELSE '0 1 2' END AS months FROM dialstack.activity;
-- Rows of years ago beside those of this month.
SELECT count(*) FROM generate_series(1, 3) n, LATERAL t.note(now() - n * interval '1 year');
SELECT (m ->> 'activity_purged')::integer = 3 * (SELECT count(*) FROM dialstack.environments) AS purged, m -> 'activity_months' AS months FROM t.maintain(batch => 1) m;
SELECT count(*) > 0 AS kept FROM dialstack.activity WHERE at > now() - interval '1 day';
-- The month goes by UTC, whatever the time zone of who calls.
SET TimeZone = 'Pacific/Kiritimati';
SELECT m -> 'activity_months' AS months, m -> 'activity_purged' AS purged FROM t.maintain() m;
RESET TimeZone;
-- All that is left stays; another run finds nothing.
SELECT t.maintain();

-- Undone, nothing is purged.
BEGIN;
SELECT count(t.make('undone', '61 days 1 hour'));
SAVEPOINT s;
SELECT t.maintain() -> 'sessions_purged' AS purged;
ROLLBACK TO s;
SELECT count(*) FROM dialstack.sessions WHERE subject = 'undone';
ROLLBACK;

-- Bad input, and where nothing can be written.
SELECT t.code(format('SELECT dialstack.maintain(%s)', batch)) FROM unnest('{0,-1,100001,2147483647}'::text[]) AS batch;
SELECT t.code('SELECT dialstack.maintain(NULL)');
BEGIN READ ONLY;
SELECT dialstack.maintain();
ROLLBACK;
SELECT regexp_replace(t.error('SELECT dialstack.schedule_maintenance()'), 'postgresql-\d+', 'postgresql-NN') AS error;
SELECT t.code(format('SELECT dialstack.schedule_maintenance(%L)', c)) FROM unnest(ARRAY[NULL, repeat('*', 201)]) c;
-- What it says of the range has units from PostgreSQL 17 on.
SELECT split_part(t.kind(format('SET dialstack_sessions.activity_retention = %L', v)), ' (', 1) AS kind FROM unnest('{335d, -1}'::text[]) v;
