-- Sessions of a chunk, and their activity. psql variables: first, chunk, last (numbers of sessions),
-- half (of the numbers: 0 or 1). They may be purged only when bench/big says so, by moving purge_after.
BEGIN;
CREATE TEMPORARY TABLE made ON COMMIT DROP AS
SELECT s.env_id, s.definition_id, s.key_number, s.bytes, n, gen_random_uuid() AS session_id, 'user_' || n / 10 AS subject,
       c.created_at, date_trunc('second', c.created_at) + interval '30 days' AS expires_at,
       CASE WHEN n % 20 = 7 THEN c.created_at + (n % 36000) * interval '1 second' END AS revoked_at
  FROM generate_series(:first + :half, least(:first + :chunk - 1, :last), 2) AS n, bench.shape AS s,
       LATERAL (SELECT bench.created_at(n) AS created_at) AS c;
UPDATE made SET revoked_at = NULL WHERE revoked_at > now();
INSERT INTO dialstack.session_users AS u (env_id, definition_id, identifier, first_seen, last_seen, total_sessions)
SELECT env_id, definition_id, subject, min(created_at), max(created_at), count(*) FROM made GROUP BY env_id, definition_id, subject
    ON CONFLICT (env_id, definition_id, identifier) DO UPDATE
       SET last_seen = greatest(u.last_seen, excluded.last_seen), total_sessions = u.total_sessions + excluded.total_sessions;
INSERT INTO dialstack.sessions
       (session_id, created_at, expires_at, last_seen_at, revoked_at, env_id, definition_id, key_number,
        purge_after, subject, revoke_reason, sealed_data, ip, user_agent)
SELECT session_id, created_at, expires_at, created_at, revoked_at, env_id, definition_id,
       key_number, ((coalesce(revoked_at, expires_at) + interval '1000 days') AT TIME ZONE 'UTC')::date, subject,
       CASE WHEN revoked_at IS NOT NULL THEN 'revoked' END,
       substr(decode(repeat(md5(n::text), bytes / 16 + 1), 'hex'), 1, bytes), inet '10.0.0.0' + n / 10, 'a browser'
  FROM made;
INSERT INTO dialstack.activity
       (at, month, session_id, env_id, definition_id, kind, operation, status, subject, latency_us, ip, user_agent, expires_after)
SELECT created_at, extract(month FROM created_at AT TIME ZONE 'UTC'), session_id, env_id, definition_id, 'user', 'create',
       'success', subject, 100, '203.0.113.7', 'a browser', expires_at
  FROM made;
INSERT INTO dialstack.activity
       (at, month, session_id, env_id, definition_id, kind, operation, status, reason, subject, latency_us, ip, user_agent,
        session_created_at, expires_before)
SELECT revoked_at, extract(month FROM revoked_at AT TIME ZONE 'UTC'), session_id, env_id, definition_id, 'user', 'revoke',
       'success', 'revoked', subject, 100, '203.0.113.7', 'a browser', created_at, expires_at
  FROM made WHERE revoked_at IS NOT NULL;
COMMIT;
