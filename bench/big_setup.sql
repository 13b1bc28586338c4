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

-- Microseconds a call, of a statement that makes so many.
CREATE FUNCTION bench.microseconds(calls integer, statement text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    EXECUTE statement;
    RETURN extract(epoch FROM clock_timestamp() - began) * 1e6 / calls;
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

-- Whether the dashboard's figures are those of the tables.
CREATE FUNCTION bench.agrees() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    d jsonb := dialstack.session_dashboard('bench', 'web');
    naive jsonb;
BEGIN
    SELECT jsonb_build_object(
        'totalSessions', count(*), 'totalUsers', count(DISTINCT subject),
        'revokedSessions', count(revoked_at),
        'activeSessions', count(*) FILTER (WHERE revoked_at IS NULL AND expires_at > clock_timestamp()),
        'activeUsers', count(DISTINCT subject) FILTER (WHERE revoked_at IS NULL AND expires_at > clock_timestamp()))
      INTO naive FROM dialstack.sessions;
    IF NOT d @> naive THEN
        RAISE WARNING 'dashboard %, tables %', d, naive;
    END IF;
    RETURN d @> naive;
END
$$;
