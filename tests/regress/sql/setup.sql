-- What every test of this tier uses: the extension, a product, and a few helpers in schema t.
SET client_min_messages = warning;
CREATE EXTENSION dialstack_sessions;
CREATE SCHEMA t;

-- Each test talks to its own product, whose environments are `production` (live) and `staging` (test).
-- `web` identifies users by userId; the access token lives 15 minutes, the session 30 days.
CREATE FUNCTION t.product(product text) RETURNS void LANGUAGE sql AS $$
    SELECT dialstack.product_create(product => product);
    SELECT dialstack.env_create(product => product, env => 'production');
    SELECT dialstack.env_create(product => product, env => 'staging', live => false);
    SELECT 1 FROM dialstack.definition_create(
        product => product, tag => 'web', name => 'Web', description => 'for browsers',
        schema => '{"userId": {"type": "string", "required": true}, "cart": {"type": "number"}}',
        selector => '$Session{userId}', expiry => 15, period => 'minutes');
$$;

-- What statements have raised in this run; bad_input looks back at all of it.
CREATE TABLE t.raised (
    n bigint GENERATED ALWAYS AS IDENTITY, statement text, sqlstate text, message text, detail text, hint text, length int);

-- Runs a statement and tells how it failed: SQLSTATE and message, DETAIL, HINT. Its effects stay
-- only if it did not fail.
CREATE FUNCTION t.error(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    INSERT INTO t.raised (statement, sqlstate, message, detail, hint, length)
    VALUES (left(statement, 200), state, left(message, 2000), left(detail, 2000), left(hint, 2000), length(concat(message, detail, hint)));
    RETURN concat_ws(E'\n', state || ' ' || message,
        'DETAIL: ' || nullif(detail, ''), 'HINT: ' || nullif(hint, ''));
END
$$;

-- The first line of it: what programs match on.
CREATE FUNCTION t.code(statement text) RETURNS text LANGUAGE sql AS $$
    SELECT split_part(t.error(statement), E'\n', 1);
$$;

-- Alone the SQLSTATE and the code.
CREATE FUNCTION t.kind(statement text) RETURNS text LANGUAGE sql AS $$
    SELECT split_part(t.code(statement), ':', 1);
$$;

-- `valid`, or the reason why a token is not.
CREATE FUNCTION t.verdict(token text, product text = NULL, env text = NULL, tag text = NULL, scope text = NULL)
RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN v.valid THEN 'valid' ELSE v.reason END
      FROM dialstack.session_verify(token, product, env, tag, scope) v;
$$;

-- A column as if it were so much earlier: tests move the clock of a session instead of waiting.
CREATE FUNCTION t.age(session_id uuid, by interval) RETURNS void LANGUAGE sql AS $$
    UPDATE dialstack.sessions s SET
        created_at = created_at - by,
        expires_at = expires_at - by, last_seen_at = last_seen_at - by, rotated_at = rotated_at - by,
        authenticated_at = authenticated_at - by
     WHERE s.session_id = age.session_id;
    UPDATE dialstack.client_sessions s SET created_at = created_at - by, expires_at = expires_at - by WHERE s.session_id = age.session_id;
$$;
