UPDATE bench.plain SET generation = generation + 1, rotated_at = now(), last_seen_at = now(), expires_at = now() + interval '30 days' WHERE session_id = :session_id;
