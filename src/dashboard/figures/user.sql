-- The dashboard of one user, from the activity that is kept; no row for one who is not known. $1: environments;
-- $2: definition; $3: identifier; $4: beginnings of the periods, and the end of the last; $5: time zone.
WITH logs AS MATERIALIZED (
    SELECT width_bucket(a.at, $4) AS number, extract(hour FROM a.at AT TIME ZONE $5)::integer AS hour,
           a.status, a.latency_us
      FROM dialstack.activity a
     WHERE a.env_id = ANY ($1) AND a.definition_id = $2 AND a.subject = $3
       AND a.at >= $4[1] AND a.at < $4[cardinality($4)]
),
series AS (
    SELECT to_char(begins AT TIME ZONE $5, 'YYYY-MM-DD"T"HH24:MI:SS')
               || CASE WHEN shift < interval '0' THEN '-' ELSE '+' END
               || to_char(greatest(shift, -shift), 'HH24:MI') AS date,
           begins, operations, successful, timed, latency
      FROM (SELECT $4[number] AS begins,
                   ($4[number] AT TIME ZONE $5) - ($4[number] AT TIME ZONE 'UTC') AS shift,
                   count(status) AS operations,
                   count(*) FILTER (WHERE status = 'success') AS successful,
                   count(latency_us) AS timed, avg(latency_us) AS latency
              FROM (SELECT number, status, latency_us FROM logs
                     UNION ALL
                    SELECT number, NULL, NULL FROM generate_series(1, cardinality($4) - 1) AS number) p
             GROUP BY number) s
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
 WHERE EXISTS (SELECT FROM dialstack.session_users
                WHERE env_id = ANY ($1) AND definition_id = $2 AND identifier = $3)
