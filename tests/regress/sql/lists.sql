-- What there is: product_list, env_list, scope_list; and product_delete.
SELECT t.product('lists');
SELECT dialstack.product_create('lists.other', name => 'Other', scopes => '{b, a}') IS NOT NULL AS created;
SELECT product, name, created_at <= now() AS past FROM dialstack.product_list() WHERE product LIKE 'lists%';
SELECT count(*) = (SELECT count(*) FROM dialstack.products) AS all_of_them FROM dialstack.product_list();
SELECT product, env, live FROM dialstack.env_list('lists');
SELECT count(*) AS of_other FROM dialstack.env_list('lists.other');
SELECT product, env FROM dialstack.env_list() WHERE product LIKE 'lists%';
SELECT product, scope, description FROM dialstack.scope_list('lists.other');
SELECT count(*) AS built_in FROM dialstack.scope_list('lists');
SELECT t.code($$SELECT * FROM dialstack.env_list('nope')$$), t.code($$SELECT * FROM dialstack.scope_list('nope')$$);
BEGIN READ ONLY;
SELECT count(*) > 0 AS listed FROM dialstack.product_list();
ROLLBACK;
SELECT api_key FROM dialstack.api_key_create('lists', 'production') \gset
SELECT set_config('dialstack_sessions.api_key', :'api_key', false) <> '' AS presented;
SELECT t.kind($$SELECT * FROM dialstack.product_list()$$), t.kind($$SELECT * FROM dialstack.env_list()$$), t.kind($$SELECT * FROM dialstack.scope_list()$$), t.kind($$SELECT dialstack.product_delete('lists')$$);
RESET dialstack_sessions.api_key;

-- Deleting a product revokes what lives in it, and leaves the others.
SELECT token, session_id FROM dialstack.session_create('lists', 'production', 'web', '{"userId": "ann"}') \gset
SELECT client_secret FROM dialstack.account_session_create('acct', product => 'lists', env => 'staging') \gset
BEGIN;
SELECT dialstack.product_delete('lists');
SELECT t.verdict(:'token');
ROLLBACK;
SELECT t.verdict(:'token'), t.verdict(:'client_secret');
SELECT dialstack.product_delete('lists');
SELECT t.verdict(:'token'), t.verdict(:'client_secret');
SELECT revoke_reason FROM dialstack.session_info(:'session_id');
SELECT product FROM dialstack.product_list() WHERE product LIKE 'lists%';
SELECT t.code($$SELECT dialstack.product_delete('lists')$$), t.code($$SELECT dialstack.product_delete(NULL)$$), t.code($$SELECT * FROM dialstack.env_list('lists')$$);
-- The name can be used again; the sessions of before stay dead.
SELECT t.product('lists');
SELECT t.verdict(:'token'), t.verdict(:'client_secret');
