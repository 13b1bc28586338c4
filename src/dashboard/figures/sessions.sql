,
-- Moments that the figures depend on.
bounds AS MATERIALIZED (
    SELECT date_bin('15 minutes', $4, '2000-01-01 00:00:00+00') + interval '15 minutes' AS quarter_end,
           date_trunc('day', $4 AT TIME ZONE 'UTC') AS utc_day
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
       AND r.bucket >= least($5[1], $6[1], b.utc_day AT TIME ZONE 'UTC' - interval '59 days')
    UNION ALL
    SELECT r.metric, r.bucket, r.count, r.sum
      FROM bounds b, rolled r
     WHERE r.grain = 'quarter' AND r.metric = 'ends' AND r.bucket < b.quarter_end
       AND r.bucket >= least($5[1], b.utc_day AT TIME ZONE 'UTC' - interval '59 days')
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
    SELECT width_bucket(h.at, $5) AS number, h.*, split_part(h.metric, '/', 1) AS operation,
           h.metric LIKE '%/%' AS is_operation
      FROM happened h
     WHERE h.at >= $5[1] AND h.at < $5[cardinality($5)]
),
series AS (
    SELECT to_char(begins AT TIME ZONE $2, 'YYYY-MM-DD"T"HH24:MI:SS')
               || CASE WHEN shift < interval '0' THEN '-' ELSE '+' END
               || to_char(greatest(shift, -shift), 'HH24:MI') AS period,
           begins, created, expired, revoked, creates, verifies, refreshes, extends, revokes,
           reuses, evicts
      FROM (SELECT $5[number] AS begins,
                   ($5[number] AT TIME ZONE $2) - ($5[number] AT TIME ZONE 'UTC') AS shift,
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
              FROM (SELECT number, metric, operation, count FROM in_range
                     UNION ALL
                    SELECT number, NULL, NULL, 0 FROM generate_series(1, cardinality($5) - 1) AS number) p
             GROUP BY number) s
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
      FROM (SELECT extract(hour FROM at AT TIME ZONE $2)::integer AS hour, count
              FROM in_range
             WHERE is_operation
             UNION ALL
            SELECT hour, 0 FROM generate_series(0, 23) AS hour) h
     GROUP BY hour
),
last_week AS (
    SELECT ($6[day] AT TIME ZONE $2)::date AS date, sum(sessions) AS sessions, sum(operations) AS operations
      FROM (SELECT width_bucket(at, $6) AS day,
                   CASE WHEN metric = 'create/success' THEN count ELSE 0 END AS sessions,
                   count AS operations
              FROM happened
             WHERE metric LIKE '%/%' AND at >= $6[1] AND at < $6[8]
             UNION ALL
            SELECT day, 0, 0 FROM generate_series(1, 7) AS day) d
     GROUP BY day
),
-- Users active in windows of so many UTC days that end today, and in the windows before those.
windows AS MATERIALIZED (
    SELECT w.days, w.ago, coalesce(sum(c.count), 0) AS users
      FROM bounds b
     CROSS JOIN (VALUES (1, 0), (7, 0), (30, 0), (1, 1), (7, 7), (30, 30)) AS w (days, ago)
     CROSS JOIN LATERAL (SELECT (b.utc_day - make_interval(days => w.ago)) AT TIME ZONE 'UTC' AS day) l
      LEFT JOIN LATERAL (
               SELECT r.count FROM rolled r
                WHERE r.grain = 'quarter' AND r.metric = 'active_users_' || w.days AND r.bucket <= l.day
                UNION ALL
               SELECT c.count FROM changes c
                WHERE c.metric = 'active_users_' || w.days AND c.at <= l.day) c ON true
     GROUP BY w.days, w.ago
),
growth AS (
    SELECT c.days, jsonb_build_object(
               'current', c.users, 'previous', p.users,
               'change', trim_scale(round(100.0 * (c.users - p.users) / nullif(p.users, 0), 2))) AS figures
      FROM windows c, windows p
     WHERE c.ago = 0 AND p.ago = c.days AND c.days = p.days
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
    SELECT coalesce(sum(count) FILTER (WHERE at >= $6[7]), 0) AS today,
           coalesce(sum(count), 0) AS this_week
      FROM (SELECT bucket AS at, count FROM rolled
             WHERE grain = 'quarter' AND metric = 'first_seen' AND bucket >= $7
             UNION ALL
            SELECT at, count FROM changes WHERE metric = 'first_seen' AND at >= $7) f
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
      FROM dialstack.environments e
      LEFT JOIN totals t ON t.env_id = e.env_id AND t.metric = 'create/success'
     WHERE e.env_id = ANY ($1)
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
