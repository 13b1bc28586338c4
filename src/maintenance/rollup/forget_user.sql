-- Takes a person out of what is counted of users. $1: environments; $2: now; $3: definitions; $4: the identifier.
-- Continued by store.sql.
WITH known AS MATERIALIZED (
    DELETE FROM dialstack.rollup_users r
     WHERE r.env_id = ANY ($1) AND r.definition_id = ANY ($3) AND r.identifier = $4
    RETURNING r.env_id, r.definition_id, r.active_until, r.seen_until, r.active_days,
              (SELECT u.first_seen FROM dialstack.session_users u
                WHERE u.env_id = r.env_id AND u.definition_id = r.definition_id
                  AND u.identifier = r.identifier) AS first_seen
),
changes AS MATERIALIZED (
    SELECT k.env_id, k.definition_id, u.metric, u.at, -1::bigint AS count, 0::numeric AS sum
      FROM known k
     CROSS JOIN LATERAL (VALUES ('first_seen', k.first_seen),
                                ('active_until', k.active_until),
                                ('seen_until', k.seen_until)) AS u (metric, at)
     WHERE u.at > '-infinity'
    UNION ALL
    -- The windows that changes.sql has added the user to.
    SELECT k.env_id, k.definition_id, 'active_users_' || w.days, c.day AT TIME ZONE 'UTC',
           -sum(c.count), 0
      FROM known k
     CROSS JOIN LATERAL (
               SELECT day, lag(day) OVER (ORDER BY day) AS before
                 FROM unnest(k.active_days) AS day) d
     CROSS JOIN (VALUES (1), (7), (30)) AS w (days)
     CROSS JOIN LATERAL (VALUES (greatest(d.day, d.before + w.days)::timestamp, 1),
                                ((d.day + w.days)::timestamp, -1)) AS c (day, count)
     GROUP BY k.env_id, k.definition_id, w.days, c.day
    HAVING sum(c.count) <> 0
)
