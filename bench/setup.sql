-- What the benchmarks compare with, and the definition that their sessions have.
-- psql variables: batches (how many rows of tokens there will be).

CREATE EXTENSION dialstack_sessions;
CREATE EXTENSION pg_prewarm;

SELECT dialstack.product_create('bench');
SELECT dialstack.env_create('bench', 'production');
SELECT dialstack.definition_create(
    product => 'bench', tag => 'web', name => 'Web session', description => '',
    schema => '{"userId": "user_1", "email": "user_1@example.com", "locale": "en", "roles": ["customer"]}',
    selector => '$Session{userId}',
    expiry => 1, period => 'day'); -- the tokens must outlive the run

CREATE SCHEMA bench;

-- The data of a session, in every arm.
CREATE FUNCTION bench.data(number bigint) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE
RETURN jsonb_build_object(
    'userId', 'user_' || number, 'email', 'user_' || number || '@example.com',
    'locale', 'en', 'roles', jsonb_build_array('customer'));

-- Costs what calling a C function with the arguments and columns of session_verify costs: without
-- TLS, sslinfo's function returns NULL and looks at no argument. (A built-in one would not do: at
-- each execution the server searches all functions of LANGUAGE internal for its name.)
DO $$
BEGIN
    EXECUTE format(
        'CREATE FUNCTION bench.noop(%s) RETURNS %s LANGUAGE c AS %L, %L',
        pg_get_function_arguments(oid), pg_get_function_result(oid), '$libdir/sslinfo', 'ssl_client_serial')
    FROM pg_proc WHERE oid = 'dialstack.session_verify'::regproc;
END
$$;

-- The hand-written look-up: a random token, its hash stored, the data in the clear.
CREATE TABLE bench.lookup (
    token_hash bytea       PRIMARY KEY,
    data       jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL DEFAULT now() + interval '1 day',
    revoked_at timestamptz);

-- For the plain INSERT and UPDATE: columns, indexes and fill factor of the sessions, no triggers or checks.
CREATE TABLE bench.plain (LIKE dialstack.sessions INCLUDING ALL EXCLUDING CONSTRAINTS) WITH (fillfactor = 85);

-- What clients hold: the tokens of eight sessions a row, so that a client learns eight by one cheap
-- query. All reading arms read the same rows of `held`, and both of refresh and UPDATE those of `walked`.
CREATE TABLE bench.held (
    batch integer PRIMARY KEY,
    token_1 text, token_2 text, token_3 text, token_4 text,
    token_5 text, token_6 text, token_7 text, token_8 text,
    opaque_token_1 text, opaque_token_2 text, opaque_token_3 text, opaque_token_4 text,
    opaque_token_5 text, opaque_token_6 text, opaque_token_7 text, opaque_token_8 text)
WITH (toast_tuple_target = 8160); -- on the page, uncompressed
DO $$
BEGIN
    FOR i IN 1..8 LOOP
        EXECUTE format('ALTER TABLE bench.held ALTER COLUMN token_%s SET STORAGE EXTERNAL', i);
    END LOOP;
END
$$;
CREATE TABLE bench.walked (
    batch integer PRIMARY KEY,
    session_id_1 uuid, session_id_2 uuid, session_id_3 uuid, session_id_4 uuid,
    session_id_5 uuid, session_id_6 uuid, session_id_7 uuid, session_id_8 uuid,
    refresh_token_1 text, refresh_token_2 text, refresh_token_3 text, refresh_token_4 text,
    refresh_token_5 text, refresh_token_6 text, refresh_token_7 text, refresh_token_8 text);

-- The tokens of account sessions, whose rows lie among those of user sessions, and of client sessions.
CREATE TABLE bench.opaque (
    batch integer PRIMARY KEY,
    secret_1 text, secret_2 text, secret_3 text, secret_4 text,
    secret_5 text, secret_6 text, secret_7 text, secret_8 text,
    client_1 text, client_2 text, client_3 text, client_4 text,
    client_5 text, client_6 text, client_7 text, client_8 text);

CREATE SEQUENCE bench.chunk MINVALUE 0;  -- of load.sql
CREATE SEQUENCE bench.walk MINVALUE 0;   -- rows of `walked` that refresh has used
CREATE SEQUENCE bench.stroll MINVALUE 0; -- rows of `walked` that UPDATE has used

-- Spreads consecutive numbers over all rows, each of them once before any comes again.
CREATE FUNCTION bench.batch(number bigint) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN number * 7919 % :batches;

-- For loops inside the database: 16,000 tokens in random order.
CREATE TABLE bench.sample (token text NOT NULL, opaque_token text NOT NULL);

-- Microseconds a call, of a query that makes 16,000 calls.
CREATE FUNCTION bench.microseconds(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    EXECUTE query;
    RETURN extract(epoch FROM clock_timestamp() - began) * 1e6 / 16000;
END
$$;
