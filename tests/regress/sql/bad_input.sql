-- Bad input: each gives a coded error or an answer, never XX000, a panic or a crash, and nothing half written.
SELECT t.product('bad');
-- Where there is a second product, none is the only one.
SELECT t.product('bad.second');
SELECT tag FROM dialstack.definition_create('bad', 'spare', 'Spare', '', '{}', '$Session{userId}', 1, 'hours');
SELECT count(*) FROM unnest(ARRAY['production', 'staging']) AS env, dialstack.session_create('bad', env, 'web', '{"userId": "u"}');

-- A good call of each function, argument by argument.
SELECT dialstack.scope_create('bad.scope', 'to be deleted', 'bad');
CREATE TABLE t.protected (account text);
CREATE TABLE t.good (function text, n int, argument text, type text, value text);
INSERT INTO t.good
SELECT p.proname, a.n, a.name, format_type(a.type, NULL),
       CASE a.name WHEN 'product' THEN CASE p.proname WHEN 'product_create' THEN quote_literal('bad.new') ELSE quote_literal('bad') END
            WHEN 'env' THEN CASE p.proname WHEN 'env_create' THEN quote_literal('new') ELSE quote_literal('staging') END
            WHEN 'tag' THEN CASE WHEN p.proname ~ '^(session_define|definition)' THEN quote_literal('spare') WHEN p.proname <> 'protect_table' THEN quote_literal('web') END
            WHEN 'data' THEN $$'{"userId": "u"}'$$
            WHEN 'name' THEN quote_literal('Name')
            WHEN 'description' THEN quote_literal('Description')
            WHEN 'schema' THEN $$'{"userId": "u"}'$$
            WHEN 'selector' THEN $$'$Session{userId}'$$
            WHEN 'expiry' THEN '1'
            WHEN 'period' THEN quote_literal('hours')
            WHEN 'definition' THEN $$'{"tag": "spare", "name": "Name", "schema": {}, "selector": "$Session{userId}", "expiry": 1, "period": "hours"}'$$
            WHEN 'document' THEN $$'{"version": 1, "products": []}'$$
            WHEN 'changes' THEN $$'{"expiry": 2}'$$
            WHEN 'session_id' THEN $$(SELECT session_id FROM dialstack.session_create('bad', 'staging', 'web', '{"userId": "u"}'))$$
            WHEN 'identifier' THEN quote_literal('u')
            WHEN 'by' THEN CASE p.proname WHEN 'protect_table' THEN quote_literal('account') ELSE quote_literal('1 day') END
            WHEN 'relation' THEN quote_literal('t.protected')
            WHEN 'column_name' THEN quote_literal('account')
            WHEN 'identifier_column' THEN quote_literal('account')
            WHEN 'text' THEN quote_literal('7')
            WHEN 'purpose' THEN quote_literal('token')
            WHEN 'kid' THEN quote_literal('0123')
            WHEN 'token' THEN quote_literal('token')
            WHEN 'refresh_token' THEN quote_literal('token')
            -- A set is of a user or of an account.
            WHEN 'account' THEN CASE WHEN p.proname !~ '^session_(find|count|revoke_where)$' THEN quote_literal('acct_1') END
            WHEN 'components' THEN $$'{"call_logs": {"enabled": true}}'$$
            WHEN 'kind' THEN CASE WHEN p.proname ~ '^session_' THEN quote_literal('user') ELSE quote_literal('secret') END
            WHEN 'scope' THEN CASE p.proname WHEN 'scope_create' THEN quote_literal('new') WHEN 'scope_delete' THEN quote_literal('bad.scope')
                              WHEN 'has_scope' THEN quote_literal('call_logs') WHEN 'require_scope' THEN quote_literal('call_logs') END
            WHEN 'client_session_id' THEN $$(SELECT client_session_id FROM dialstack.client_session_create(product => 'bad', env => 'staging'))$$
            WHEN 'connected_account_ids' THEN CASE p.proname WHEN 'client_session_grant_access' THEN $$'{00000000-0000-4000-8000-000000000001}'$$ END
            WHEN 'api_key_id' THEN $$(SELECT api_key_id FROM dialstack.api_key_create('bad', 'staging'))$$
            WHEN 'role' THEN quote_literal('postgres')
            WHEN 'role_name' THEN quote_literal('nobody')
            WHEN 'access' THEN quote_literal('client')
            WHEN 'batch' THEN '10'
            WHEN 'cron' THEN quote_literal('*/5 * * * *')
       END
  FROM pg_proc p, LATERAL unnest(p.proargtypes::oid[], p.proargnames[1:p.pronargs]) WITH ORDINALITY AS a (type, name, n)
 WHERE p.pronamespace = 'dialstack'::regnamespace AND p.prorettype <> 'trigger'::regtype
   -- The deprecated session_create(account, components) is account_session_create.
   AND NOT (p.proname = 'session_create' AND p.pronargs = 2)
   -- has_scope(scope) is has_scope(scope, product, env).
   AND NOT (p.proname = 'has_scope' AND p.pronargs = 1);
-- Exactly one of session_id and identifier.
DELETE FROM t.good WHERE function = 'session_revoke' AND argument = 'session_id';
INSERT INTO t.good SELECT 'session_revoke (one)', n, argument, type, value FROM t.good WHERE function = 'session_revoke' AND argument <> 'identifier';
INSERT INTO t.good SELECT 'session_revoke (one)', 4, argument, type, value FROM t.good WHERE function = 'session_info';
-- The call with one argument replaced.
CREATE FUNCTION t.call(function text, argument text, value text) RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT * FROM dialstack.%I(%s)', split_part(function, ' ', 1), string_agg(format('%I => %s', g.argument,
               CASE WHEN g.argument = call.argument THEN format('(%s)::%s', call.value, g.type) ELSE g.value END), ', ' ORDER BY n))
      FROM t.good g WHERE g.function = call.function AND (g.value IS NOT NULL OR g.argument = call.argument)
     GROUP BY g.function;
$$;
-- The good calls are good (but for a token and a key, which are none, and pg_cron, which is not there), and undone.
CREATE FUNCTION t.undone(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    raised jsonb;
BEGIN
    BEGIN
        PERFORM t.kind(statement);
        SELECT to_jsonb(r) - 'n' INTO raised FROM t.raised r ORDER BY n DESC LIMIT 1;
        RAISE EXCEPTION USING ERRCODE = 'U0000';
    EXCEPTION WHEN SQLSTATE 'U0000' THEN
        NULL;
    END;
    IF raised ->> 'statement' IS DISTINCT FROM left(statement, 200) THEN
        RETURN 'no error';
    END IF;
    INSERT INTO t.raised (statement, sqlstate, message, detail, hint, length)
    SELECT r.statement || ' ', r.sqlstate, r.message, r.detail, r.hint, r.length FROM jsonb_populate_record(NULL::t.raised, raised) r;
    RETURN concat(raised ->> 'sqlstate', ' ', split_part(raised ->> 'message', ':', 1));
END
$$;
SELECT function, t.undone(t.call(function, '', '')) FROM t.good GROUP BY 1 HAVING t.undone(t.call(function, '', '')) <> 'no error' ORDER BY function COLLATE "C";

-- NULL for each argument of each function.
SELECT function, argument, t.undone(t.call(function, argument, 'NULL')) AS "null" FROM t.good ORDER BY function COLLATE "C", n;
-- The empty string, non-ASCII text, and 10 MB of text for each text argument.
SELECT function, argument, t.undone(t.call(function, argument, quote_literal(''))) AS empty,
       t.undone(t.call(function, argument, quote_literal('ü☃😀'))) AS non_ascii,
       t.undone(t.call(function, argument, 'repeat(''x'', 10000000)')) AS ten_mb
  FROM t.good WHERE type = 'text' ORDER BY function COLLATE "C", n;
-- Each jsonb argument: other JSON than an object, deep nesting, a number beyond a 64-bit float, 1 MB and 10 MB.
SELECT function, argument, label, t.undone(t.call(function, argument, v.value))
  FROM t.good, (VALUES (1, 'null', $$'null'$$), (2, 'array', $$'[{}]'$$), (3, 'string', $$'"x"'$$), (4, 'number', $$'1'$$), (5, 'true', $$'true'$$),
       (6, 'empty object', $$'{}'$$), (7, 'empty key', $$'{"": {"": ""}}'$$), (8, '5000 levels', $$(repeat('{"userId": ', 5000) || '1' || repeat('}', 5000))$$),
       (9, '5000 levels of arrays', $$(repeat('[', 5000) || repeat(']', 5000))$$), (10, '1e400', $$'{"userId": 1e400}'$$), (11, '-1e400', $$'{"userId": "u", "x": -1e400}'$$),
       (12, '100000 digits', $$('{"userId": ' || repeat('9', 100000) || '}')$$), (13, '1 MB', $$jsonb_build_object('userId', 'u', 'x', repeat('x', 1000000))$$),
       (14, '10 MB', $$jsonb_build_object('userId', repeat('x', 10000000))$$), (15, '1 MB of a key', $$jsonb_build_object(repeat('k', 1000000), 'x')$$),
       (16, '100000 keys', $$(SELECT jsonb_object_agg('k' || n, n) FROM generate_series(1, 100000) n)$$)) AS v (m, label, value)
 WHERE type = 'jsonb' ORDER BY function COLLATE "C", m;
-- Times: zero, negative, and such that no clock can hold.
SELECT function, argument, t.undone(t.call(function, argument, $$'0'$$)) AS zero, t.undone(t.call(function, argument, $$'-1 microsecond'$$)) AS negative,
       t.undone(t.call(function, argument, $$'178000000 years'$$)) AS largest, t.undone(t.call(function, argument, $$'-178000000 years'$$)) AS smallest,
       t.undone(t.call(function, argument, $$make_interval(days => 2147483647, hours => 2147483647)$$)) AS days
  FROM t.good WHERE type = 'interval' ORDER BY function COLLATE "C", n;
SELECT expiry, period, t.undone(format('SELECT * FROM dialstack.definition_create(%L, %L, %L, %L, %L, %L, %s, %L)', 'bad', 'spare', 'X', '', '{}', '$Session{userId}', expiry, period))
  FROM unnest('{0, -1, -2147483648, 2147483647}'::int[]) expiry, unnest('{seconds, years}'::text[]) period;
SELECT function, argument, t.undone(t.call(function, argument, '0')) AS zero, t.undone(t.call(function, argument, '-1')) AS negative,
       t.undone(t.call(function, argument, '2147483647')) AS largest, t.undone(t.call(function, argument, '-2147483648')) AS smallest
  FROM t.good WHERE type = 'integer' ORDER BY function COLLATE "C", n;
-- An expiry that is in range on its own, and leads beyond the last timestamp with a clock that is far ahead, is an error too.
SELECT t.code($$SELECT * FROM dialstack.session_create('bad', 'production', 'web', '{"userId": "u"}', expires_in => '100 years')$$);
SELECT t.code($$SELECT * FROM dialstack.session_create('bad', 'production', 'web', '{"userId": "u"}', expires_in => '102 years')$$);

-- Unknown names, and names that cannot be.
SELECT t.error($$SELECT * FROM dialstack.session_create('nope', 'production', 'web', '{"userId": "u"}')$$);
SELECT t.error($$SELECT * FROM dialstack.session_create('bad', 'nope', 'web', '{"userId": "u"}')$$);
SELECT t.error($$SELECT * FROM dialstack.session_create('bad', 'production', 'nope', '{"userId": "u"}')$$);
SELECT name, t.kind(format('SELECT * FROM dialstack.session_create(%L, %L, %L, %L)', name, 'production', 'web', '{"userId": "u"}')) AS as_product,
       t.kind(format('SELECT * FROM dialstack.session_create(%L, %L, %L, %L)', 'bad', name, 'web', '{"userId": "u"}')) AS as_env,
       t.kind(format('SELECT * FROM dialstack.session_create(%L, %L, %L, %L)', 'bad', 'production', name, '{"userId": "u"}')) AS as_tag
  FROM unnest(ARRAY['', ' ', 'BAD', 'bad ', 'a/b', '%', '_', '''; DROP SCHEMA dialstack CASCADE; --', repeat('x', 64)]) AS name;
-- A user agent never refuses a call; an address with a netmask is fine.
SELECT t.code($$SELECT * FROM dialstack.session_create('bad', 'production', 'web', '{"userId": "u"}', user_agent => E'a\u0001b')$$);
SELECT t.code($$SELECT * FROM dialstack.session_create('bad', 'production', 'web', '{"userId": "u"}', user_agent => '')$$);
SELECT t.code($$SELECT * FROM dialstack.session_create('bad', 'production', 'web', '{"userId": "u"}', ip => '10.0.0.0/8')$$);

-- Through all of it: every error of this run has a code of the design with the SQLSTATE of that code ...
SELECT DISTINCT sqlstate, left(message, 60) AS unexpected FROM t.raised
 WHERE NOT EXISTS (SELECT FROM (VALUES
    ('42704', '{PRODUCT_NOT_FOUND, ENV_NOT_FOUND, DEFINITION_NOT_FOUND, SCOPE_NOT_FOUND}'::text[]),
    ('P0002', '{SESSION_NOT_FOUND, USER_NOT_FOUND, API_KEY_NOT_FOUND}'), ('55000', '{JWT_NOT_AVAILABLE, CRON_NOT_AVAILABLE}'),
    ('22023', '{CREATE_FAILED, LIST_FAILED, REVOKE_FAILED, FIND_FAILED, ERASE_FAILED, REFRESH_FAILED, DEFINE_FAILED, CONFIGURATION_INVALID, REGISTER_FAILED, PROTECT_FAILED, FETCH_USERS_FAILED, FETCH_USER_DETAILS_FAILED, FETCH_ACTIVITY_LOGS_FAILED, FETCH_DASHBOARD_FAILED}'),
    ('42501', '{VERIFY_FAILED, API_KEY_INVALID, SCOPE_DISABLED, PERMISSION_DENIED, PUBLISHABLE_KEY_MUST_CREATE_EMPTY_SESSION}'), ('53400', '{SESSION_LIMIT_REACHED}')) AS design (state, codes)
    WHERE sqlstate = state AND split_part(message, ':', 1) = ANY (codes))
 ORDER BY 1, 2;
SELECT count(*) > 300 AS looked_at_many, count(*) FILTER (WHERE sqlstate LIKE 'XX%') AS internal FROM t.raised;
-- ... none is longer than a screen, whatever it was given ...
SELECT DISTINCT split_part(message, ':', 1) AS too_long FROM t.raised WHERE length > 1000 ORDER BY 1;
-- ... none tells a token or a value ...
SELECT count(*) FROM t.raised WHERE concat(message, detail, hint) ~ 's3cret|eyJ|rt_live_|rt_test_|panicked|backtrace|src/';
-- ... and nothing was written by a refusal.
SELECT product FROM dialstack.products WHERE product LIKE 'bad%';
SELECT env FROM dialstack.environments JOIN dialstack.products USING (product_id) WHERE product = 'bad' ORDER BY environments.env;
SELECT tag, expiry FROM dialstack.definition_list('bad');
SELECT identifier, total FROM dialstack.session_list('bad', 'production', 'web', active_only => false);
SELECT count(*) FROM dialstack.session_list('bad', 'staging', 'web', active_only => false);
