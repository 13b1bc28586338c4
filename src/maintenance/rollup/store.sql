,
bucketed AS (
    SELECT b.grain, c.env_id, c.definition_id, c.metric, b.bucket, sum(c.count)::bigint AS count,
           sum(c.sum) AS sum
      FROM changes c
     CROSS JOIN LATERAL (VALUES
               ('total', CASE WHEN c.metric NOT LIKE 'active_users%' THEN '-infinity'::timestamptz END),
               -- So that the many ends of years to come are summed up quickly.
               ('day', CASE WHEN c.metric = 'ends'
                            THEN date_bin('1 day', c.at, '2000-01-01 00:00:00+00') END),
               ('quarter', date_bin('15 minutes', c.at, '2000-01-01 00:00:00+00')),
               -- What is over by an hour is over for every clock.
               ('second', CASE WHEN c.metric IN ('ends', 'active_until', 'seen_until')
                                AND c.at > $2 - interval '1 hour'
                               THEN date_trunc('second', c.at) END)) AS b (grain, bucket)
     WHERE b.bucket IS NOT NULL
     GROUP BY b.grain, c.env_id, c.definition_id, c.metric, b.bucket
    HAVING sum(c.count) <> 0 OR sum(c.sum) <> 0
),
-- One session at a time rolls up, so what it reads here is what it replaces.
merged AS MATERIALIZED (
    SELECT b.grain, b.env_id, b.definition_id, b.metric, b.bucket,
           coalesce(r.count, 0) + b.count AS count, coalesce(r.sum, 0) + b.sum AS sum
      FROM bucketed b
      LEFT JOIN LATERAL (
               SELECT r.count, r.sum
                 FROM dialstack.activity_rollup r
                WHERE r.grain = b.grain AND r.env_id = b.env_id
                  AND r.definition_id = b.definition_id AND r.metric = b.metric
                  AND r.bucket = b.bucket
                LIMIT 1) r ON true
),
emptied AS (
    DELETE FROM dialstack.activity_rollup r
     USING merged m
     WHERE m.count = 0 AND m.sum = 0 AND r.grain = m.grain AND r.env_id = m.env_id
       AND r.definition_id = m.definition_id AND r.metric = m.metric AND r.bucket = m.bucket
),
kept AS (
    INSERT INTO dialstack.activity_rollup (grain, env_id, definition_id, metric, bucket, count, sum)
    SELECT grain, env_id, definition_id, metric, bucket, count, sum
      FROM merged
     WHERE count <> 0 OR sum <> 0
        ON CONFLICT (grain, env_id, definition_id, metric, bucket)
        DO UPDATE SET count = excluded.count, sum = excluded.sum
)
