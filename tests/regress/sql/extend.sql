-- session_extend: moves a living session's end.
SELECT t.product('ext');
SELECT token, refresh_token, session_id, expires_at FROM dialstack.session_create('ext', 'production', 'web', '{"userId": "u"}') \gset
SELECT end_at FROM dialstack.session_info(:'session_id') \gset
SELECT session_id = :'session_id' AS session_id, expires_at = :'end_at'::timestamptz + interval '5 days' AS five_days_more FROM dialstack.session_extend(session_id => :'session_id', by => '5 days');
SELECT end_at = :'end_at'::timestamptz + interval '5 days' AS five_days_more, active FROM dialstack.session_info(:'session_id');
SELECT purge_after = (expires_at AT TIME ZONE 'UTC')::date AS purge_after FROM dialstack.sessions WHERE session_id = :'session_id';
-- Access tokens that are out keep their own expiry.
SELECT expires_at = :'expires_at' AS unchanged FROM dialstack.session_verify(:'token');
-- The activity has it as what it is: no refresh.
SELECT operation, status, expires_after - expires_before AS by FROM dialstack.activity WHERE session_id = :'session_id' ORDER BY activity_id;
-- A refresh does not take it back.
SELECT end_at AS extended FROM dialstack.session_info(:'session_id') \gset
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
SELECT end_at >= :'extended' AS still_extended FROM dialstack.session_info(:'session_id');
-- max_lifetime is never extended.
SELECT tag FROM dialstack.definition_create('ext', 'capped', 'Capped', '', '{}', '$Session{userId}', 1, 'hours', refresh_expiry => 2, refresh_period => 'hours', max_lifetime => '3 hours');
SELECT session_id FROM dialstack.session_create('ext', 'production', 'capped', '{"userId": "u"}') \gset
SELECT expires_at - now() BETWEEN interval '2 hours 30 minutes' - interval '5 seconds' AND interval '2 hours 30 minutes 1 second' AS half_an_hour_more
  FROM dialstack.session_extend(:'session_id', '30 minutes');
SELECT expires_at - start_at BETWEEN interval '3 hours' AND interval '3 hours 1 second' AS capped FROM dialstack.session_extend(:'session_id', '10 hours'), dialstack.session_info(:'session_id');
SELECT end_at FROM dialstack.session_info(:'session_id') \gset
SELECT expires_at = :'end_at' AS no_further FROM dialstack.session_extend(:'session_id', '10 hours');
-- Nor does it keep a session beyond idle_timeout from its last refresh.
SELECT tag FROM dialstack.definition_create('ext', 'idle', 'Idle', '', '{}', '$Session{userId}', 1, 'hours', refresh_expiry => 2, refresh_period => 'hours', idle_timeout => '3 hours');
SELECT session_id FROM dialstack.session_create('ext', 'production', 'idle', '{"userId": "u"}') \gset
SELECT expires_at - last_seen_at BETWEEN interval '3 hours' AND interval '3 hours 1 second' AS capped FROM dialstack.session_extend(:'session_id', '10 hours'), dialstack.session_info(:'session_id');
-- A rollback takes it back.
SELECT session_id FROM dialstack.session_create('ext', 'production', 'web', '{"userId": "u"}') \gset
SELECT end_at FROM dialstack.session_info(:'session_id') \gset
BEGIN;
SELECT count(*) FROM dialstack.session_extend(:'session_id', '1 day');
ROLLBACK;
SELECT end_at = :'end_at' AS unchanged FROM dialstack.session_info(:'session_id');
-- Only a positive time of at most 100 years.
SELECT by, t.error(format('SELECT * FROM dialstack.session_extend(%L, %L::interval)', :'session_id', by))
  FROM unnest(ARRAY['0', '-1 second', '102 years', '178000000 years', '1 month -31 days']) AS by;
SELECT t.error(format('SELECT * FROM dialstack.session_extend(%L, NULL)', :'session_id'));
SELECT t.error($$SELECT * FROM dialstack.session_extend(NULL, '1 day')$$);
-- Again and again does not go beyond it either.
SELECT t.code(format('SELECT * FROM dialstack.session_extend(%L, %L)', :'session_id', '99 years'));
SELECT t.error(format('SELECT * FROM dialstack.session_extend(%L, %L)', :'session_id', '99 years'));
-- It must live: what ended is not brought back.
SELECT t.error($$SELECT * FROM dialstack.session_extend('00000000-0000-0000-0000-000000000000', '1 day')$$);
BEGIN;
UPDATE dialstack.sessions SET expires_at = now() WHERE session_id = :'session_id';
SELECT t.code(format('SELECT * FROM dialstack.session_extend(%L, %L)', :'session_id', '1 day')) AS expired;
ROLLBACK;
SELECT dialstack.session_revoke('ext', 'production', 'web', session_id => :'session_id');
SELECT t.code(format('SELECT * FROM dialstack.session_extend(%L, %L)', :'session_id', '1 day')) AS revoked;
