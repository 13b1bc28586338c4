-- Rolls up the next rows of activity, at most $1, by the transaction and the number of the row. Rows of
-- running transactions wait: they and all younger ones stay for the next time. $2: now.
WITH batch AS MATERIALIZED (
    SELECT a.*, a.tableoid AS partition, a.ctid AS place
      FROM dialstack.activity a
     WHERE (a.xid, a.activity_id) > ((SELECT r.xid FROM dialstack.rollup_state r),
                                     (SELECT r.activity_id FROM dialstack.rollup_state r))
       AND a.xid < (SELECT pg_snapshot_xmin(pg_current_snapshot()))
     ORDER BY a.xid, a.activity_id
     LIMIT $1
),
uncounted AS MATERIALIZED (
    SELECT at, env_id, coalesce(definition_id, CASE kind WHEN 'account' THEN 0 ELSE -1 END) AS definition_id,
           operation, status, subject, latency_us, session_created_at, expires_before, expires_after
      FROM batch
),
