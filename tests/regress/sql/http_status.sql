-- While PostgREST handles a request, errors carry the SQLSTATE by which it answers with the HTTP status that fits.
SELECT t.product('http');
SELECT max_sessions, on_limit FROM dialstack.definition_update('http', 'web', '{"max_sessions": 1, "on_limit": "deny"}');
SELECT token FROM dialstack.session_create('http', 'production', 'web', '{"userId": "u"}') \gset
CREATE ROLE regress_client;
GRANT USAGE ON SCHEMA t TO regress_client;
SELECT dialstack.grant_access('regress_client', 'client');
CREATE TABLE t.refused (n int GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO t.refused (statement) VALUES
    ($$SELECT dialstack.session_require(NULL)$$),
    ($$SELECT dialstack.session_use('nonsense')$$),
    ($$SELECT dialstack.session_end()$$),
    ($$SELECT dialstack.require_scope('call_logs')$$),
    ($$SELECT set_config('dialstack_sessions.token', 'nonsense', true); SELECT dialstack.require_scope('call_logs')$$),
    (format($$SELECT set_config('dialstack_sessions.token', %L, true); SELECT dialstack.require_scope('call_logs')$$, :'token')),
    ($$SELECT set_config('dialstack_sessions.api_key', 'nonsense', true); SELECT dialstack.account_session_create('acct')$$),
    ($$SET LOCAL ROLE regress_client; SELECT dialstack.account_session_create('acct', NULL, 'http', 'production')$$),
    ($$SELECT dialstack.session_list('nothing', 'production', 'web')$$),
    ($$SELECT dialstack.session_list('http', 'nothing', 'web')$$),
    ($$SELECT dialstack.session_list('http', 'production', 'nothing')$$),
    ($$SELECT dialstack.scope_delete('nothing', 'http')$$),
    ($$SELECT dialstack.session_info(gen_random_uuid())$$),
    ($$SELECT dialstack.session_user_details('http', 'web', 'nobody')$$),
    ($$SELECT dialstack.api_key_revoke(gen_random_uuid())$$),
    ($$SELECT dialstack.session_create('http', 'production', 'web', '{"userId": "u"}')$$),
    -- PostgREST answers 400 and 500 by themselves.
    ($$SELECT dialstack.session_list('http', 'production', 'web', page => 0)$$),
    ($$SELECT dialstack.schedule_maintenance()$$);
CREATE FUNCTION t.refusal(method text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.method', method, true);
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN concat_ws(' ', SQLSTATE, split_part(SQLERRM, ':', 1));
END
$$;
SELECT t.refusal('', statement) AS otherwise, split_part(t.refusal('GET', statement), ' ', 1) AS in_a_request FROM t.refused ORDER BY n;
-- Nothing else of the error changes, and no other error.
BEGIN;
SET LOCAL request.method = 'POST';
SELECT t.error($$SELECT dialstack.session_require('nonsense')$$);
SELECT t.code($$SELECT 1 / 0$$), t.code($$SELECT dialstack.session_end()$$), t.code($$SELECT 1 / 0$$);
SET LOCAL request.method = '';
SELECT t.code($$SELECT dialstack.session_end()$$);
ROLLBACK;
SET request.method = 'GET';
\set VERBOSITY sqlstate
SELECT dialstack.session_end();
SELECT 1 / 0;
\set VERBOSITY default
RESET request.method;
DROP TABLE t.refused;
DROP FUNCTION t.refusal;
DROP OWNED BY regress_client;
DROP ROLE regress_client;
