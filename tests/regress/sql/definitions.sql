-- Definitions: session_define, session_register, definition_create/update/delete/get/list.
SELECT t.product('def');
SELECT t.product('def2');

-- session_define validates, fills in the defaults, and stores nothing.
SELECT jsonb_pretty(dialstack.session_define(
    product => 'def', tag => 'user', name => 'User', description => 'A user',
    selector => 'userId', expiry => 1, period => 'hours',
    schema => '{"userId": {"type": "string", "required": true}}'));
SELECT count(*) AS stored FROM dialstack.definition_list('def') WHERE tag = 'user';
-- It takes the bare path and the stored form of a selector; stored is the latter.
SELECT s AS selector, dialstack.session_define('def', 'user', 'User', '', s, 1, 'hours', '{}') ->> 'selector' AS stored
  FROM unnest(ARRAY['userId', 'details.email', '$Session{userId}', '$Session{details}{email}', '$Session{user id}']) AS s;
-- Every option can be given.
SELECT jsonb_pretty(dialstack.session_define(
    product => 'def', tag => 'user', name => 'User', description => 'A user',
    selector => '$Session{userId}', expiry => 5, period => 'min', schema => '{}',
    refresh_expiry => 2, refresh_period => 'weeks', idle_timeout => '8 hours', max_lifetime => '90 days 12 hours',
    max_sessions => 3, on_limit => 'deny', reuse_interval => '1 minute', log_verify => true) - 'schema');

-- What session_define returns is what session_register takes, and it comes back unchanged.
SELECT dialstack.session_define(
    product => 'def', tag => 'round', name => 'Round trip', description => 'There and back',
    selector => 'a.b', expiry => 90, period => 'seconds', schema => '{"a": {"b": "x", "n": [1, 2]}}',
    refresh_expiry => 1, refresh_period => 'year', idle_timeout => '1 mon 2 days 03:04:05.000006', max_lifetime => '20 years',
    max_sessions => 10000, on_limit => 'deny', reuse_interval => '0', log_verify => true) AS definition \gset
SELECT * FROM dialstack.session_register(product => 'def', definition => :'definition') \gset stored_
SELECT product, tag, name, description, selector, expiry, period, refresh_expiry, refresh_period, idle_timeout,
       max_lifetime, max_sessions, on_limit, reuse_interval, log_verify, created_at = updated_at AS is_new
  FROM dialstack.definition_get(product => 'def', tag => 'round') \gx
SELECT :'stored_schema'::jsonb = :'definition'::jsonb -> 'schema' AS same_schema;
SELECT dialstack.session_define(
    product, tag, name, description, selector, expiry, period, schema, refresh_expiry, refresh_period, idle_timeout,
    max_lifetime, max_sessions, on_limit, reuse_interval, log_verify) = :'definition' AS same_again
  FROM dialstack.definition_get('def', 'round');
-- The same tag again updates it: what is not said has its default again.
SELECT expiry, period, refresh_expiry, refresh_period, idle_timeout, max_lifetime, max_sessions, on_limit,
       reuse_interval, log_verify, created_at = :'stored_created_at' AS created_then, updated_at > :'stored_updated_at' AS updated_now
  FROM dialstack.session_register('def', '{"tag": "round", "name": "Round trip", "schema": {}, "selector": "$Session{userId}",
        "expiry": 2, "period": "hour"}') \gx
SELECT count(*) FROM dialstack.session_definitions WHERE tag = 'round';
-- An interval in jsonb is a text as PostgreSQL reads it, or a number of seconds.
SELECT i AS given, (dialstack.session_register('def', jsonb_build_object('tag', 'round', 'name', 'Round trip', 'schema', '{}'::jsonb,
        'selector', '$Session{userId}', 'expiry', 2, 'period', 'hour', 'idle_timeout', i))).idle_timeout
  FROM jsonb_array_elements('["8 hours", "PT8H", "1 day 02:00:00", "P1Y2M", 28800, 7200.5]') AS i;
-- It must have been defined for this product, if it names one.
SELECT t.error(format('SELECT * FROM dialstack.session_register(%L, %L)', 'def2', :'definition'));

-- Every period, singular and short; stored is the plural, long.
SELECT p AS given, dialstack.session_define('def', 'user', 'User', '', 'userId', 2, p, '{}') ->> 'period' AS stored
  FROM unnest('{seconds, second, secs, sec, minutes, minute, mins, min, hours, hour, days, day, weeks, week,
                months, month, years, year}'::text[]) AS p;
-- It is PostgreSQL's calendar that counts, in UTC: a session that is made now ends then.
SELECT p AS period, (SELECT count(*) FROM dialstack.definition_create('def', 'in-' || p, p, '', '{}', '$Session{userId}', 2, p)) AS defined,
       (SELECT expires_at BETWEEN b.before + ('2 ' || p)::interval AND b.before + ('2 ' || p)::interval + interval '5 seconds'
          FROM dialstack.session_create('def', 'production', 'in-' || p, '{"userId": "u"}')) AS ends_then
  FROM (SELECT clock_timestamp() AS before) b, unnest('{seconds, minutes, hours, days, weeks, months, years}'::text[]) AS p;
-- Without a refresh expiry it is 30 days, or as long as the access token where that is longer.
SELECT expiry || ' ' || period AS expiry, refresh_expiry || ' ' || refresh_period AS refresh_expiry
  FROM dialstack.definition_list('def') WHERE tag LIKE 'in-%' ORDER BY tag;

-- definition_create defines and registers in one call; description may be left NULL.
SELECT product, tag, name, description, selector, expiry, period, max_sessions, on_limit, reuse_interval, log_verify
  FROM dialstack.definition_create(product => 'def', tag => 'created', name => 'Created', description => NULL,
    schema => '{"userId": "user_456"}', selector => '$Session{userId}', expiry => 10, period => 'mins', max_sessions => 1) \gx
-- The bare path will do.
SELECT selector FROM dialstack.definition_create('def', 'created', 'Created', '', '{}', 'userId', 1, 'hours');
-- The same tag again updates.
SELECT name, expiry, max_sessions FROM dialstack.definition_create('def', 'created', 'Again', '', '{}', '$Session{userId}', 11, 'mins');

-- definition_update changes what it is given, and keeps the rest; null takes a field back to its default.
SELECT name, expiry, period, max_sessions, idle_timeout
  FROM dialstack.definition_update(product => 'def', tag => 'created',
    changes => '{"name": "Changed", "max_sessions": 5, "idle_timeout": "2 hours"}');
SELECT name, expiry, period, max_sessions, idle_timeout
  FROM dialstack.definition_update('def', 'created', '{"max_sessions": null, "expiry": 12}');
SELECT schema -> 'properties' AS properties, selector
  FROM dialstack.definition_update('def', 'created', '{"schema": {"id": "number"}, "selector": "$Session{id}"}');
SELECT name, expiry FROM dialstack.definition_update('def', 'created', '{}');
SELECT name FROM dialstack.definition_update('def', 'created', '{"tag": "created", "product": "def"}');
-- A change is seen by the next create, in whatever form the old schema was.
SELECT count(*) FROM dialstack.session_create('def', 'production', 'created', '{"id": 7}');
SELECT t.error($$SELECT * FROM dialstack.session_create('def', 'production', 'created', '{"id": "seven"}')$$);
-- ... and by refreshes of sessions that are there.
SELECT refresh_token FROM dialstack.session_create('def', 'production', 'created', '{"id": 8}') \gset
SELECT expiry FROM dialstack.definition_update('def', 'created', '{"expiry": 60}');
SELECT expires_at > now() + interval '59 minutes' AS longer FROM dialstack.session_refresh(:'refresh_token');
-- The tag stays what it is.
SELECT t.error($$SELECT * FROM dialstack.definition_update('def', 'created', '{"tag": "renamed"}')$$);
-- What is changed is validated as a whole.
SELECT t.error($$SELECT * FROM dialstack.definition_update('def', 'created', '{"refresh_expiry": 1, "refresh_period": "mins"}')$$);
SELECT refresh_expiry, refresh_period FROM dialstack.definition_update('def', 'created', '{"refresh_expiry": 1}');
SELECT t.error($$SELECT * FROM dialstack.definition_update('def', 'created', '{"refresh_expiry": null}')$$);
SELECT refresh_expiry, refresh_period FROM dialstack.definition_update('def', 'created', '{"refresh_expiry": null, "refresh_period": null}');
SELECT t.error($$SELECT * FROM dialstack.definition_update('def', 'created', '{"name": null}')$$);
SELECT t.error($$SELECT * FROM dialstack.definition_update('def', 'created', '{"selector": "$Session{unknown}{x}", "schema": {"unknown": "string"}}')$$);
SELECT t.error($$SELECT * FROM dialstack.definition_update('def', 'created', '[]')$$);
SELECT t.error($$SELECT * FROM dialstack.definition_update('def', 'nope', '{}')$$);
SELECT t.error($$SELECT * FROM dialstack.definition_update('nope', 'created', '{}')$$);

-- definition_list shows those of one product, by tag; definition_get one of them.
SELECT product, tag FROM dialstack.definition_list(product => 'def');
SELECT tag FROM dialstack.definition_get('def', 'web');
SELECT t.error($$SELECT * FROM dialstack.definition_get('def', 'nope')$$);
SELECT t.error($$SELECT * FROM dialstack.definition_get('nope', 'web')$$);
SELECT t.error($$SELECT * FROM dialstack.definition_list('nope')$$);

-- definition_delete revokes the sessions of that kind, and returns what the definition was.
SELECT token, refresh_token, session_id FROM dialstack.session_create('def', 'production', 'created', '{"id": 9}') \gset
SELECT token AS other_token FROM dialstack.session_create('def', 'production', 'web', '{"userId": "u"}') \gset
SELECT tag, name FROM dialstack.definition_delete(product => 'def', tag => 'created');
SELECT t.verdict(:'token') AS bare;
-- The session was of this definition: it is revoked, it does not mismatch.
SELECT t.verdict(:'token', 'def', 'production', 'created') AS where_it_belonged;
SELECT t.verdict(:'other_token') AS other;
SELECT ok, reason FROM dialstack.session_refresh(:'refresh_token');
SELECT active, revoke_reason, tag FROM dialstack.session_info(:'session_id');
SELECT t.error($$SELECT * FROM dialstack.definition_delete('def', 'created')$$);
SELECT t.error($$SELECT * FROM dialstack.session_create('def', 'production', 'created', '{"id": 9}')$$);
-- A definition of the same tag is another one.
SELECT tag FROM dialstack.definition_create('def', 'created', 'New', '', '{}', '$Session{id}', 1, 'hours');
SELECT t.verdict(:'token') AS after_recreation;
SELECT count(*) FROM dialstack.session_list('def', 'production', 'created', active_only => false);
