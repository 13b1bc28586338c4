-- The same of users of user sessions, by the end of the CTE `of_sessions`; ends with the CTE `changes`, which has both.
--
--   first_seen        users, by first_seen
--   active_until      users who have an unrevoked session, by the latest end of those
--   seen_until        users, by when they are expired
--   active_users_N    all up to a UTC day: users active on that day or the N - 1 days before it
,
touched AS MATERIALIZED (
    SELECT env_id, definition_id, subject,
           array_agg(DISTINCT (at AT TIME ZONE 'UTC')::date) FILTER (
               WHERE status = 'success' AND operation IN ('create', 'refresh', 'verify')) AS days
      FROM uncounted
     WHERE definition_id > 0
     GROUP BY env_id, definition_id, subject
),
-- The users touched, as they were counted and as they are. Each look-up is a LATERAL with LIMIT or an
-- aggregate: by index, whatever the planner thinks of the tables.
known AS MATERIALIZED (
    SELECT t.env_id, t.definition_id, t.subject, o.is_known IS NULL AS is_new,
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
),
changes AS MATERIALIZED (
    SELECT env_id, definition_id, metric, at, count, sum
      FROM of_sessions
    UNION ALL
    SELECT env_id, definition_id, 'first_seen', first_seen, 1, 0
      FROM known
     WHERE is_new
    UNION ALL
    SELECT k.env_id, k.definition_id, u.metric, u.at, u.count, 0
      FROM known k
     CROSS JOIN LATERAL (VALUES ('active_until', k.old_active_until, -1),
                                ('active_until', k.active_until, 1),
                                ('seen_until', k.old_seen_until, -1),
                                ('seen_until', k.seen_until, 1)) AS u (metric, at, count)
     WHERE u.at > '-infinity'
    UNION ALL
    -- A day on which a user was active adds the user to the windows that end on it or up to N - 1 days
    -- later, but for those that the user's active day before it has added the user to.
    SELECT k.env_id, k.definition_id, 'active_users_' || w.days, c.day AT TIME ZONE 'UTC',
           sum(v.sign * c.count), 0
      FROM known k
     CROSS JOIN LATERAL (VALUES (k.old_days, -1), (k.days, 1)) AS v (days, sign)
     CROSS JOIN LATERAL (
               SELECT day, lag(day) OVER (ORDER BY day) AS before FROM unnest(v.days) AS day) d
     CROSS JOIN (VALUES (1), (7), (30)) AS w (days)
     CROSS JOIN LATERAL (VALUES (greatest(d.day, d.before + w.days)::timestamp, 1),
                                ((d.day + w.days)::timestamp, -1)) AS c (day, count)
     WHERE k.days <> k.old_days
     GROUP BY k.env_id, k.definition_id, w.days, c.day
    HAVING sum(v.sign * c.count) <> 0
)
