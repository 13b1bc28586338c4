,
-- Moments that the figures depend on. A period is named by its beginning in the time zone.
bounds AS MATERIALIZED (
    SELECT date_trunc($5, $6, $8) AS first_period,
           date_trunc($5, $7, $8) AS last_period,
           date_bin('15 minutes', $4, '2000-01-01 00:00:00+00') + interval '15 minutes' AS quarter_end,
           date_trunc('day', $4, $8) AS today,
           date_trunc('week', $4, $8) AS this_week,
           (date_trunc('day', $4 AT TIME ZONE $8) - interval '6 days') AT TIME ZONE $8 AS week_ago,
           date_trunc('day', $4 AT TIME ZONE 'UTC') AS utc_day
),
periods AS MATERIALIZED (
    SELECT DISTINCT date_trunc($5, moment, $8) AS period
      FROM bounds b
     CROSS JOIN LATERAL (
               -- Hours begin where the zone's clock says so: at a quarter of an hour.
               SELECT q AS moment
                 FROM generate_series(b.first_period, b.last_period, interval '15 minutes') AS q
                WHERE $5 = 'hour'
               UNION ALL
               SELECT l AT TIME ZONE $8
                 FROM generate_series(date_trunc($5, b.first_period AT TIME ZONE $8),
                                      date_trunc($5, b.last_period AT TIME ZONE $8),
                                      ('1 ' || $5)::interval) AS l
                WHERE $5 <> 'hour') m
),
rolled AS NOT MATERIALIZED (
    SELECT r.grain, r.env_id, r.metric, r.bucket, r.count, r.sum
      FROM dialstack.activity_rollup r
     WHERE r.env_id = ANY ($1) AND r.definition_id = $3
),
-- Of all time.
totals AS MATERIALIZED (
    SELECT env_id, metric, sum(count) AS count, sum(sum) AS sum
      FROM (SELECT env_id, metric, count, sum FROM rolled WHERE grain = 'total'
             UNION ALL
            SELECT env_id, metric, count, sum FROM changes) t
     GROUP BY env_id, metric
),
-- What is to come: whole quarters, and the rest of this one by seconds.
to_come AS MATERIALIZED (
    SELECT metric, sum(count) AS count, sum(sum) AS sum
      FROM (SELECT r.metric, r.count, r.sum
              FROM bounds b, rolled r
             WHERE r.grain = 'quarter' AND r.metric IN ('ends', 'active_until', 'seen_until')
               AND r.bucket >= b.quarter_end
             UNION ALL
            SELECT r.metric, r.count, r.sum
              FROM bounds b, rolled r
             WHERE r.grain = 'second' AND r.metric IN ('ends', 'active_until', 'seen_until')
               AND r.bucket > $4 AND r.bucket < b.quarter_end
             UNION ALL
            SELECT metric, count, sum
              FROM changes
             WHERE metric IN ('ends', 'active_until', 'seen_until') AND at > $4) t
     GROUP BY metric
),
-- What has happened, by quarters of an hour: of this quarter's ends only those that have passed.
happened AS MATERIALIZED (
    SELECT r.metric, r.bucket AS at, r.count, r.sum
      FROM bounds b, rolled r
     WHERE r.grain = 'quarter'
       AND r.metric IN ('create/success', 'create/fail', 'verify/success', 'verify/fail',
                        'refresh/success', 'refresh/fail', 'extend/success', 'revoke/success', 'revoke/fail',
                        'reuse/success', 'reuse/fail', 'evict/success', 'evict/fail', 'revoked')
       AND r.bucket >= least(b.first_period, b.week_ago, b.utc_day AT TIME ZONE 'UTC' - interval '59 days')
    UNION ALL
    SELECT r.metric, r.bucket, r.count, r.sum
      FROM bounds b, rolled r
     WHERE r.grain = 'quarter' AND r.metric = 'ends' AND r.bucket < b.quarter_end
       AND r.bucket >= least(b.first_period, b.utc_day AT TIME ZONE 'UTC' - interval '59 days')
    UNION ALL
    SELECT r.metric, r.bucket, -r.count, -r.sum
      FROM bounds b, rolled r
     WHERE r.grain = 'second' AND r.metric = 'ends' AND r.bucket > $4 AND r.bucket < b.quarter_end
    UNION ALL
    SELECT metric, at, count, sum
      FROM changes
     WHERE metric LIKE '%/%' OR metric = 'revoked' OR (metric = 'ends' AND at <= $4)
),
in_range AS MATERIALIZED (
    SELECT h.*, split_part(h.metric, '/', 1) AS operation, h.metric LIKE '%/%' AS is_operation
      FROM bounds b
     CROSS JOIN LATERAL (
               SELECT date_trunc($5, happened.at, $8) AS period, happened.*
                 FROM happened
                WHERE happened.at >= b.first_period
                  -- No period is longer.
                  AND happened.at < b.last_period + interval '32 days'
               OFFSET 0) h
     WHERE h.period <= b.last_period
),
series AS (
    SELECT to_char(period AT TIME ZONE $8, 'YYYY-MM-DD"T"HH24:MI:SS')
               || CASE WHEN shift < interval '0' THEN '-' ELSE '+' END
               || to_char(greatest(shift, -shift), 'HH24:MI') AS period,
           period AS begins, created, expired, revoked, creates, verifies, refreshes, extends, revokes,
           reuses, evicts
      FROM (SELECT period, (period AT TIME ZONE $8) - (period AT TIME ZONE 'UTC') AS shift,
                   coalesce(sum(count) FILTER (WHERE metric = 'create/success'), 0) AS created,
                   coalesce(sum(count) FILTER (WHERE metric = 'ends'), 0) AS expired,
                   coalesce(sum(count) FILTER (WHERE metric = 'revoked'), 0) AS revoked,
                   coalesce(sum(count) FILTER (WHERE operation = 'create'), 0) AS creates,
                   coalesce(sum(count) FILTER (WHERE operation = 'verify'), 0) AS verifies,
                   coalesce(sum(count) FILTER (WHERE operation = 'refresh'), 0) AS refreshes,
                   coalesce(sum(count) FILTER (WHERE operation = 'extend'), 0) AS extends,
                   coalesce(sum(count) FILTER (WHERE operation = 'revoke'), 0) AS revokes,
                   coalesce(sum(count) FILTER (WHERE operation = 'reuse'), 0) AS reuses,
                   coalesce(sum(count) FILTER (WHERE operation = 'evict'), 0) AS evicts
              FROM (SELECT period, metric, operation, count FROM in_range
                     UNION ALL
                    SELECT period, NULL, NULL, 0 FROM periods) p
             GROUP BY period) s
),
operations AS (
    SELECT coalesce(sum(count), 0) AS total,
           coalesce(sum(count) FILTER (WHERE metric LIKE '%/success'), 0) AS successful,
           sum(sum) AS microseconds
      FROM in_range
     WHERE is_operation
),
peak_hours AS (
    SELECT hour, sum(count) AS count
      FROM (SELECT extract(hour FROM at AT TIME ZONE $8)::integer AS hour, count
              FROM in_range
             WHERE is_operation
             UNION ALL
            SELECT hour, 0 FROM generate_series(0, 23) AS hour) h
     GROUP BY hour
),
last_week AS (
    SELECT date, sum(sessions) AS sessions, sum(operations) AS operations
      FROM (SELECT (h.at AT TIME ZONE $8)::date AS date,
                   CASE WHEN h.metric = 'create/success' THEN h.count ELSE 0 END AS sessions,
                   h.count AS operations
              FROM bounds b, happened h
             WHERE h.metric LIKE '%/%' AND h.at >= b.week_ago
               AND (h.at AT TIME ZONE $8)::date <= ($4 AT TIME ZONE $8)::date
             UNION ALL
            SELECT ($4 AT TIME ZONE $8)::date - day, 0, 0 FROM generate_series(0, 6) AS day) d
     GROUP BY date
),
-- Users active in windows of so many UTC days that end today, and in the windows before those.
windows AS MATERIALIZED (
    SELECT w.days, w.is_current, coalesce(sum(c.count), 0) AS users
      FROM bounds b
     CROSS JOIN (VALUES (1, true), (7, true), (30, true), (1, false), (7, false), (30, false))
                AS w (days, is_current)
      LEFT JOIN LATERAL (
               SELECT r.count FROM rolled r
                WHERE r.grain = 'quarter' AND r.metric = 'active_users_' || w.days
                  AND r.bucket <= (b.utc_day - make_interval(
                          days => CASE WHEN w.is_current THEN 0 ELSE w.days END)) AT TIME ZONE 'UTC'
                UNION ALL
               SELECT c.count FROM changes c
                WHERE c.metric = 'active_users_' || w.days
                  AND c.at <= (b.utc_day - make_interval(
                          days => CASE WHEN w.is_current THEN 0 ELSE w.days END)) AT TIME ZONE 'UTC'
               ) c ON true
     GROUP BY w.days, w.is_current
),
growth AS (
    SELECT c.days, jsonb_build_object(
               'current', c.users, 'previous', p.users,
               'change', trim_scale(round(100.0 * (c.users - p.users) / nullif(p.users, 0), 2))) AS figures
      FROM windows c, windows p
     WHERE c.is_current AND NOT p.is_current AND c.days = p.days
),
-- Sessions that died in the last 30 UTC days, and in the 30 before.
deaths AS (
    SELECT round(sum(h.sum) FILTER (WHERE h.at >= b.begins) /
                 nullif(sum(h.count) FILTER (WHERE h.at >= b.begins), 0), 3) AS current,
           round(sum(h.sum) FILTER (WHERE h.at < b.begins) /
                 nullif(sum(h.count) FILTER (WHERE h.at < b.begins), 0), 3) AS previous
      FROM (SELECT utc_day AT TIME ZONE 'UTC' - interval '29 days' AS begins FROM bounds) b, happened h
     WHERE h.metric IN ('ends', 'revoked') AND h.at >= b.begins - interval '30 days'
),
new_users AS (
    SELECT coalesce(sum(f.count) FILTER (WHERE f.at >= b.today), 0) AS today,
           coalesce(sum(f.count), 0) AS this_week
      FROM bounds b
      LEFT JOIN LATERAL (
               SELECT r.bucket AS at, r.count FROM rolled r
                WHERE r.grain = 'quarter' AND r.metric = 'first_seen' AND r.bucket >= b.this_week
                UNION ALL
               SELECT c.at, c.count FROM changes c
                WHERE c.metric = 'first_seen' AND c.at >= b.this_week) f ON true
     GROUP BY b.today
),
counts AS (
    SELECT coalesce(sum(count) FILTER (WHERE metric = 'first_seen'), 0) AS users,
           coalesce(sum(count) FILTER (WHERE metric = 'create/success'), 0) AS sessions,
           coalesce(sum(count) FILTER (WHERE metric = 'revoked'), 0) AS revoked,
           coalesce(sum(count) FILTER (WHERE metric = 'ends'), 0)
               - (SELECT coalesce(sum(count), 0) FROM to_come WHERE metric = 'ends') AS expired,
           coalesce(sum(sum) FILTER (WHERE metric IN ('ends', 'revoked')), 0)
               - (SELECT coalesce(sum(sum), 0) FROM to_come WHERE metric = 'ends') AS seconds,
           (SELECT coalesce(sum(count), 0) FROM to_come WHERE metric = 'ends') AS living,
           (SELECT coalesce(sum(count), 0) FROM to_come WHERE metric = 'active_until') AS active_users,
           (SELECT coalesce(sum(count), 0) FROM to_come WHERE metric = 'seen_until') AS seen_users
      FROM totals
),
breakdown AS (
    SELECT e.env, coalesce(sum(t.count), 0) AS count,
           sum(coalesce(sum(t.count), 0)) OVER () AS total
      FROM unnest($1, $2) AS e (env_id, env)
      LEFT JOIN totals t ON t.env_id = e.env_id AND t.metric = 'create/success'
     GROUP BY e.env
)
SELECT jsonb_build_object(
           'totalUsers', c.users,
           'activeUsers', c.active_users,
           'inactiveUsers', c.seen_users - c.active_users,
           'expiredUsers', c.users - c.seen_users,
           'newUsersToday', n.today,
           'newUsersThisWeek', n.this_week,
           'dau', (SELECT figures FROM growth WHERE days = 1),
           'wau', (SELECT figures FROM growth WHERE days = 7),
           'mau', (SELECT figures FROM growth WHERE days = 30),
           'totalSessions', c.sessions,
           'activeSessions', c.living,
           'expiredSessions', c.expired,
           'revokedSessions', c.revoked,
           'averageSessionsPerUser', trim_scale(round(c.sessions / nullif(c.users, 0), 2)),
           'averageSessionDuration', trim_scale(round(c.seconds / nullif(c.expired + c.revoked, 0), 3)),
           'avgSessionDuration', jsonb_build_object(
               'current', trim_scale(d.current), 'previous', trim_scale(d.previous),
               'change', trim_scale(round(100 * (d.current - d.previous) / nullif(d.previous, 0), 2))),
           'averageOperationDuration', trim_scale(round(o.microseconds / nullif(o.total, 0) / 1000, 3)),
           'successRate', trim_scale(round(100 * o.successful / nullif(o.total, 0), 2)),
           'errorRate', trim_scale(round(100 * (o.total - o.successful) / nullif(o.total, 0), 2)))
       || (SELECT jsonb_build_object(
                      'sessionsOverTime', jsonb_agg(jsonb_build_object(
                          'period', s.period, 'created', s.created, 'expired', s.expired,
                          'revoked', s.revoked) ORDER BY s.begins),
                      'operationsOverTime', jsonb_agg(jsonb_build_object(
                          'period', s.period, 'create', s.creates, 'verify', s.verifies,
                          'refresh', s.refreshes, 'extend', s.extends, 'revoke', s.revokes,
                          'reuse', s.reuses, 'evict', s.evicts) ORDER BY s.begins))
             FROM series s)
       || jsonb_build_object(
           'activityTimeline', (
               SELECT jsonb_agg(jsonb_build_object('date', date, 'sessions', sessions,
                                                   'operations', operations) ORDER BY date)
                 FROM last_week),
           'peakHours', (
               SELECT jsonb_agg(jsonb_build_object('hour', hour, 'count', count) ORDER BY hour)
                 FROM peak_hours),
           'environmentBreakdown', (
               SELECT coalesce(jsonb_agg(jsonb_build_object(
                          'env', env, 'count', count,
                          'percentage', trim_scale(round(100 * count / nullif(total, 0), 2)))
                          ORDER BY env), '[]')
                 FROM breakdown))
  FROM counts c, new_users n, deaths d, operations o
