\set user random(1, :sessions)
INSERT INTO bench.plain
    (session_id, created_at, expires_at, last_seen_at, env_id, definition_id,
     key_number, purge_after, subject, sealed_data)
VALUES (gen_random_uuid(), now(), now() + interval '30 days', now(), 1, 1,
        1, current_date + 60, 'user_' || :user, convert_to(bench.data(:user)::text, 'UTF8'))
RETURNING session_id, expires_at;
