-- Fills the product `dashboard-demo` with two months of made-up sessions, in the database that psql is
-- connected to, as a superuser. Does nothing where that product exists.
--
-- The sessions are made by the functions, now, and then moved into the past. That is for a picture only:
-- nothing else should write these tables.
\set ON_ERROR_STOP on
\o /dev/null
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
BEGIN;

CREATE EXTENSION IF NOT EXISTS dialstack_sessions;

SELECT NOT EXISTS (SELECT FROM dialstack.products WHERE product = 'dashboard-demo') AS fresh \gset
\if :fresh

SELECT dialstack.product_create('dashboard-demo');
SELECT dialstack.env_create('dashboard-demo', env, live => env = 'production')
  FROM unnest('{production,staging,preview}'::text[]) AS env;
-- A refresh token that was used is refused at once, so that there is something to see.
SELECT dialstack.definition_create('dashboard-demo', 'web', 'Web', 'A user who logged in',
    '{"userId": {"type": "string", "required": true}}', '$Session{userId}', 30, 'minutes',
    refresh_expiry => 12, refresh_period => 'hours', reuse_interval => '0', log_verify => true);

-- Which sessions: more of them on workdays, by day, and every week.
SELECT setseed(0.15);
CREATE TEMPORARY TABLE plan ON COMMIT DROP AS
SELECT *, row_number() OVER (ORDER BY begins) AS number
  FROM (SELECT date_trunc('day', now()) - make_interval(days => ago)
                   + make_interval(secs => 86400 * (0.56 + 0.5 * (random() + random() + random() - 1.5) / 1.5)) AS begins,
               'user_' || floor(power(random(), 1.6) * (95 - ago))::integer AS identifier,
               CASE WHEN random() < 0.72 THEN 'production' WHEN random() < 0.75 THEN 'staging' ELSE 'preview' END AS env,
               floor(random() * 4)::integer AS verifies,
               floor(random() * 3.5)::integer AS refreshes,
               CASE WHEN random() < 0.38 THEN 'log out' WHEN random() < 0.03 THEN 'reuse' ELSE 'leave' END AS ending
          FROM generate_series(0, 61) AS ago,
               generate_series(1, ((50 - 0.4 * ago) * CASE WHEN extract(isodow FROM now() - make_interval(days => ago)) > 5
                                                           THEN 0.45 ELSE 0.85 + 0.3 * random() END)::integer)) p
 WHERE begins < now() - interval '5 minutes';
ALTER TABLE plan ADD session_id uuid;

DO $$
DECLARE
    planned  record;
    made     record;
    answer   record;
    previous text;
BEGIN
    FOR planned IN SELECT * FROM plan ORDER BY number LOOP
        SELECT * INTO made
          FROM dialstack.session_create('dashboard-demo', planned.env, 'web',
                   jsonb_build_object('userId', planned.identifier), '203.0.113.7', 'a browser');
        UPDATE plan SET session_id = made.session_id WHERE number = planned.number;
        FOR i IN 1..planned.verifies LOOP
            PERFORM dialstack.session_verify(made.token);
        END LOOP;
        previous := made.refresh_token;
        FOR i IN 1..planned.refreshes LOOP
            SELECT * INTO answer FROM dialstack.session_refresh(made.refresh_token);
            IF NOT answer.ok THEN
                RAISE 'a refresh was refused: %', answer.reason;
            END IF;
            previous := made.refresh_token;
            made.refresh_token := answer.refresh_token;
            PERFORM dialstack.session_verify(answer.token);
        END LOOP;
        IF planned.ending = 'log out' THEN
            PERFORM dialstack.session_revoke('dashboard-demo', planned.env, 'web', session_id => made.session_id);
            -- Some clients have not noticed.
            IF planned.verifies = 3 THEN
                PERFORM dialstack.session_refresh(made.refresh_token);
            END IF;
        ELSIF planned.ending = 'reuse' AND planned.refreshes > 0 THEN
            PERFORM dialstack.session_refresh(previous);
        END IF;
    END LOOP;
END
$$;

-- Into the past: what a session did is 25 minutes apart, or as near as there is time for.
CREATE TEMPORARY TABLE moved ON COMMIT DROP AS
SELECT a.activity_id, a.session_id, a.at, a.expires_before, a.expires_after, p.begins,
       p.begins + least(interval '25 minutes', (now() - p.begins) / count(*) OVER of_session)
                  * (row_number() OVER in_session - 1) AS moved_at,
       a.expires_after IS NOT NULL AS sets_end, row_number() OVER in_session AS step
  FROM dialstack.activity a
  JOIN plan p USING (session_id)
WINDOW of_session AS (PARTITION BY a.session_id),
       in_session AS (PARTITION BY a.session_id ORDER BY a.activity_id);

-- Each end is moved with the operation that set it.
CREATE TEMPORARY TABLE ends ON COMMIT DROP AS
SELECT session_id, expires_after AS former, step,
       date_trunc('second', expires_after + (moved_at - at)) AS expires_at
  FROM moved WHERE sets_end;
ANALYZE moved;
ANALYZE ends;

UPDATE dialstack.activity a
   SET at = m.moved_at, month = extract(month FROM m.moved_at AT TIME ZONE 'UTC'),
       session_created_at = CASE WHEN a.session_created_at IS NOT NULL THEN m.begins END,
       expires_after = (SELECT e.expires_at FROM ends e WHERE e.session_id = m.session_id AND e.step = m.step),
       expires_before = CASE WHEN a.expires_before IS NOT NULL THEN (
           SELECT e.expires_at FROM ends e
            WHERE e.session_id = m.session_id AND e.step < m.step ORDER BY e.step DESC LIMIT 1) END
  FROM moved m
 WHERE a.activity_id = m.activity_id;

UPDATE dialstack.sessions s
   SET created_at = m.begins, last_seen_at = m.seen, rotated_at = CASE WHEN s.rotated_at IS NOT NULL THEN m.seen END,
       expires_at = m.ends,
       revoked_at = CASE WHEN s.revoked_at IS NOT NULL THEN m.revoked END,
       purge_after = coalesce(CASE WHEN s.revoked_at IS NOT NULL THEN m.revoked END, m.ends)::date
  FROM (SELECT m.session_id, m.begins, max(m.moved_at) FILTER (WHERE m.sets_end) AS seen,
               (SELECT max(e.expires_at) FROM ends e WHERE e.session_id = m.session_id) AS ends,
               min(m.moved_at) FILTER (WHERE m.expires_before IS NOT NULL AND NOT m.sets_end) AS revoked
          FROM moved m
         GROUP BY m.session_id, m.begins) m
 WHERE s.session_id = m.session_id;

UPDATE dialstack.session_users u
   SET first_seen = s.first_seen, last_seen = s.last_seen
  FROM (SELECT env_id, definition_id, subject, min(created_at) AS first_seen, max(created_at) AS last_seen
          FROM dialstack.sessions JOIN plan USING (session_id) GROUP BY env_id, definition_id, subject) s
 WHERE (u.env_id, u.definition_id, u.identifier) = (s.env_id, s.definition_id, s.subject);

\endif
COMMIT;
\o
