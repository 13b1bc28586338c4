-- The dashboard of one user, from the activity that is kept. $1: environments; $2: definition;
-- $3: identifier; $4: hour, day, week or month; $5, $6: first and last moment asked for; $7: time zone.
WITH bounds AS MATERIALIZED (
    SELECT date_trunc($4, $5, $7) AS first_period, date_trunc($4, $6, $7) AS last_period
),
periods AS MATERIALIZED (
    SELECT DISTINCT date_trunc($4, moment, $7) AS period
      FROM bounds b
     CROSS JOIN LATERAL (
               SELECT q AS moment
                 FROM generate_series(b.first_period, b.last_period, interval '15 minutes') AS q
                WHERE $4 = 'hour'
               UNION ALL
               SELECT l AT TIME ZONE $7
                 FROM generate_series(date_trunc($4, b.first_period AT TIME ZONE $7),
                                      date_trunc($4, b.last_period AT TIME ZONE $7),
                                      ('1 ' || $4)::interval) AS l
                WHERE $4 <> 'hour') m
),
logs AS MATERIALIZED (
    SELECT l.period, extract(hour FROM l.at AT TIME ZONE $7)::integer AS hour, l.status, l.latency_us
      FROM bounds b
     CROSS JOIN LATERAL (
               SELECT date_trunc($4, a.at, $7) AS period, a.at, a.status, a.latency_us
                 FROM dialstack.activity a
                WHERE a.env_id = ANY ($1) AND a.definition_id = $2 AND a.subject = $3
                  AND a.at >= b.first_period
                  -- No period is longer.
                  AND a.at < b.last_period + interval '32 days'
               OFFSET 0) l
     WHERE l.period <= b.last_period
),
series AS (
    SELECT to_char(period AT TIME ZONE $7, 'YYYY-MM-DD"T"HH24:MI:SS')
               || CASE WHEN shift < interval '0' THEN '-' ELSE '+' END
               || to_char(greatest(shift, -shift), 'HH24:MI') AS date,
           period AS begins, operations, successful, timed, latency
      FROM (SELECT period, (period AT TIME ZONE $7) - (period AT TIME ZONE 'UTC') AS shift,
                   count(status) AS operations,
                   count(*) FILTER (WHERE status = 'success') AS successful,
                   count(latency_us) AS timed, avg(latency_us) AS latency
              FROM (SELECT period, status, latency_us FROM logs
                     UNION ALL
                    SELECT period, NULL, NULL FROM periods) p
             GROUP BY period) s
)
SELECT (SELECT jsonb_build_object(
                   'totalLogs', count(*),
                   'successRate', trim_scale(round(
                       100.0 * count(*) FILTER (WHERE status = 'success') / nullif(count(*), 0), 2)))
          FROM logs)
       || (SELECT jsonb_build_object(
                      'activityTimeline', jsonb_agg(jsonb_build_object(
                          'date', date, 'operations', operations) ORDER BY begins),
                      'latencyTimeline', jsonb_agg(jsonb_build_object(
                          'date', date, 'avgLatencyMs', trim_scale(round(latency / 1000, 3)),
                          'count', timed) ORDER BY begins),
                      'outcomeTimeline', jsonb_agg(jsonb_build_object(
                          'date', date, 'successful', successful,
                          'failed', operations - successful) ORDER BY begins))
             FROM series)
       || jsonb_build_object('peakHours', (
              SELECT jsonb_agg(jsonb_build_object('hour', hour, 'count', count) ORDER BY hour)
                FROM (SELECT h.hour, (SELECT count(*) FROM logs l WHERE l.hour = h.hour) AS count
                        FROM generate_series(0, 23) AS h (hour)) p))
