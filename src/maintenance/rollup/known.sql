-- The users of user sessions whom rows of activity touch, as they were counted and as they are, behind the CTE
-- `uncounted`: the CTE `known`.
,
touched AS MATERIALIZED (
    SELECT env_id, definition_id, subject,
           array_agg(DISTINCT (at AT TIME ZONE 'UTC')::date) FILTER (
               WHERE status = 'success' AND operation IN ('create', 'refresh', 'verify')) AS days
      FROM uncounted
     WHERE definition_id > 0
     GROUP BY env_id, definition_id, subject
),
-- Each look-up is a LATERAL with LIMIT or an aggregate: by index, whatever the planner thinks of the tables.
known AS MATERIALIZED (
    SELECT t.env_id, t.definition_id, t.subject, CASE WHEN o.is_known THEN 0 ELSE 1 END AS new_users,
           o.active_until AS old_active_until, o.seen_until AS old_seen_until,
           coalesce(o.active_days, '{}') AS old_days,
           CASE WHEN t.days <@ coalesce(o.active_days, '{}') THEN o.active_days
                ELSE ARRAY(SELECT DISTINCT day FROM unnest(o.active_days || t.days) AS day ORDER BY day)
           END AS days,
           u.first_seen, n.active_until,
           -- To the second, as all ends are.
           greatest(n.active_until,
                    date_trunc('second', l.last_seen + interval '999999 microseconds')
                        + interval '720 hours') AS seen_until
      FROM touched t
      LEFT JOIN LATERAL (
               SELECT true AS is_known, r.active_until, r.seen_until, r.active_days
                 FROM dialstack.rollup_users r
                WHERE r.env_id = t.env_id AND r.definition_id = t.definition_id
                  AND r.identifier = t.subject
                LIMIT 1) o ON true
     CROSS JOIN LATERAL (
               SELECT min(s.first_seen) AS first_seen, max(s.last_seen) AS last_seen
                 FROM dialstack.session_users s
                WHERE s.env_id = t.env_id AND s.definition_id = t.definition_id
                  AND s.identifier = t.subject) u
     CROSS JOIN LATERAL (
               SELECT coalesce(max(s.expires_at) FILTER (WHERE s.revoked_at IS NULL),
                               '-infinity') AS active_until,
                      max(s.last_seen_at) AS last_seen
                 FROM dialstack.sessions s
                WHERE s.env_id = t.env_id AND s.definition_id = t.definition_id
                  AND s.subject = t.subject) n
     CROSS JOIN LATERAL (
               SELECT greatest(u.last_seen, n.last_seen) AS last_seen) l
     -- A user of a deleted environment or definition may be purged already: there is nothing to count.
     WHERE u.first_seen IS NOT NULL
)
