-- Totals of sessions. $1: now; $2: most rows of activity that are counted here; $3: the environment, or null for all.
-- All of it is one statement, so that rollups and what is newer are seen by one snapshot.
WITH uncounted AS MATERIALIZED (
    SELECT a.at, a.env_id,
           coalesce(a.definition_id, CASE a.kind WHEN 'account' THEN 0 ELSE -1 END) AS definition_id,
           a.operation, a.status, a.latency_us, a.session_created_at, a.expires_before, a.expires_after
      FROM dialstack.activity a
     WHERE (a.xid, a.activity_id) > ((SELECT r.xid FROM dialstack.rollup_state r),
                                     (SELECT r.activity_id FROM dialstack.rollup_state r))
     ORDER BY a.xid, a.activity_id
     LIMIT $2 + 1
),
