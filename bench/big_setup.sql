-- A database for bench/big. psql variable: users (how many there are).
CREATE EXTENSION dialstack_sessions;
CREATE EXTENSION pg_prewarm;

SELECT dialstack.product_create('bench');
SELECT dialstack.env_create('bench', 'production');
SELECT dialstack.definition_create(
    product => 'bench', tag => 'web', name => 'Web session', description => '',
    schema => '{"userId": "user_1", "email": "user_1@example.com", "locale": "en", "roles": ["customer"]}',
    selector => '$Session{userId}', expiry => 1, period => 'day');

CREATE SCHEMA bench;

CREATE FUNCTION bench.data(identifier text) RETURNS jsonb LANGUAGE sql STABLE
RETURN jsonb_build_object(
    'userId', identifier, 'email', identifier || '@example.com', 'locale', 'en', 'roles', jsonb_build_array('customer'));

-- Names of random users: those that have their sessions in the tables.
CREATE TABLE bench.size AS SELECT :users AS users;
CREATE FUNCTION bench.some_users(number integer) RETURNS SETOF text LANGUAGE sql VOLATILE
BEGIN ATOMIC
    SELECT 'user_' || (floor(random() * users)::bigint + 0 * n) FROM bench.size, generate_series(1, number) AS n;
END;

-- Sessions whose tokens are good.
CREATE TABLE bench.held AS
SELECT s.token, s.refresh_token, s.session_id
  FROM generate_series(1, 2000) AS i,
       LATERAL dialstack.session_create('bench', 'production', 'web', bench.data('user_' || i % (:users))) AS s;

-- What a row of session data looks like.
CREATE TABLE bench.shape AS
SELECT env_id, definition_id, key_number, octet_length(sealed_data) AS bytes FROM dialstack.sessions LIMIT 1;

-- When the session of that number was created: in the last 62 days, of a user at all times.
CREATE FUNCTION bench.created_at(number bigint) RETURNS timestamptz LANGUAGE sql STABLE
RETURN date_trunc('hour', now()) - interval '1 hour' - (number * 2654435761 % 5356800) * interval '1 second';

-- Microseconds a call, of a statement that makes so many. It runs twice, with the same random numbers; the second run is
-- timed.
CREATE FUNCTION bench.microseconds(calls integer, statement text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    seed double precision := random();
BEGIN
    PERFORM setseed(seed);
    EXECUTE statement;
    PERFORM setseed(seed);
    began := clock_timestamp();
    EXECUTE statement;
    RETURN extract(epoch FROM clock_timestamp() - began) * 1e6 / calls;
END
$$;

-- What one would write by hand to count the sessions of an identifier.
CREATE FUNCTION bench.plain_count(who text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT count(*) FROM dialstack.sessions AS s, bench.shape AS p
             WHERE s.env_id = p.env_id AND s.definition_id = p.definition_id AND s.subject = who
               AND s.revoked_at IS NULL AND s.expires_at > now());
END
$$;

CREATE PROCEDURE bench.refresh_and_undo(number integer) LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT bool_and(r.ok) IS NOT TRUE FROM (SELECT refresh_token FROM bench.held ORDER BY random() LIMIT number) AS h,
               LATERAL dialstack.session_refresh(h.refresh_token) AS r) THEN
        RAISE EXCEPTION 'good tokens were refused: the figures are worth nothing';
    END IF;
    RAISE EXCEPTION SQLSTATE 'U0000';
EXCEPTION WHEN SQLSTATE 'U0000' THEN
    NULL;
END
$$;

-- The address of a session that lives, which is that of its user; and an age that few living sessions are beyond: of
-- those that live, which is 30 days, the ones that end within an hour.
CREATE FUNCTION bench.address() RETURNS text LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT host(ip) FROM dialstack.sessions WHERE ip IS NOT NULL AND revoked_at IS NULL AND expires_at > now() + interval '1 day' LIMIT 1;
END;
CREATE FUNCTION bench.age() RETURNS timestamptz LANGUAGE sql STABLE
RETURN now() - interval '29 days 23 hours';

-- Revokes by a filter, of so many users where it names one, and undoes it, so that each round finds the same sessions.
CREATE PROCEDURE bench.revoke_and_undo(filter text, number integer = 1) LANGUAGE plpgsql AS $$
DECLARE
    one bigint;
    revoked bigint := 0;
    who text;
BEGIN
    FOR who IN SELECT bench.some_users(number) LOOP
        EXECUTE format('SELECT dialstack.session_revoke_where(dry_run => false, product => ''bench'', ' || filter || ')', who) INTO one;
        revoked := revoked + one;
    END LOOP;
    IF revoked = 0 THEN
        RAISE EXCEPTION 'the filter % finds nothing: the figures are worth nothing', filter;
    END IF;
    RAISE EXCEPTION SQLSTATE 'U0000';
EXCEPTION WHEN SQLSTATE 'U0000' THEN
    NULL;
END
$$;

-- Whether the dashboard's figures are those of the tables. Sessions end while it is asked: what lives
-- lies between what lived before and what lives afterwards.
CREATE FUNCTION bench.agrees() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    before timestamptz := clock_timestamp();
    d jsonb := dialstack.session_dashboard('bench', 'web');
    after timestamptz := clock_timestamp();
    t record;
BEGIN
    SELECT count(*) AS sessions, count(DISTINCT subject) AS users, count(revoked_at) AS revoked,
           count(*) FILTER (WHERE revoked_at IS NULL AND expires_at > before) AS most,
           count(*) FILTER (WHERE revoked_at IS NULL AND expires_at > after) AS least,
           count(DISTINCT subject) FILTER (WHERE revoked_at IS NULL AND expires_at > before) AS most_users,
           count(DISTINCT subject) FILTER (WHERE revoked_at IS NULL AND expires_at > after) AS least_users
      INTO t FROM dialstack.sessions;
    IF d @> jsonb_build_object('totalSessions', t.sessions, 'totalUsers', t.users, 'revokedSessions', t.revoked)
       AND (d -> 'activeSessions')::bigint BETWEEN t.least AND t.most
       AND (d -> 'activeUsers')::bigint BETWEEN t.least_users AND t.most_users
    THEN
        RETURN true;
    END IF;
    RAISE WARNING 'dashboard %, tables %', d, t;
    RETURN false;
END
$$;
