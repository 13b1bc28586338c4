-- Large arguments where the server can get little memory: an error of ours or out of memory (53200), and the server
-- lives. A failed allocation in the library would end all connections.
-- The calls are those of bad_input; this backend gets 64 MB beside what it has.
CREATE TABLE t.statm (pages text);
CREATE FUNCTION t.limit_memory(extra bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('COPY t.statm FROM PROGRAM %L', format('prlimit --pid %s --as=%s:', pg_backend_pid(),
        coalesce((split_part(pg_read_file('/proc/self/statm'), ' ', 1)::bigint * 4096 + extra)::text, 'unlimited')));
END
$$;
CREATE TABLE t.large (type text, mb int, value text);
INSERT INTO t.large
SELECT 'text', mb, format('repeat(repeat(''x'', 1000), %s000)', mb) FROM unnest('{20}'::int[]) mb UNION ALL
SELECT 'jsonb', mb, format('to_jsonb(repeat(repeat(''x'', 1000), %s000))', mb) FROM unnest('{1, 10}'::int[]) mb UNION ALL
SELECT 'jsonb', mb, format('jsonb_build_object(''userId'', ''u'', ''a'', repeat(repeat(''x'', 1000), %s000))', mb) FROM unnest('{1, 6}'::int[]) mb UNION ALL
SELECT 'jsonb', 900, $$('{"userId": "u", "a": [' || repeat('1e131071,', 6999) || '1]}')$$ UNION ALL
SELECT 'text[]', mb, format('array_fill(''x''::text, ARRAY[%s000000])', mb / 8) FROM unnest('{8, 24}'::int[]) mb UNION ALL
SELECT 'regrole[]', mb, format('array_fill(''postgres''::regrole, ARRAY[%s000000])', mb / 4) FROM unnest('{8, 32}'::int[]) mb UNION ALL
SELECT 'uuid[]', mb, format('array_fill(%L::uuid, ARRAY[%s000000])', '00000000-0000-4000-8000-000000000001', mb / 16) FROM unnest('{16, 32}'::int[]) mb;
-- The library is loaded and its tables are known before memory is little.
SELECT t.kind($$SELECT * FROM dialstack.session_create('bad', 'staging', 'web', '{"userId": "u"}')$$);
SELECT t.limit_memory(64000000);
CREATE TEMPORARY TABLE answers AS
SELECT g.function, g.argument, l.type, l.mb, t.undone(t.call(g.function, g.argument, l.value)) AS answer
  FROM t.good g JOIN t.large l USING (type);
SELECT type, count(DISTINCT function) > 2 AS several_functions FROM answers GROUP BY 1 ORDER BY 1;
SELECT DISTINCT function, argument, mb, answer FROM answers
 WHERE answer !~ '^(53200 out of memory|54000 |22023 [A-Z_]+$|42704 [A-Z_]+_NOT_FOUND$|P0002 [A-Z_]+_NOT_FOUND$|42501 (VERIFY_FAILED|SCOPE_DISABLED)$|no error$)';
-- Settings that the caller makes. What the calls have left of the 64 MB depends on where small blocks came to lie.
SELECT t.limit_memory(64000000);
SELECT length(set_config('dialstack_sessions.token', repeat(repeat('x', 1000), 20000), false)) > 0 AS set;
SELECT dialstack.current_session_error(), dialstack.current_data();
RESET dialstack_sessions.token;
SELECT length(set_config('dialstack_sessions.api_key', repeat(repeat('x', 1000), 20000), false)) > 0 AS set;
SELECT t.code($$SELECT * FROM dialstack.account_session_create('acct_1', product => 'bad', env => 'staging')$$);
RESET dialstack_sessions.api_key;
SELECT length(set_config('request.headers', repeat('x', 300000), false)) > 0 AS set;
SELECT t.error('SELECT dialstack.postgrest_pre_request()');
RESET request.headers;
SELECT t.limit_memory(NULL);
-- The same connection, the same server.
SELECT t.verdict(token) FROM dialstack.session_create('bad', 'staging', 'web', '{"userId": "u"}');
