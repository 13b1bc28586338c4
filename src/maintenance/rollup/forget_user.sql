-- Takes a person out of what is counted of users. $1: environments; $2: now; $3: definitions; $4: the identifier.
-- Continued by of_users.sql and store.sql.
WITH known AS MATERIALIZED (
    DELETE FROM dialstack.rollup_users r
     WHERE r.env_id = ANY ($1) AND r.definition_id = ANY ($3) AND r.identifier = $4
    RETURNING r.env_id, r.definition_id, -1 AS new_users, r.active_until AS old_active_until,
              r.seen_until AS old_seen_until, r.active_days AS old_days, '-infinity'::timestamptz AS active_until,
              '-infinity'::timestamptz AS seen_until, '{}'::date[] AS days,
              (SELECT u.first_seen FROM dialstack.session_users u
                WHERE u.env_id = r.env_id AND u.definition_id = r.definition_id
                  AND u.identifier = r.identifier) AS first_seen
)
