-- The record of administration: what a call leaves in it, and the log.
SELECT t.product('audit');
-- What names a person is withheld, what is NULL is left out, what is made or counted is the effect.
SELECT count(*) FROM dialstack.session_create('audit', 'production', 'web', '{"userId": "eve@example.com"}', '203.0.113.5', 'EveBrowser');
SELECT count(*) FROM dialstack.session_find('audit', 'production', identifier => 'eve@example.com', ip => '203.0.113.0/24', user_agent => 'Eve%', created_before => 'infinity');
SELECT dialstack.session_count('audit', key_number => -1);
SELECT dialstack.session_revoke_where('audit', identifier => 'eve@example.com');
SELECT dialstack.session_revoke_where('audit', identifier => 'eve@example.com', dry_run => false, reason => 'stolen laptop');
SELECT dialstack.user_export('audit', 'eve@example.com') IS NOT NULL AS exported;
SELECT dialstack.user_erase('audit', 'eve@example.com');
SELECT count(*) FROM dialstack.account_session_create('acct_1', product => 'audit', env => 'staging');
SELECT dialstack.account_session_revoke('acct_1', 'audit', 'staging');
SELECT count(*) FROM dialstack.api_key_create('audit', 'production', name => 'a name');
SELECT function, target, jsonb_object_agg(key, CASE WHEN key LIKE '%id' THEN '"an id"' ELSE value END) FILTER (WHERE key IS NOT NULL) AS effect,
       session_role = session_user AND acting_role = current_user AND at > now() - interval '1 minute' AND client_addr IS NOT DISTINCT FROM inet_client_addr() AS mine
  FROM dialstack.administration_log('audit', per_page => 100) LEFT JOIN jsonb_each(effect) ON true GROUP BY administration_id, function, target, mine ORDER BY administration_id;

-- Pages and filters.
SELECT page, function, total FROM generate_series(1, 3) page, dialstack.administration_log('audit', page => page, per_page => 2, with_total => page < 3);
SELECT function, total FROM dialstack.administration_log('audit', function => 'env_create');
SELECT count(*) FROM dialstack.administration_log('audit', actor => 'nobody');
SELECT count(*) FROM dialstack.administration_log('no such product');
SELECT count(*) > 0 AS of_all, count(*) FILTER (WHERE function = 'maintain') AS maintenance FROM dialstack.administration_log(per_page => 1000);
SELECT count(*) FROM dialstack.maintain();
SELECT function FROM dialstack.administration_log(per_page => 1);
SELECT function, target FROM dialstack.administration_log(per_page => 1, maintenance => true);
SELECT function FROM dialstack.administration_log(per_page => 1, function => 'maintain');
SELECT count(*) FROM dialstack.administration_log('audit', start_at => now() + interval '1 day');
SELECT count(*) FROM dialstack.administration_log('audit', end_at => now() - interval '1 day');
SELECT call, t.error('SELECT * FROM dialstack.administration_log(' || call || ')')
  FROM unnest(ARRAY['page => 0', 'per_page => 1001', 'page => NULL', 'maintenance => NULL', 'with_total => NULL', $$start_at => 'infinity'$$,
                    $$start_at => now(), end_at => now() - interval '1 day'$$]) AS call;

-- A document names no product to the call, and yet changes some.
SELECT dialstack.configuration_export() AS document \gset
SELECT dialstack.env_create('audit', 'brief');
SELECT action, name FROM dialstack.configuration_apply(:'document', dry_run => false);
SELECT function, target, effect FROM dialstack.administration_log('audit', per_page => 1);
SELECT count(*) FROM dialstack.administration_log('audi', function => 'configuration_apply');

-- What fails, or is rolled back, is not in it; what only shows configuration is not either.
SELECT count(*) AS before FROM dialstack.administration \gset
SELECT t.code($$SELECT dialstack.env_delete('audit', 'nope')$$);
BEGIN;
SELECT dialstack.env_delete('audit', 'staging');
ROLLBACK;
SELECT count(*) > 0 AS shown FROM dialstack.env_list('audit'), dialstack.product_list(), dialstack.signing_key_list(), dialstack.definition_list('audit');
SELECT count(*) - :before AS more FROM dialstack.administration;

-- Which events go to the server log.
SELECT setting, t.code(format('SET dialstack_sessions.log_events = %L', setting)) FROM unnest(ARRAY['', 'reuse', 'revoke, administration,refused_key', 'all', 'reuse,', 'revoke verify']) AS setting;
SET dialstack_sessions.log_events = revoke, reuse;
SHOW dialstack_sessions.log_events;
RESET dialstack_sessions.log_events;
