-- What a definition is refused for. session_define, definition_create and session_register have the
-- same rules; the last says REGISTER_FAILED.
SELECT t.product('dfe');
CREATE FUNCTION t.define(changes jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT t.error(format('SELECT * FROM dialstack.session_register(%L, %L)', 'dfe',
        '{"tag": "x", "name": "X", "schema": {}, "selector": "$Session{userId}", "expiry": 1, "period": "hours"}'::jsonb || changes));
$$;
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' -> '
SELECT t.define('{}');

-- The product has to be there.
SELECT t.error($$SELECT dialstack.session_define('nope', 'x', 'X', '', 'userId', 1, 'hours', '{}')$$);
SELECT t.error($$SELECT * FROM dialstack.definition_create('nope', 'x', 'X', '', '{}', '$Session{userId}', 1, 'hours')$$);
SELECT t.error($$SELECT * FROM dialstack.session_register('nope', '{}')$$);
-- All three say the same, each with its code.
SELECT t.error($$SELECT dialstack.session_define('dfe', 'x', 'X', '', 'userId', 0, 'hours', '{}')$$);
SELECT t.error($$SELECT * FROM dialstack.definition_create('dfe', 'x', 'X', '', '{}', '$Session{userId}', 0, 'hours')$$);
SELECT t.define('{"expiry": 0}');

-- It is an object of the known keys; a misspelt one is told.
SELECT v, t.error(format('SELECT * FROM dialstack.session_register(%L, %L)', 'dfe', v)) FROM unnest(ARRAY['[]', '1', '"x"', 'null', '{}']) v;
SELECT t.define('{"expires": 1}');
SELECT t.define('{"idleTimeout": "1 hour"}');
SELECT t.define('{"maxSession": 1}');
SELECT t.define('{"nothing like it": 1}');
SELECT length(t.define(jsonb_build_object(repeat('k', 100000), 1))) < 1000 AS short_message;
-- What every definition needs.
SELECT key, t.error(format('SELECT * FROM dialstack.session_register(%L, %L)', 'dfe',
        '{"tag": "x", "name": "X", "schema": {}, "selector": "$Session{userId}", "expiry": 1, "period": "hours"}'::jsonb - key))
  FROM unnest('{tag, name, schema, selector, expiry, period}'::text[]) key;
-- tag: a name.
SELECT v, t.define(jsonb_build_object('tag', v)) FROM jsonb_array_elements('["", "a b", "é", "a:b", 3]') v;
SELECT t.define(jsonb_build_object('tag', repeat('t', 64)));
SELECT t.define(jsonb_build_object('tag', repeat('t', 63)));
-- name: 1 to 200 characters; description: up to 2000.
SELECT t.define('{"name": ""}');
SELECT t.define(jsonb_build_object('name', repeat('ü', 201)));
SELECT t.define(jsonb_build_object('name', repeat('ü', 200)));
SELECT t.define(jsonb_build_object('description', repeat('ü', 2001)));
SELECT t.define(jsonb_build_object('description', repeat('ü', 2000)));
SELECT t.define('{"description": 5}');
-- selector: $Session{a}{b}.
SELECT v, t.define(jsonb_build_object('selector', v))
  FROM jsonb_array_elements('["", "a..b", "$Session", "$Session{}", "$Session{a", "$Session{a}}", "$Session{a}{}", "$session{a}", " $Session{a}", "$Session{a}b", 3]') v;
SELECT v, t.error(format('SELECT dialstack.session_define(%L, %L, %L, NULL, %L, 1, %L, %L)', 'dfe', 'x', 'X', v, 'hours', '{}'))
  FROM unnest(ARRAY['', '.', 'a..b', 'a{b', '$a']) v;
SELECT n, t.define(jsonb_build_object('selector', '$Session' || repeat('{a}', n))) FROM unnest('{16,17}'::int[]) AS n;
SELECT n, t.define(jsonb_build_object('selector', '$Session{' || repeat('ü', n) || '}')) FROM unnest('{255,256}'::int[]) AS n;
-- expiry: a whole number, from 1, of at most 100 years.
SELECT left(v::text, 20), t.define(jsonb_build_object('expiry', v))
  FROM jsonb_array_elements('[0, -1, -2147483648, 2147483647, 2147483648, 9223372036854775808, 1e400, 1.5, 1.0, "1", true, []]') v;
SELECT v, t.define(v) FROM jsonb_array_elements('[{"expiry": 2147483647, "period": "years"}, {"expiry": 101, "period": "years"},
    {"expiry": 100, "period": "years"}, {"expiry": 2147483647, "period": "seconds"}, {"expiry": 1201, "period": "months"}]') v;
-- period: one of the units, in lower case.
SELECT v, t.define(jsonb_build_object('period', v)) FROM jsonb_array_elements('["", "Hours", "fortnights", "h", " hours", "millennia", 3]') v;
-- refresh_expiry and refresh_period: together, and not shorter than expiry.
SELECT v, t.define(v) FROM jsonb_array_elements('[{"refresh_expiry": 1}, {"refresh_period": "days"}, {"refresh_expiry": 0, "refresh_period": "days"},
    {"refresh_expiry": 1, "refresh_period": "lunations"}, {"refresh_expiry": 59, "refresh_period": "minutes"},
    {"refresh_expiry": 60, "refresh_period": "minutes"}, {"refresh_expiry": 2147483647, "refresh_period": "years"}]') v;
-- idle_timeout and max_lifetime: intervals, not shorter than expiry, of at most 100 years.
SELECT key, left(v::text, 20), t.define(jsonb_build_object(key, v)) FROM unnest('{idle_timeout, max_lifetime}'::text[]) key,
       jsonb_array_elements('["59 minutes", "60 minutes", "0", "-1 hour", "soon", "", "1e9 years", "102 years", 0, -1, 1e300, 1e400, true, {}]') v;
-- Nor one that is none in some months.
SELECT v, t.define(jsonb_build_object('max_lifetime', v)) FROM jsonb_array_elements('["-1 mon 31 days", "1 mon -28 days", "1 mon -27 days"]') v;
-- From PostgreSQL 17 on infinity is an interval, but never one of at most 100 years.
SELECT key, v, split_part(t.define(jsonb_build_object(key, v)), ':', 1) FROM unnest('{idle_timeout, max_lifetime, reuse_interval}'::text[]) key, jsonb_array_elements('["infinity", "-infinity"]') v;
-- max_sessions: 1 to 10000; on_limit.
SELECT v, t.define(jsonb_build_object('max_sessions', v)) FROM jsonb_array_elements('[0, -1, 10001, 10000, "3", 1.5, 2147483648]') v;
SELECT v, t.define(jsonb_build_object('on_limit', v)) FROM jsonb_array_elements('["", "evict", "DENY", 1]') v;
-- reuse_interval: 0 to 300 seconds.
SELECT v, t.define(jsonb_build_object('reuse_interval', v)) FROM jsonb_array_elements('["301 seconds", "5 minutes", 300, 300.000001, 0, "0", "-1 second", -0.5, "1 mon"]') v;
SELECT v, t.define(jsonb_build_object('log_verify', v)) FROM jsonb_array_elements('["yes", 1, true]') v;
-- As arguments.
SELECT a, t.error(format('SELECT dialstack.session_define(%L, %L, %L, NULL, %L, 1, %L, %L, %s)', 'dfe', 'x', 'X', 'userId', 'hours', '{}', a))
  FROM unnest(ARRAY['idle_timeout => ''1 second''', 'idle_timeout => ''-178000000 years''', 'max_lifetime => ''178000000 years''',
                    'reuse_interval => ''301 seconds''', 'max_sessions => 0', 'on_limit => ''never''', 'refresh_expiry => 3']) a;
-- Nothing of all this was stored but what said `no error`, and nothing of a code that does not fit.
SELECT tag = 'x' OR tag = repeat('t', 63) OR tag = 'web' AS expected FROM dialstack.definition_list('dfe');
SELECT DISTINCT sqlstate, split_part(message, ':', 1) FROM t.raised
 WHERE statement LIKE '%session_register(''dfe''%' OR statement LIKE '%session_define(''dfe''%' ORDER BY 1, 2;
