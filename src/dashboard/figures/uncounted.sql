-- The dashboard of user sessions. $1: environments; $2: time zone; $3: definition; $4: now; $5: beginnings of the
-- periods, and the end of the last; $6: the same of the last seven days; $7: beginning of this week.
-- All of it is one statement, so that rollups and what is newer are seen by one snapshot.
WITH uncounted AS MATERIALIZED (
    SELECT a.at, a.env_id, a.definition_id, a.operation, a.status, a.subject, a.latency_us,
           a.session_created_at, a.expires_before, a.expires_after
      FROM dialstack.activity a
     WHERE (a.xid, a.activity_id) > ((SELECT r.xid FROM dialstack.rollup_state r),
                                     (SELECT r.activity_id FROM dialstack.rollup_state r))
       AND a.env_id = ANY ($1) AND a.definition_id = $3
),
