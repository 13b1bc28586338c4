-- Scopes: scope_create, scope_delete, and what session_verify says of them.
SELECT t.product('scopes');
SELECT t.product('scopes2');
CREATE VIEW t.scopes AS SELECT product, scope, description, s.created_at FROM dialstack.scopes s JOIN dialstack.products USING (product_id) WHERE product IN ('scopes', 'scopes2');

-- A product begins with eight, each with a description.
SELECT scope, description <> '' AS described FROM t.scopes WHERE product = 'scopes' ORDER BY scope;
-- More can be created; a name is taken once in a product.
SELECT dialstack.scope_create(scope => 'fax', description => 'Send and show faxes', product => 'scopes');
SELECT scope, description, created_at > now() - interval '1 minute' AS created_at FROM t.scopes WHERE scope = 'fax';
SELECT t.error($$SELECT dialstack.scope_create('fax', 'again', 'scopes')$$);
SELECT t.error($$SELECT dialstack.scope_create('call_logs', 'mine', 'scopes')$$);
SELECT description <> 'mine' AS unchanged FROM t.scopes WHERE product = 'scopes' AND scope = 'call_logs';
-- Another product's scope of that name is another scope.
SELECT dialstack.scope_create('fax', 'Other faxes', 'scopes2');
SELECT product, description FROM t.scopes WHERE scope = 'fax' ORDER BY product;
-- Names are case-sensitive, of 1 to 63 characters.
SELECT dialstack.scope_create('FAX', '', 'scopes');
SELECT dialstack.scope_create(repeat('s', 63), repeat('d', 2000), 'scopes');
SELECT t.code($$SELECT dialstack.scope_create('a b', '', 'scopes')$$);
SELECT t.error($$SELECT dialstack.scope_create(NULL, 'x', 'scopes')$$);
SELECT t.error($$SELECT dialstack.scope_create('x', NULL, 'scopes')$$);
SELECT t.error($$SELECT dialstack.scope_create('x', repeat('d', 2001), 'scopes')$$);
SELECT t.error($$SELECT dialstack.scope_create('x', E'bell \007', 'scopes')$$);
SELECT t.error($$SELECT dialstack.scope_create('x', 'x', 'nope')$$);
SELECT count(*) AS created FROM t.scopes WHERE product = 'scopes';

-- A new scope is a component like the first ones; a session of before does not have it.
SELECT client_secret FROM dialstack.account_session_create('acct_1', '{"fax": {"enabled": true}, "FAX": {"enabled": true}}', 'scopes', 'production') \gset with_
SELECT client_secret FROM dialstack.account_session_create('acct_1', NULL, 'scopes', 'staging') \gset all_
SELECT client_secret FROM dialstack.account_session_create('acct_1', NULL, 'scopes2', 'production') \gset other_
SELECT dialstack.scope_create('later', '', 'scopes');
SELECT t.verdict(:'with_client_secret', scope => 'fax') AS fax, t.verdict(:'with_client_secret', scope => 'FAX') AS "FAX", t.verdict(:'with_client_secret', scope => 'Fax') AS "Fax",
       t.verdict(:'with_client_secret', scope => 'call_logs') AS call_logs, t.verdict(:'all_client_secret', scope => 'fax') AS of_all, t.verdict(:'all_client_secret', scope => 'later') AS later;
-- Leaving components out enables those of the product; another product's are unknown.
SELECT t.verdict(:'other_client_secret', scope => 'fax') AS of_other, t.verdict(:'other_client_secret', scope => 'FAX') AS "FAX";
SELECT t.error($$SELECT * FROM dialstack.account_session_create('acct_1', '{"FAX": {"enabled": true}}', 'scopes2', 'production')$$);
-- Deleted, it is gone from every living session of the product, and from no other scope's place.
SELECT dialstack.scope_delete(scope => 'fax', product => 'scopes');
SELECT t.verdict(:'with_client_secret', scope => 'fax') AS fax, t.verdict(:'with_client_secret', scope => 'FAX') AS "FAX", t.verdict(:'with_client_secret') AS itself, t.verdict(:'all_client_secret', scope => 'fax') AS of_all,
       t.verdict(:'other_client_secret', scope => 'fax') AS of_other;
SELECT scopes FROM dialstack.session_verify(:'with_client_secret');
SELECT product, count(*) AS hold_it FROM dialstack.sessions JOIN dialstack.environments USING (env_id) JOIN dialstack.products USING (product_id) WHERE 'fax' = ANY (scopes) GROUP BY 1;
SELECT product FROM t.scopes WHERE scope = 'fax';
SELECT t.code($$SELECT * FROM dialstack.account_session_create('acct_1', '{"fax": {"enabled": true}}', 'scopes', 'production')$$);
-- Created anew, it is another: nobody has it back.
SELECT dialstack.scope_create('fax', 'another', 'scopes');
SELECT t.verdict(:'with_client_secret', scope => 'fax') AS fax, t.verdict(:'all_client_secret', scope => 'fax') AS of_all;
-- Undone, it was never deleted.
BEGIN;
SELECT dialstack.scope_delete('FAX', 'scopes');
SELECT t.verdict(:'with_client_secret', scope => 'FAX') AS inside;
ROLLBACK;
SELECT t.verdict(:'with_client_secret', scope => 'FAX') AS afterwards;
-- The last scope of a session: it lives on and may do nothing.
SELECT dialstack.scope_delete('FAX', 'scopes');
SELECT t.verdict(:'with_client_secret') AS itself, scopes FROM dialstack.session_verify(:'with_client_secret');
-- What a dead session held stays as its history.
SELECT dialstack.scope_create('history', '', 'scopes');
SELECT client_secret FROM dialstack.account_session_create('acct_dead', '{"history": {"enabled": true}}', 'scopes', 'production') \gset
UPDATE dialstack.sessions SET revoked_at = now(), revoke_reason = 'revoked' WHERE subject = 'acct_dead';
SELECT dialstack.scope_delete('history', 'scopes');
SELECT scopes FROM dialstack.sessions WHERE subject = 'acct_dead';

-- Any scope can be deleted; one that the product does not have cannot.
SELECT t.error($$SELECT dialstack.scope_delete('later', 'scopes2')$$);
SELECT t.error($$SELECT dialstack.scope_delete('', 'scopes')$$);
SELECT t.error($$SELECT dialstack.scope_delete(NULL, 'scopes')$$);
SELECT t.error($$SELECT dialstack.scope_delete('fax', 'nope')$$);
SELECT count(dialstack.scope_delete(scope, product)) AS deleted FROM t.scopes WHERE product = 'scopes2';
SELECT t.verdict(:'other_client_secret') AS of_other, t.verdict(:'other_client_secret', scope => 'call_logs') AS call_logs, t.verdict(:'all_client_secret', scope => 'call_logs') AS of_all;
-- A product without scopes: no account session, whatever is asked for.
SELECT t.error($$SELECT * FROM dialstack.account_session_create('acct_1', NULL, 'scopes2', 'production')$$);
SELECT t.error($$SELECT * FROM dialstack.account_session_create('acct_1', '{"fax": {"enabled": true}}', 'scopes2', 'production')$$);

-- Without a product, the only one of the database is meant.
CREATE DATABASE regress_scopes;
\c regress_scopes
SET client_min_messages = warning;
CREATE EXTENSION dialstack_sessions;
\set VERBOSITY default
SELECT dialstack.scope_create('fax', '');
SELECT dialstack.product_create('one', scopes => '{}') IS NOT NULL AS created;
SELECT dialstack.scope_create('fax', '');
SELECT dialstack.scope_create('voicemails', '');
SELECT dialstack.scope_delete('fax');
SELECT product, scope FROM dialstack.scopes JOIN dialstack.products USING (product_id);
-- Of several, ten at most are named.
SELECT dialstack.product_create('two', scopes => '{}') IS NOT NULL AS created;
SELECT dialstack.scope_create('fax', '');
SELECT dialstack.scope_delete('voicemails');
SELECT count(dialstack.product_create('p' || n, scopes => '{}')) AS created FROM generate_series(10, 19) AS n;
SELECT dialstack.scope_create('fax', '');
-- The scopes go with their product.
DELETE FROM dialstack.products;
SELECT count(*) FROM dialstack.scopes;
\c postgres
DROP DATABASE regress_scopes;
