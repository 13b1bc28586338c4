-- session_list: pages of sessions.
SELECT t.product('list');
SELECT count(*) FROM generate_series(1, 25) n, dialstack.session_create('list', 'production', 'web', jsonb_build_object('userId', 'user-' || lpad((n % 3)::text, 2, '0')),
    ip => '203.0.113.7', user_agent => 'n' || lpad(n::text, 2, '0'));
SELECT count(*) FROM dialstack.session_create('list', 'staging', 'web', '{"userId": "user-00"}');
SELECT dialstack.session_revoke('list', 'production', 'web', session_id => session_id) FROM dialstack.sessions WHERE user_agent = 'n03';
SELECT t.age(session_id, '31 days') FROM dialstack.sessions WHERE user_agent = 'n06';

-- All living ones of an environment and a tag, by identifier, ten a page, with the total on each row.
SELECT identifier, active, ip, user_agent, total, start_at < end_at AS ends_later, last_seen_at = start_at AS not_refreshed, session_id IS NOT NULL AS session_id
  FROM dialstack.session_list(product => 'list', env => 'production', tag => 'web');
SELECT identifier, user_agent, total FROM dialstack.session_list('list', 'production', 'web', page => 3);
SELECT count(*) AS beyond_the_last FROM dialstack.session_list('list', 'production', 'web', page => 4);
-- Each session is on one page.
SELECT count(*) AS rows, count(DISTINCT session_id) AS sessions FROM generate_series(1, 6) page, dialstack.session_list('list', 'production', 'web', page => page, per_page => 4);
-- One user's, the newest first.
SELECT user_agent, total FROM dialstack.session_list('list', 'production', 'web', identifier => 'user-00');
-- Dead ones too: an end in the past is when it ended.
SELECT user_agent, active, end_at <= now() AS ended, total FROM dialstack.session_list('list', 'production', 'web', identifier => 'user-00', active_only => false);
SELECT user_agent, page FROM generate_series(1, 3) page, dialstack.session_list('list', 'production', 'web', identifier => 'user-00', active_only => false, page => page, per_page => 3);
-- Without the total it is not counted.
SELECT user_agent, total FROM dialstack.session_list('list', 'production', 'web', identifier => 'user-01', per_page => 2, with_total => false);
-- Nobody's.
SELECT count(*) FROM dialstack.session_list('list', 'production', 'web', identifier => 'nobody');
SELECT count(*) FROM dialstack.session_list('list', 'staging', 'web');
-- It reads only: in a READ ONLY transaction too, and without a transaction id.
BEGIN READ ONLY;
SELECT count(*), max(total) AS total, pg_current_xact_id_if_assigned() IS NULL AS without_transaction_id FROM dialstack.session_list('list', 'production', 'web', per_page => 1000);
COMMIT;
-- A page is 1 to 1,000,000 / per_page + 1, of 1 to 1000 rows.
SELECT page, per_page, t.code(format('SELECT * FROM dialstack.session_list(%L, %L, %L, page => %s, per_page => %s)', 'list', 'production', 'web', page, per_page))
  FROM (VALUES (1, 1), (1, 1000), (1001, 1000), (1002, 1000), (1000001, 1), (1000002, 1), (2147483647, 1000), (0, 10), (-1, 10), (-2147483648, 10), (1, 0), (1, -1), (1, 1001), (1, 2147483647)) AS p (page, per_page);
SELECT t.code(c) FROM unnest(ARRAY[
    $$SELECT * FROM dialstack.session_list('nope', 'production', 'web')$$, $$SELECT * FROM dialstack.session_list('list', 'nope', 'web')$$,
    $$SELECT * FROM dialstack.session_list('list', 'production', 'nope')$$, $$SELECT * FROM dialstack.session_list('list', 'production', 'web', identifier => '')$$,
    $$SELECT * FROM dialstack.session_list('list', 'production', 'web', identifier => repeat('x', 256))$$,
    $$SELECT * FROM dialstack.session_list('list', 'production', 'web', page => NULL)$$, $$SELECT * FROM dialstack.session_list('list', 'production', 'web', per_page => NULL)$$,
    $$SELECT * FROM dialstack.session_list('list', 'production', 'web', active_only => NULL)$$, $$SELECT * FROM dialstack.session_list('list', 'production', 'web', with_total => NULL)$$]) AS c;
