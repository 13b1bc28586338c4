-- session_dashboard, session_user_dashboard and maintain: figures, series, arguments. The tier dashboard
-- compares the figures with their formulas.
SELECT t.product('dash'), t.product('dash-other');
SELECT refresh_token, session_id FROM dialstack.session_create('dash', 'production', 'web', '{"userId": "ann"}') \gset
SELECT count(*) FROM dialstack.session_create('dash', 'production', 'web', '{"userId": "ben"}');
SELECT count(*) FROM dialstack.session_create('dash', 'staging', 'web', '{"userId": "ben"}');
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
SELECT ok, reason FROM dialstack.session_refresh(:'refresh_token', product => 'other');
SELECT dialstack.session_revoke('dash', 'production', 'web', session_id => :'session_id');
-- What of it depends on no clock.
CREATE FUNCTION t.figures(dashboard jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT key || ' ' || value FROM jsonb_each(dashboard)
     WHERE key NOT IN ('averageSessionDuration', 'avgSessionDuration', 'averageOperationDuration', 'peakHours',
                       'sessionsOverTime', 'operationsOverTime', 'activityTimeline')
     ORDER BY key COLLATE "C";
$$;
SELECT t.figures(dialstack.session_dashboard(product => 'dash', tag => 'web'));
SELECT jsonb_agg(s - 'period') FROM jsonb_array_elements(dialstack.session_dashboard('dash', 'web', start_at => now(), time_zone => 'UTC') -> 'sessionsOverTime') AS s;
SELECT jsonb_agg(s - 'period') FROM jsonb_array_elements(dialstack.session_dashboard('dash', 'web', start_at => now(), time_zone => 'UTC') -> 'operationsOverTime') AS s;
SELECT s - 'date' FROM jsonb_array_elements(dialstack.session_dashboard('dash', 'web', time_zone => 'UTC') -> 'activityTimeline') AS s;
SELECT sum((s -> 'count')::int), count(*) FROM jsonb_array_elements(dialstack.session_dashboard('dash', 'web') -> 'peakHours') AS s;
-- Of one environment.
SELECT t.figures(dialstack.session_dashboard('dash', 'web', env => 'staging'));
-- The same once it is rolled up, and after every further step.
SELECT dialstack.session_dashboard('dash', 'web', end_at => now() + interval '1 day') AS before \gset
SELECT d ->> 'rollup_busy' AS busy, d ->> 'more' AS more, (d ->> 'activity_rolled_up')::int >= 6 AS rolled_up FROM dialstack.maintain() d;
SELECT dialstack.session_dashboard('dash', 'web', end_at => now() + interval '1 day') = :'before' AS same;
SELECT dialstack.maintain();
SELECT dialstack.session_revoke_all('dash', 'production', 'web', 'ben');
SELECT t.figures(dialstack.session_dashboard('dash', 'web')) INTERSECT VALUES ('activeSessions 1'), ('activeUsers 1'), ('inactiveUsers 2'), ('revokedSessions 2') ORDER BY 1;
SELECT dialstack.maintain(1);
SELECT t.figures(dialstack.session_dashboard('dash', 'web')) INTERSECT VALUES ('activeSessions 1'), ('activeUsers 1'), ('inactiveUsers 2'), ('revokedSessions 2') ORDER BY 1;
-- Nothing of it is a token, and nobody's name is in the rollups that count.
SELECT count(*) FROM dialstack.activity_rollup r WHERE r::text ~ 'ann|ben';

-- Series: whole periods, no holes, the zone's own calendar. 2026-10-25 has 25 hours in Berlin, 2026-03-29 has 23.
CREATE FUNCTION t.periods(group_by text, start_at text, end_at text, time_zone text) RETURNS TABLE (first text, last text, count bigint) LANGUAGE sql AS $$
    SELECT min(s ->> 'period' COLLATE "C"), max(s ->> 'period' COLLATE "C"), count(DISTINCT s ->> 'period')
      FROM jsonb_array_elements(dialstack.session_dashboard('dash', 'web', NULL, group_by, start_at::timestamptz, end_at::timestamptz, time_zone) -> 'sessionsOverTime') AS s;
$$;
SELECT * FROM t.periods('hour', '2026-10-25 00:00+02', '2026-10-25 23:59:59.999999+01', 'Europe/Berlin');
SELECT * FROM t.periods('hour', '2026-03-29 00:00+01', '2026-03-29 23:59:59.999999+02', 'Europe/Berlin');
SELECT * FROM t.periods('day', '2026-03-01 12:00+00', '2026-04-01 12:00+00', 'Europe/Berlin');
SELECT * FROM t.periods('week', '2026-03-01 12:00+00', '2026-04-01 12:00+00', 'Europe/Berlin');
SELECT * FROM t.periods('month', '2025-12-31 23:59+00', '2026-12-31 23:59+00', 'Asia/Kathmandu');
-- A clock that moves by half an hour.
SELECT * FROM t.periods('hour', '2026-04-04 12:00+00', '2026-04-04 18:00+00', 'Australia/Lord_Howe');
-- A day that Samoa did not have, and a midnight that Cairo did not have.
SELECT s ->> 'period' AS period FROM jsonb_array_elements(dialstack.session_dashboard('dash', 'web', NULL, 'day', '2011-12-29 12:00-10', '2012-01-01 12:00+14', 'Pacific/Apia') -> 'sessionsOverTime') AS s;
SELECT s ->> 'period' AS period FROM jsonb_array_elements(dialstack.session_dashboard('dash', 'web', NULL, 'day', '2024-04-25 12:00+02', '2024-04-27 12:00+03', 'Africa/Cairo') -> 'sessionsOverTime') AS s;
SELECT * FROM t.periods('day', '2011-12-29 21:42-10', '2011-12-29 21:42-10', 'Pacific/Apia');
-- What clocks repeat of the day before belongs to the day that has begun: at 00:01 they went back to 23:01.
SELECT * FROM t.periods('day', '2010-11-07 02:40+00', '2010-11-07 02:40+00', 'America/St_Johns');
SELECT * FROM t.periods('hour', '2010-11-07 01:30+00', '2010-11-07 04:30+00', 'America/St_Johns');
-- Or by three hours.
SELECT * FROM t.periods('hour', '2020-03-07 15:38+00', '2020-03-07 19:00+00', 'Antarctica/Casey');
-- Where clocks go back to a midnight that has been, the day has 25 hours, whichever moment of it is asked for.
SELECT t.product('twice');
SELECT session_id FROM dialstack.session_create('twice', 'production', 'web', '{"userId": "ann"}') \gset
CREATE FUNCTION t.twice(at timestamptz, time_zone text) RETURNS TABLE (group_by text, period text, operations bigint, of_user text, logs text) LANGUAGE sql AS $$
    SELECT g, s ->> 'period', (s -> 'create')::bigint, u -> 'activityTimeline' -> 0 ->> 'date', u ->> 'totalLogs'
      FROM unnest(ARRAY['hour', 'day', 'week', 'month']) WITH ORDINALITY AS g (g, n),
           dialstack.session_dashboard('twice', 'web', group_by => g, start_at => at, end_at => at, time_zone => time_zone) d,
           dialstack.session_user_dashboard('twice', 'web', 'ann', group_by => g, start_at => at, end_at => at, time_zone => time_zone) u,
           jsonb_array_elements(d -> 'operationsOverTime') s
     ORDER BY n, s ->> 'period';
$$;
UPDATE dialstack.activity SET at = '2025-10-26 00:30+00', month = 10 WHERE session_id = :'session_id';
SELECT * FROM t.twice('2025-10-26 00:15+00', 'Atlantic/Azores');
SELECT * FROM t.twice('2025-10-26 01:15+00', 'Atlantic/Azores') WHERE group_by = 'hour';
SELECT DISTINCT w.* FROM unnest(ARRAY['2025-10-26 00:00+00', '2025-10-26 01:00+00', '2025-10-26 12:00+00', '2025-10-27 00:59:59.999999+00']::timestamptz[]) at, t.twice(at, 'Atlantic/Azores') w WHERE group_by <> 'hour' ORDER BY period;
SELECT * FROM t.twice('2025-10-25 23:59:59.999999+00', 'Atlantic/Azores') WHERE group_by = 'day';
SELECT * FROM t.twice('2025-10-27 01:00+00', 'Atlantic/Azores') WHERE group_by = 'day';
UPDATE dialstack.activity SET at = '2026-11-01 04:30+00', month = 11 WHERE session_id = :'session_id';
SELECT DISTINCT w.* FROM unnest(ARRAY['2026-11-01 04:00+00', '2026-11-01 05:00+00', '2026-11-02 04:59:59.999999+00']::timestamptz[]) at, t.twice(at, 'America/Havana') w WHERE group_by <> 'hour' ORDER BY period DESC, group_by;
SELECT * FROM t.periods('hour', '2026-11-01 12:00-05', '2026-11-01 12:00-05', 'America/Havana') UNION ALL SELECT * FROM t.periods('hour', '2026-11-01 00:00-04', '2026-11-01 23:59:59.999999-05', 'America/Havana');
-- Both are one moment; a time before all sessions; one after.
SELECT * FROM t.periods('day', '2026-03-01 12:00+00', '2026-03-01 12:00+00', 'UTC');
SELECT * FROM t.periods('month', '1970-01-01 00:00+00', '1970-02-01 00:00+00', 'Europe/Amsterdam');
SELECT * FROM t.periods('month', '2999-11-30 00:00+00', '2999-12-31 00:00+00', 'UTC');
-- Without a time zone it is the session's.
SET TimeZone = 'Asia/Kolkata';
SELECT first, last FROM t.periods('day', '2026-03-01 00:00+05:30', '2026-03-02 00:00+05:30', NULL);
SET TIME ZONE INTERVAL '+05:30' HOUR TO MINUTE;
SELECT first, last FROM t.periods('day', '2026-03-01 00:00+05:30', '2026-03-02 00:00+05:30', NULL);
RESET TimeZone;
-- The last 30 days, if nothing else is asked for.
SELECT jsonb_array_length(dialstack.session_dashboard('dash', 'web', time_zone => 'UTC') -> 'sessionsOverTime');

-- One user.
SELECT key || ' ' || value FROM jsonb_each(dialstack.session_user_dashboard(product => 'dash', tag => 'web', identifier => 'ann')) WHERE key IN ('totalLogs', 'successRate') ORDER BY 1;
SELECT key, jsonb_agg(s - 'date' - 'avgLatencyMs') FROM jsonb_each(dialstack.session_user_dashboard('dash', 'web', 'ann', start_at => now(), time_zone => 'UTC')), jsonb_array_elements(value) AS s WHERE key LIKE '%Timeline' GROUP BY key ORDER BY key;
SELECT sum((s -> 'count')::int), count(*) FROM jsonb_array_elements(dialstack.session_user_dashboard('dash', 'web', 'ann') -> 'peakHours') AS s;
SELECT d -> 'totalLogs' AS logs FROM unnest(ARRAY[NULL, 'production', 'staging']) AS env, LATERAL dialstack.session_user_dashboard('dash', 'web', 'ben', env) AS d;
SELECT d -> 'totalLogs' AS logs, d -> 'successRate' AS rate FROM dialstack.session_user_dashboard('dash', 'web', 'ann', start_at => '2020-01-01', end_at => '2020-02-01') AS d;
SELECT t.error($$SELECT dialstack.session_user_dashboard('dash', 'web', 'nobody')$$);
SELECT t.code($$SELECT dialstack.session_user_dashboard('dash', 'web', 'ann', 'staging')$$);

-- Wrong arguments, each with what to do.
SELECT t.error(format('SELECT dialstack.session_dashboard(%s)', arguments))
  FROM unnest(ARRAY[
    $$NULL, 'web'$$, $$'dash', NULL$$, $$'dash', 'web', group_by => NULL$$,
    $$'none', 'web'$$, $$'dash', 'none'$$, $$'dash', 'web', 'none'$$,
    $$'dash', 'web', group_by => 'year'$$, $$'dash', 'web', group_by => 'Day'$$,
    $$'dash', 'web', time_zone => 'Mars/Olympus'$$, $$'dash', 'web', time_zone => ''$$, $$'dash', 'web', time_zone => 'FOO-3:10'$$,
    $$'dash', 'web', time_zone => repeat('x', 10000)$$,
    $$'dash', 'web', start_at => '2026-02-01', end_at => '2026-01-01'$$, $$'dash', 'web', start_at => '2999-01-01'$$,
    $$'dash', 'web', start_at => 'infinity'$$, $$'dash', 'web', start_at => '-infinity'$$, $$'dash', 'web', end_at => 'infinity'$$,
    $$'dash', 'web', start_at => '4713-01-01 BC'$$, $$'dash', 'web', end_at => '294276-01-01'$$,
    $$'dash', 'web', group_by => 'hour', start_at => '1970-01-01', end_at => '2970-01-01'$$]) AS arguments;
SELECT t.code(format('SELECT dialstack.session_user_dashboard(%s)', arguments))
  FROM unnest(ARRAY[
    $$NULL, 'web', 'ann'$$, $$'dash', NULL, 'ann'$$, $$'dash', 'web', NULL$$, $$'dash', 'web', ''$$, $$'dash', 'web', repeat('x', 256)$$,
    $$'dash', 'web', 'ann', 'none'$$, $$'dash', 'web', 'ann', group_by => 'year'$$, $$'dash', 'web', 'ann', time_zone => 'Mars/Olympus'$$,
    $$'dash', 'web', 'ann', start_at => '2026-02-01', end_at => '2026-01-01'$$, $$'dash', 'web', 'ann', end_at => 'infinity'$$,
    $$'dash', 'web', 'ann', group_by => 'hour', start_at => '1970-01-01', end_at => '2970-01-01'$$]) AS arguments;
SELECT t.error(format('SELECT dialstack.maintain(%s)', batch)) FROM unnest(ARRAY['NULL', '0', '-1', '1000001']) AS batch;
-- As many periods as there may be.
SELECT count FROM t.periods('hour', '2026-01-01 00:00+00', '2027-02-21 15:00+00', 'UTC');
SELECT count FROM t.periods('month', '2200-01-01 00:00+00', '2966-01-01 00:00+00', 'UTC');

-- Reading needs no writing; maintenance does.
BEGIN READ ONLY;
SELECT dialstack.session_dashboard('dash', 'web') ->> 'totalSessions' AS sessions, dialstack.session_user_dashboard('dash', 'web', 'ann') ->> 'totalLogs' AS logs;
SELECT dialstack.maintain();
ROLLBACK;
-- An API key narrows to its environment; a publishable one shows nothing.
SELECT api_key FROM dialstack.api_key_create('dash', 'staging') \gset
SELECT api_key AS publishable FROM dialstack.api_key_create('dash', 'staging', 'publishable') \gset
BEGIN;
SET LOCAL dialstack_sessions.api_key = :'api_key';
SELECT d -> 'totalSessions' AS sessions, d -> 'environmentBreakdown' AS breakdown FROM dialstack.session_dashboard('dash', 'web') AS d;
SELECT dialstack.session_user_dashboard('dash', 'web', 'ben') -> 'totalLogs' AS logs;
SELECT t.code($$SELECT dialstack.session_dashboard('dash', 'web', 'production')$$);
SELECT t.code($$SELECT dialstack.session_user_dashboard('dash', 'web', 'ben', 'production')$$);
SELECT t.code($$SELECT dialstack.session_dashboard('dash-other', 'web')$$);
SET LOCAL dialstack_sessions.api_key = :'publishable';
SELECT t.code($$SELECT dialstack.session_dashboard('dash', 'web')$$);
ROLLBACK;
-- A deleted environment is gone from it; its number is not counted on by another of the same name.
SELECT dialstack.env_delete('dash', 'staging');
SELECT dialstack.env_create('dash', 'staging', live => false);
SELECT d -> 'totalSessions' AS sessions, d -> 'environmentBreakdown' AS breakdown FROM dialstack.session_dashboard('dash', 'web') AS d;
-- What was counted of the old one is forgotten, users first of all.
SELECT count(*) > 0 AS counted FROM dialstack.rollup_users r WHERE NOT EXISTS (SELECT FROM dialstack.environments e WHERE e.env_id = r.env_id);
SELECT d ->> 'more' AS more FROM dialstack.maintain(3) d;
SELECT (SELECT count(*) FROM dialstack.rollup_users r WHERE NOT EXISTS (SELECT FROM dialstack.environments e WHERE e.env_id = r.env_id)) AS users,
       (SELECT count(*) FROM dialstack.activity_rollup r WHERE NOT EXISTS (SELECT FROM dialstack.environments e WHERE e.env_id = r.env_id)) AS counts,
       (SELECT count(*) > 0 FROM dialstack.activity_rollup r) AS others;
-- A product without an environment has nothing to show, and no error.
SELECT count(dialstack.product_create('bare'));
SELECT tag FROM dialstack.definition_create('bare', 'web', 'Web', '', '{}', '$Session{userId}', 1, 'hours');
SELECT t.figures(dialstack.session_dashboard('bare', 'web'));
SELECT jsonb_array_length(d -> 'sessionsOverTime') AS periods, d -> 'environmentBreakdown' AS breakdown FROM dialstack.session_dashboard('bare', 'web', time_zone => 'UTC') AS d;
