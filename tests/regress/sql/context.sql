-- Who is there: the session of the token in dialstack_sessions.token.
SELECT t.product('who');
SELECT token AS web FROM dialstack.session_create('who', 'production', 'web', '{"userId": "u1", "n": 1}') \gset
SELECT client_secret AS account FROM dialstack.account_session_create('acct_1', '{"call_logs": {"enabled": true}}', 'who', 'production') \gset
SELECT token AS client FROM dialstack.client_session_create(product => 'who', env => 'production', user_identifier_key => 'key_1',
    connected_account_ids => '{00000000-0000-4000-8000-000000000001}', user_identity_ids => '{00000000-0000-4000-8000-000000000002}') \gset
-- What all helpers say.
CREATE FUNCTION t.who() RETURNS TABLE (kind text, identifier text, account text, accounts uuid[], identities uuid[], place text, scopes text[],
    has boolean, data jsonb, has_id boolean, error text) LANGUAGE sql STABLE AS $$
    SELECT dialstack.current_session_kind(), dialstack.current_identifier(), dialstack.current_account(), dialstack.current_connected_accounts(),
           dialstack.current_user_identities(), concat_ws('/', dialstack.current_product(), dialstack.current_env(), dialstack.current_tag()),
           dialstack.current_scopes(), dialstack.has_scope('call_logs'), dialstack.current_data(), dialstack.current_session_id() IS NOT NULL,
           dialstack.current_session_error()
$$;

-- Nobody.
SELECT * FROM t.who();
SET dialstack_sessions.token = '';
SELECT * FROM t.who();
-- Each family; local to the transaction.
BEGIN;
SELECT valid, kind, identifier, product, env, tag FROM dialstack.session_use(:'web');
SELECT * FROM t.who();
SELECT kind, account, scopes FROM dialstack.session_use(:'account');
SELECT * FROM t.who();
SELECT kind, identifier FROM dialstack.session_use(:'client');
SELECT * FROM t.who();
COMMIT;
SELECT * FROM t.who();
-- Bound to a place: a name that is NULL opens nothing, a tag may be left out.
SET dialstack_sessions.token = :'account';
SELECT dialstack.current_account('who', 'production') AS here, dialstack.current_account('who', 'staging') AS env, dialstack.current_account('other', 'production') AS product,
       dialstack.current_account(NULL, 'production') AS no_product, dialstack.current_account('who', NULL) AS no_env,
       dialstack.current_account('who', 'production', 'web') AS tag, dialstack.current_account('who', 'production', NULL) AS any_tag;
SET dialstack_sessions.token = :'web';
SELECT dialstack.current_identifier('who', 'production', 'web') AS tag, dialstack.current_identifier('who', 'production', 'app') AS other_tag,
       dialstack.current_identifier('who', 'production') AS any_tag, dialstack.current_account('who', 'production') AS account;
SET dialstack_sessions.token = :'client';
SELECT dialstack.current_connected_accounts('who', 'production'), dialstack.current_connected_accounts('who', 'staging'),
       dialstack.current_user_identities('who', 'production'), dialstack.current_user_identities('other', 'production');
-- Scopes.
SET dialstack_sessions.token = :'account';
SELECT dialstack.has_scope('call_logs'), dialstack.has_scope('voicemails'), dialstack.has_scope(NULL), dialstack.has_scope('call_logs', 'who', 'production'),
       dialstack.has_scope('call_logs', 'who', 'staging'), dialstack.has_scope('call_logs', 'who', 'production', 'web'), dialstack.has_scope('voicemails', 'who', 'production'),
       dialstack.has_scope('call_logs', NULL, 'production');
SELECT dialstack.require_scope('call_logs');
SELECT t.error($$SELECT dialstack.require_scope('voicemails')$$);
SELECT t.error($$SELECT dialstack.require_scope(NULL)$$);
SELECT dialstack.session_clear();
SELECT t.error($$SELECT dialstack.require_scope('call_logs')$$);
SELECT * FROM t.who();
-- Bad tokens: no session, and the reason.
SET dialstack_sessions.token = 'junk';
SELECT * FROM t.who();
SELECT t.error($$SELECT dialstack.require_scope('call_logs')$$);
SELECT t.error($$SELECT * FROM dialstack.session_use('junk')$$);
SELECT t.error($$SELECT * FROM dialstack.session_use(NULL)$$);
SELECT t.error($$SELECT * FROM dialstack.session_use('junk', NULL)$$);
SELECT t.error($$SELECT dialstack.session_end()$$);
-- A local one outside of a transaction is said to be of no use.
SELECT valid FROM dialstack.session_use(:'web');
-- Logging out.
SELECT valid FROM dialstack.session_use(:'web', is_local => false);
SELECT dialstack.session_end();
SELECT dialstack.current_identifier(), dialstack.current_session_error();
-- Once more is no error: it is what was asked for.
SELECT dialstack.session_end();
SELECT operation, status, reason FROM dialstack.activity WHERE operation = 'revoke' ORDER BY activity_id DESC LIMIT 1;
-- Account and client sessions end in the same way.
SELECT valid FROM dialstack.session_use(:'account', is_local => false);
SELECT dialstack.session_end(), dialstack.current_session_error();
SELECT dialstack.current_session_error();
SELECT valid FROM dialstack.session_use(:'client', is_local => false);
SELECT dialstack.session_end();
SELECT dialstack.current_session_error();

-- PostgREST.
SELECT dialstack.session_clear();
SELECT token AS web FROM dialstack.session_create('who', 'production', 'web', '{"userId": "u4"}') \gset
BEGIN READ ONLY;
SELECT set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'web')::text, true) IS NOT NULL;
SELECT dialstack.postgrest_pre_request();
SELECT dialstack.current_identifier();
COMMIT;
-- A request without a token is nobody's, whatever was left behind.
SELECT valid FROM dialstack.session_use(:'web', is_local => false);
BEGIN READ ONLY;
SELECT set_config('request.headers', '{"authorization": "Basic dTpw"}', true);
SELECT dialstack.postgrest_pre_request();
SELECT dialstack.current_identifier();
COMMIT;
BEGIN;
SELECT dialstack.postgrest_pre_request();
SELECT dialstack.current_identifier();
SELECT set_config('request.headers', '{"authorization": "bearer junk"}', true);
SELECT t.error($$SELECT dialstack.postgrest_pre_request()$$);
SELECT set_config('request.headers', 'junk', true);
SELECT t.error($$SELECT dialstack.postgrest_pre_request()$$);
COMMIT;
SELECT dialstack.session_clear();

-- session_end(token): an expired access token will do, a refresh token, a superseded one; the presented token is then left alone.
SELECT token, refresh_token, session_id FROM dialstack.session_create('who', 'production', 'web', '{"userId": "leaver"}') \gset a_
SELECT token, refresh_token, session_id FROM dialstack.session_create('who', 'production', 'web', '{"userId": "leaver"}') \gset b_
SELECT token, refresh_token, session_id FROM dialstack.session_create('who', 'production', 'web', '{"userId": "leaver"}') \gset c_
SELECT token, refresh_token, session_id FROM dialstack.session_create('who', 'production', 'web', '{"userId": "leaver"}', expires_in => '1 second') \gset d_
SELECT token AS present FROM dialstack.session_create('who', 'production', 'web', '{"userId": "leaver"}') \gset
SELECT ok FROM dialstack.session_refresh(:'c_refresh_token');
SELECT pg_sleep(2.1);
SELECT t.verdict(:'d_token') AS d;
BEGIN;
SELECT valid FROM dialstack.session_use(:'present');
SELECT dialstack.session_end(:'a_token') AS access, dialstack.session_end(:'b_refresh_token') AS refresh, dialstack.session_end(:'c_refresh_token') AS superseded, dialstack.session_end(:'d_token') AS expired;
SELECT dialstack.session_end(:'d_token') AS expired, dialstack.session_end(:'b_refresh_token') AS refresh;
SELECT array_agg(revoke_reason) FROM unnest(ARRAY[:'a_session_id', :'b_session_id', :'c_session_id', :'d_session_id']::uuid[]) AS id, dialstack.session_info(id);
SELECT dialstack.current_identifier() AS still_there, dialstack.session_end() AS presented;
COMMIT;
SELECT label, t.error(format('SELECT dialstack.session_end(%s)', argument))
  FROM (VALUES (1, 'nothing is presented', ''), (2, 'empty', ''''''), (3, 'rubbish', '''x'''), (4, 'cut', quote_literal(left(:'a_refresh_token', -1)))) AS c (n, label, argument) ORDER BY n;
