-- Scopes: scope_create, scope_delete, and what session_verify says of them.
SELECT t.product('scopes');

-- Eight are built in, each with a description.
SELECT scope, description <> '' AS described, built_in FROM dialstack.scopes ORDER BY scope;
-- More can be made; a name is taken once, built in or not.
SELECT dialstack.scope_create(scope => 'fax', description => 'Send and show faxes');
SELECT scope, description, built_in, created_at > now() - interval '1 minute' AS created_at FROM dialstack.scopes WHERE scope = 'fax';
SELECT t.error($$SELECT dialstack.scope_create('fax', 'again')$$);
SELECT t.error($$SELECT dialstack.scope_create('call_logs', 'mine')$$);
SELECT description <> 'mine' AS unchanged FROM dialstack.scopes WHERE scope = 'call_logs';
-- Names are case-sensitive, of 1 to 63 characters.
SELECT dialstack.scope_create('FAX', '');
SELECT dialstack.scope_create(repeat('s', 63), repeat('d', 2000));
SELECT left(name, 10) AS name, t.code(format('SELECT dialstack.scope_create(%L, %L)', name, ''))
  FROM unnest(ARRAY['', ' ', 'a b', 'a/b', 'a:b', 'a''b', 'é', E'a\n', 'a*', repeat('s', 64), repeat('s', 10000)]) AS name;
SELECT t.error($$SELECT dialstack.scope_create(NULL, 'x')$$);
SELECT t.error($$SELECT dialstack.scope_create('x', NULL)$$);
SELECT t.error($$SELECT dialstack.scope_create('x', repeat('d', 2001))$$);
SELECT t.error($$SELECT dialstack.scope_create('x', E'bell \007')$$);
SELECT count(*) AS made FROM dialstack.scopes WHERE NOT built_in;

-- A new scope is a component like the built-in ones; a session of before does not have it.
SELECT client_secret FROM dialstack.account_session_create('acct_1', '{"fax": {"enabled": true}, "FAX": {"enabled": true}}', 'scopes', 'production') \gset with_
SELECT client_secret FROM dialstack.account_session_create('acct_1', NULL, 'scopes', 'production') \gset all_
SELECT dialstack.scope_create('later', '');
SELECT t.verdict(:'with_client_secret', scope => 'fax') AS fax, t.verdict(:'with_client_secret', scope => 'FAX') AS "FAX", t.verdict(:'with_client_secret', scope => 'Fax') AS "Fax",
       t.verdict(:'with_client_secret', scope => 'call_logs') AS call_logs, t.verdict(:'all_client_secret', scope => 'fax') AS of_all, t.verdict(:'all_client_secret', scope => 'later') AS later;
-- Deleted, it is gone from every living session, and from no other scope's place.
SELECT dialstack.scope_delete(scope => 'fax');
SELECT t.verdict(:'with_client_secret', scope => 'fax') AS fax, t.verdict(:'with_client_secret', scope => 'FAX') AS "FAX", t.verdict(:'with_client_secret') AS itself, t.verdict(:'all_client_secret', scope => 'fax') AS of_all;
SELECT scopes FROM dialstack.session_verify(:'with_client_secret');
SELECT count(*) AS still_hold_it FROM dialstack.sessions WHERE 'fax' = ANY (scopes);
SELECT count(*) AS still_there FROM dialstack.scopes WHERE scope = 'fax';
SELECT t.error($$SELECT * FROM dialstack.account_session_create('acct_1', '{"fax": {"enabled": true}}', 'scopes', 'production')$$);
-- Made anew, it is another: nobody has it back.
SELECT dialstack.scope_create('fax', 'another');
SELECT t.verdict(:'with_client_secret', scope => 'fax') AS fax, t.verdict(:'all_client_secret', scope => 'fax') AS of_all;
-- Undone, it was never deleted.
BEGIN;
SELECT dialstack.scope_delete('FAX');
SELECT t.verdict(:'with_client_secret', scope => 'FAX') AS inside;
ROLLBACK;
SELECT t.verdict(:'with_client_secret', scope => 'FAX') AS afterwards;
-- The last scope of a session: it lives on and may do nothing.
SELECT dialstack.scope_delete('FAX');
SELECT t.verdict(:'with_client_secret') AS itself, scopes FROM dialstack.session_verify(:'with_client_secret');
-- What a dead session held stays as its history.
SELECT dialstack.scope_create('history', '');
SELECT client_secret FROM dialstack.account_session_create('acct_dead', '{"history": {"enabled": true}}', 'scopes', 'production') \gset
UPDATE dialstack.sessions SET revoked_at = now(), revoke_reason = 'revoked' WHERE subject = 'acct_dead';
SELECT dialstack.scope_delete('history');
SELECT scopes FROM dialstack.sessions WHERE subject = 'acct_dead';

-- Built-in scopes stay, and what is not there can't be deleted.
SELECT t.error(format('SELECT dialstack.scope_delete(%L)', scope)) FROM dialstack.scopes WHERE built_in ORDER BY scope;
SELECT t.error($$SELECT dialstack.scope_delete('nope')$$);
SELECT t.error($$SELECT dialstack.scope_delete('')$$);
SELECT t.error($$SELECT dialstack.scope_delete(NULL)$$);
SELECT count(*) AS built_in FROM dialstack.scopes WHERE built_in;

-- A dump carries the scopes that were made here, not those that every installation has.
SELECT condition FROM pg_extension, unnest(extconfig, extcondition) AS c (relation, condition)
 WHERE extname = 'dialstack_sessions' AND relation = 'dialstack.scopes'::regclass \gset dump_
SELECT left(scope, 10) AS scope FROM dialstack.scopes :dump_condition ORDER BY scope;
SELECT relation::regclass, condition FROM pg_extension, unnest(extconfig, extcondition) AS c (relation, condition)
 WHERE extname = 'dialstack_sessions' AND relation IN ('dialstack.scopes'::regclass, 'dialstack.api_keys'::regclass)
 ORDER BY relation::regclass::text;
DELETE FROM dialstack.scopes WHERE NOT built_in;
