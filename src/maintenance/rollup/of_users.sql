-- What touched users change in what is counted of users, behind the CTE `known`: the CTE `of_users`, like `of_sessions`.
--
--   first_seen        users, by first_seen
--   active_until      users who have an unrevoked session, by the latest end of those
--   seen_until        users, by when they are expired
--   active_users_N    all up to a UTC day: users active on that day or the N - 1 days before it
,
of_users AS MATERIALIZED (
    SELECT k.env_id, k.definition_id, u.metric, u.at, u.count::bigint AS count, 0::numeric AS sum
      FROM known k
     CROSS JOIN LATERAL (VALUES ('first_seen', k.first_seen, k.new_users),
                                ('active_until', k.old_active_until, -1),
                                ('active_until', k.active_until, 1),
                                ('seen_until', k.old_seen_until, -1),
                                ('seen_until', k.seen_until, 1)) AS u (metric, at, count)
     WHERE u.at > '-infinity' AND u.count <> 0
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
