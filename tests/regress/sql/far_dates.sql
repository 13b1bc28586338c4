-- Dates that somebody set by hand, infinite or at the ends of what a timestamptz holds: one bad row stops neither
-- maintenance nor what everybody looks at, and the other rows count as ever.
SELECT t.product('far');
-- Sessions that nobody touches: one lives, one is revoked, one has expired.
SELECT count(*) FROM dialstack.session_create('far', 'production', 'web', '{"userId": "far-ann"}');
SELECT count(*) FROM dialstack.session_create('far', 'production', 'web', '{"userId": "far-ben"}');
SELECT dialstack.session_revoke_all('far', 'production', 'web', 'far-ben');
SELECT session_id FROM dialstack.session_create('far', 'staging', 'web', '{"userId": "far-eve"}') \gset
UPDATE dialstack.sessions SET expires_at = date_trunc('second', clock_timestamp()) WHERE session_id = :'session_id';

-- Everything that reads them, wherever the reader lives.
CREATE FUNCTION t.look(zone text) RETURNS TABLE (dashboards bigint, of_users bigint, users bigint, details bigint, listed bigint, living bigint, informed bigint, logged boolean, viewed boolean) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    SELECT count(dialstack.session_dashboard('far', 'web', env, group_by, time_zone => zone)) INTO dashboards
      FROM unnest('{hour,day,week,month}'::text[]) AS group_by, unnest('{NULL,production,staging}'::text[]) AS env;
    SELECT count(dialstack.session_user_dashboard('far', 'web', identifier, group_by => group_by, time_zone => zone)) INTO of_users
      FROM unnest('{hour,day,week,month}'::text[]) AS group_by, dialstack.session_users('far', 'web', per_page => 100);
    SELECT count(u::text), count(dialstack.session_user_details('far', 'web', identifier)::text) INTO users, details
      FROM dialstack.session_users('far', 'web', per_page => 100) AS u;
    SELECT count(l::text), count(l.*) FILTER (WHERE l.active), count(i::text) INTO listed, living, informed
      FROM unnest('{production,staging}'::text[]) AS env, dialstack.session_list('far', env, 'web', per_page => 100, active_only => false) AS l,
           dialstack.session_info(l.session_id) AS i;
    SELECT count(l::text) > 40 INTO logged FROM dialstack.session_activity_logs('far', per_page => 100) AS l;
    SELECT count(v) > 8 INTO viewed
      FROM (SELECT s::text FROM dialstack.active_sessions s UNION ALL SELECT s::text FROM dialstack.signing_key_status s
             UNION ALL SELECT r::text FROM dialstack.refresh_reuse r UNION ALL SELECT u::text FROM dialstack.api_key_usage u) AS v;
    RETURN NEXT;
END
$$;
-- The figures beside what the tables and the list of users say: nothing where they agree. Who died, died within a minute.
CREATE FUNCTION t.differences() RETURNS TABLE (figure text, shown text, expected text) LANGUAGE sql AS $$
    WITH s AS (SELECT s.*, revoked_at IS NULL AND expires_at > clock_timestamp() AS lives
                 FROM dialstack.sessions s JOIN dialstack.session_definitions d USING (definition_id) JOIN dialstack.products p USING (product_id)
                WHERE p.product = 'far'),
         u AS (SELECT * FROM dialstack.session_users('far', 'web', per_page => 100)),
         d AS (SELECT dialstack.session_dashboard('far', 'web', time_zone => 'UTC') AS d),
         e (figure, expected) AS (
             SELECT 'totalSessions', count(*)::text FROM s
              UNION ALL SELECT 'activeSessions', count(*)::text FROM s WHERE lives
              UNION ALL SELECT 'expiredSessions', count(*)::text FROM s WHERE NOT lives AND revoked_at IS NULL
              UNION ALL SELECT 'revokedSessions', count(*)::text FROM s WHERE revoked_at IS NOT NULL
              UNION ALL SELECT 'totalUsers', count(*)::text FROM u
              UNION ALL SELECT 'activeUsers', count(*)::text FROM u WHERE status = 'active'
              UNION ALL SELECT 'inactiveUsers', count(*)::text FROM u WHERE status = 'inactive'
              UNION ALL SELECT 'expiredUsers', count(*)::text FROM u WHERE status = 'expired')
    SELECT figure, d ->> figure, expected FROM d, e WHERE d ->> figure IS DISTINCT FROM expected
     UNION ALL
    SELECT figure, d #>> figure::text[], '0 to 60' FROM d, unnest('{"{averageSessionDuration}","{avgSessionDuration,current}"}'::text[]) AS figure
     WHERE d #>> figure::text[] IS NULL OR NOT (d #>> figure::text[])::numeric BETWEEN 0 AND 60
     UNION ALL
    SELECT 'activityTimeline', d ->> 'activityTimeline', d ->> 'totalSessions' FROM d
     WHERE (SELECT sum((day ->> 'sessions')::int) FROM jsonb_array_elements(d -> 'activityTimeline') AS day) IS DISTINCT FROM (d ->> 'totalSessions')::int
$$;
SELECT * FROM t.differences();

-- A user for each column and date.
CREATE TABLE t.bad AS
SELECT row_number() OVER () AS n, changes
  FROM unnest('{infinity,-infinity,294276-12-31 23:59:59.999999+00,4714-11-24 00:00:00+00 BC,4713-01-01 00:00:00+00 BC}'::text[]) AS at,
       unnest(ARRAY['expires_at = %1$L', 'revoked_at = %1$L', 'expires_at = %1$L, revoked_at = %1$L', 'created_at = %1$L, expires_at = %1$L',
                    'created_at = %1$L, revoked_at = %1$L', 'expires_at = %1$L, last_seen_at = %1$L',
                    'created_at = %1$L, expires_at = %1$L, last_seen_at = %1$L, token_expires_at = %1$L, rotated_at = %1$L, revoked_at = %1$L']) AS form,
       format(form, at) AS changes;
SELECT count(s.*) FROM t.bad, dialstack.session_create('far', 'production', 'web', jsonb_build_object('userId', 'far-' || n)) AS s;
-- One that is counted before it is changed.
SELECT session_id FROM dialstack.session_create('far', 'production', 'web', '{"userId": "far-counted"}') \gset
SELECT count(dialstack.maintain());
DO $$
DECLARE
    bad record;
BEGIN
    FOR bad IN SELECT * FROM t.bad LOOP
        EXECUTE format('UPDATE dialstack.sessions SET %s WHERE subject = %L', bad.changes, 'far-' || bad.n);
    END LOOP;
END
$$;
UPDATE dialstack.sessions SET expires_at = '294276-12-31' WHERE session_id = :'session_id';
-- Nobody can have revoked a session in the future.
SELECT count(*) AS later FROM dialstack.activity WHERE subject LIKE 'far-%' AND at > clock_timestamp();
SELECT zone, look.* FROM unnest('{UTC,Pacific/Kiritimati,Etc/GMT+12}'::text[]) AS zone, t.look(zone) AS look;
SELECT * FROM t.differences();
SELECT count(dialstack.maintain());
SELECT zone, look.* FROM unnest('{UTC,Pacific/Kiritimati,Etc/GMT+12}'::text[]) AS zone, t.look(zone) AS look;
SELECT * FROM t.differences();
-- Every bucket can be shown.
SELECT count(r::text) > 0 AS shown FROM dialstack.activity_rollup r;
SELECT count(r::text) > 0 AS shown FROM dialstack.rollup_users r;

-- From one bad date to the next, and back to a good one: as if it had never been.
UPDATE dialstack.sessions SET expires_at = 'infinity' WHERE session_id = :'session_id';
SELECT * FROM t.differences();
UPDATE dialstack.sessions SET expires_at = '-infinity' WHERE session_id = :'session_id';
SELECT count(dialstack.maintain());
SELECT * FROM t.differences();
UPDATE dialstack.sessions SET expires_at = date_trunc('second', clock_timestamp()) + interval '1 hour' WHERE session_id = :'session_id';
SELECT * FROM t.differences();
SELECT count(dialstack.maintain());
SELECT * FROM t.differences();

-- Users, when they were seen.
UPDATE dialstack.session_users SET first_seen = '-infinity', last_seen = '294276-12-31 23:59:59.999999+00' WHERE identifier = 'far-1';
UPDATE dialstack.session_users SET first_seen = '294276-12-31 23:59:59.999999+00', last_seen = 'infinity' WHERE identifier = 'far-2';
UPDATE dialstack.session_users SET first_seen = '4714-11-24 00:00:00+00 BC', last_seen = '4714-11-24 00:00:00+00 BC' WHERE identifier = 'far-3';
UPDATE dialstack.sessions SET revoked_at = NULL WHERE subject IN ('far-1', 'far-2', 'far-3');
UPDATE dialstack.sessions SET expires_at = date_trunc('second', clock_timestamp()) + interval '1 hour' WHERE subject IN ('far-1', 'far-2', 'far-3');
SELECT count(dialstack.maintain());
SELECT look.* FROM t.look('Pacific/Kiritimati') AS look;
SELECT dialstack.session_revoke_all('far', 'production', 'web', 'far-2');
SELECT count(dialstack.maintain());
-- Activity, though that is no session: all of it counted once more, and forgotten.
BEGIN;
UPDATE dialstack.activity SET at = '294276-12-31 23:59:59.999999+00' WHERE subject = 'far-4' AND operation = 'create';
UPDATE dialstack.activity SET at = '4714-11-24 00:00:00+00 BC' WHERE subject = 'far-5' AND operation = 'create';
UPDATE dialstack.rollup_state SET xid = '0', activity_id = 0;
SELECT look.* FROM t.look('Pacific/Kiritimati') AS look;
SELECT count(dialstack.maintain());
SELECT look.* FROM t.look('Pacific/Kiritimati') AS look;
ROLLBACK;

-- The purge: what died before all times goes, what ends after all times is looked at again, and nothing else is touched.
UPDATE dialstack.sessions SET purge_after = current_date - 1 WHERE subject LIKE 'far-%';
SELECT d -> 'sessions_purged' AS purged, d -> 'more' AS more FROM dialstack.maintain() AS d;
SELECT count(*) AS left, count(*) FILTER (WHERE purge_after < current_date) AS due, max(purge_after) < current_date + 100 AS soon FROM dialstack.sessions WHERE subject LIKE 'far-%';
SELECT d -> 'sessions_purged' AS purged, d -> 'more' AS more FROM dialstack.maintain() AS d;
DROP TABLE t.bad;
DROP FUNCTION t.look, t.differences;
SELECT count(dialstack.env_delete('far', env)) FROM unnest('{production,staging}'::text[]) AS env;
SELECT count(dialstack.maintain());
