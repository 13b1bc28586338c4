,
people AS (
    INSERT INTO dialstack.rollup_users AS r
           (env_id, definition_id, identifier, active_until, seen_until, active_days)
    SELECT env_id, definition_id, subject, active_until, seen_until,
           -- Days that no window needs any more.
           CASE WHEN days[1] < days[cardinality(days)] - 64
                THEN ARRAY(SELECT day FROM unnest(days) AS day
                            WHERE day >= days[cardinality(days)] - 64 ORDER BY day)
                ELSE coalesce(days, '{}') END
      FROM known
        ON CONFLICT (env_id, definition_id, identifier)
        DO UPDATE SET active_until = excluded.active_until, seen_until = excluded.seen_until,
                      active_days = excluded.active_days
        WHERE (r.active_until, r.seen_until, r.active_days) IS DISTINCT FROM
              (excluded.active_until, excluded.seen_until, excluded.active_days)
),
-- A verification or a refused refresh, which waits for nobody, may have been noted while its user was erased.
orphaned AS MATERIALIZED (
    SELECT b.partition, b.place
      FROM batch b
     CROSS JOIN LATERAL (
               SELECT count(*) AS count
                 FROM dialstack.session_users u
                WHERE u.env_id = b.env_id AND u.definition_id = b.definition_id
                  AND u.identifier = b.subject) u
     WHERE b.definition_id IS NOT NULL AND b.subject IS NOT NULL
       AND b.expires_before IS NULL AND b.expires_after IS NULL AND u.count = 0
),
anonymized AS (
    UPDATE dialstack.activity a
       SET subject = NULL, ip = NULL, user_agent = NULL
      FROM orphaned o
     WHERE a.tableoid = o.partition AND a.ctid = o.place
),
moved AS (
    UPDATE dialstack.rollup_state r
       SET xid = l.xid, activity_id = l.activity_id
      FROM (SELECT xid, activity_id FROM batch ORDER BY xid DESC, activity_id DESC LIMIT 1) l
)
SELECT count(*) FROM batch
