,
-- What is counted, also where nothing has happened yet.
places AS MATERIALIZED (
    SELECT p.product, e.env, k.tag, k.kind, e.env_id, k.definition_id
      FROM dialstack.environments e
      JOIN dialstack.products p USING (product_id)
     CROSS JOIN LATERAL (
               SELECT d.tag, 'user' AS kind, d.definition_id
                 FROM dialstack.session_definitions d
                WHERE d.product_id = e.product_id
                UNION ALL
               VALUES (NULL, 'account', 0), (NULL, 'client', -1)) k
     WHERE $3 IS NULL OR e.env_id = $3
),
newer AS MATERIALIZED (
    SELECT env_id, definition_id, metric, sum(count) AS count,
           sum(count) FILTER (WHERE at > $1) AS living,
           sum(count) FILTER (WHERE at > $1 - interval '1 minute') AS unexpired
      FROM of_sessions
     GROUP BY env_id, definition_id, metric
),
-- Of ends only those to come are looked up, and those of the last minute, however long the past is.
ending AS (
    SELECT p.env_id, p.definition_id, sum(e.count) FILTER (WHERE e.at > $1) AS living, sum(e.count) AS unexpired
      FROM places p
     CROSS JOIN (SELECT date_bin('15 minutes', $1, '2000-01-01 00:00:00+00') + interval '15 minutes' AS quarter_end,
                        date_bin('1 day', $1, '2000-01-01 00:00:00+00') + interval '24 hours' AS day_end) q
     CROSS JOIN LATERAL (
               SELECT r.bucket AS at, r.count
                 FROM dialstack.activity_rollup r
                WHERE r.grain = 'day' AND r.env_id = p.env_id AND r.definition_id = p.definition_id
                  AND r.metric = 'ends' AND r.bucket >= q.day_end
                UNION ALL
               SELECT r.bucket, r.count
                 FROM dialstack.activity_rollup r
                WHERE r.grain = 'quarter' AND r.env_id = p.env_id AND r.definition_id = p.definition_id
                  AND r.metric = 'ends' AND r.bucket >= q.quarter_end AND r.bucket < q.day_end
                UNION ALL
               SELECT r.bucket, r.count
                 FROM dialstack.activity_rollup r
                WHERE r.grain = 'second' AND r.env_id = p.env_id AND r.definition_id = p.definition_id
                  AND r.metric = 'ends' AND r.bucket > $1 - interval '1 minute' AND r.bucket < q.quarter_end) e
     GROUP BY p.env_id, p.definition_id
),
counted AS (
    SELECT t.env_id, t.definition_id, t.metric, t.count, NULL AS living, NULL AS unexpired
      FROM places p
      JOIN dialstack.activity_rollup t
        ON t.grain = 'total' AND t.env_id = p.env_id AND t.definition_id = p.definition_id
     UNION ALL
    SELECT env_id, definition_id, 'ends', 0, living, unexpired
      FROM ending
     UNION ALL
    SELECT env_id, definition_id, metric, count, living, unexpired
      FROM newer
),
figures AS (
    SELECT env_id, definition_id,
           sum(living) FILTER (WHERE metric = 'ends') AS living,
           sum(count) FILTER (WHERE metric = 'create/success') AS created,
           sum(count) FILTER (WHERE metric = 'refresh/success') AS refreshed,
           sum(count) FILTER (WHERE metric = 'refresh/fail') AS refresh_failed,
           sum(count) FILTER (WHERE metric = 'revoked') AS revoked,
           sum(count) FILTER (WHERE metric = 'ends') AS ends,
           sum(unexpired) FILTER (WHERE metric = 'ends') AS unexpired,
           sum(count) FILTER (WHERE metric LIKE 'reuse/%') AS reused,
           sum(count) FILTER (WHERE metric LIKE 'evict/%') AS evicted
      FROM counted
     GROUP BY env_id, definition_id
)
SELECT p.product, p.env, p.tag, p.kind,
       coalesce(f.living, 0)::bigint, coalesce(f.created, 0)::bigint, coalesce(f.refreshed, 0)::bigint,
       coalesce(f.refresh_failed, 0)::bigint, coalesce(f.revoked, 0)::bigint,
       (coalesce(f.ends, 0) - coalesce(f.unexpired, 0))::bigint,
       coalesce(f.reused, 0)::bigint, coalesce(f.evicted, 0)::bigint,
       (SELECT count(*) <= $2 FROM uncounted)
  FROM places p
  LEFT JOIN figures f ON f.env_id = p.env_id AND f.definition_id = p.definition_id
 ORDER BY p.product, p.env, p.kind DESC, p.tag
