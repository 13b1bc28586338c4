-- product_create, env_create, env_delete.

-- A product has an id; its display name is its name unless another is given.
SELECT dialstack.product_create(product => 'pe') IS NOT NULL AS has_id;
SELECT dialstack.product_create(product => 'pe.Named_2-x', name => 'Ünnamed Product') AS id \gset
SELECT product, name, product_id = :'id' AS told_the_id FROM dialstack.products WHERE product = 'pe.Named_2-x';
SELECT name FROM dialstack.products WHERE product = 'pe';
-- Names are case-sensitive.
SELECT dialstack.product_create(product => 'PE') IS NOT NULL AS another;
-- A name is taken once.
SELECT t.error($$SELECT dialstack.product_create('pe')$$);
-- The longest name has 63 characters.
SELECT dialstack.product_create(product => repeat('p', 63)) IS NOT NULL AS accepted;
SELECT t.error($$SELECT dialstack.product_create(repeat('p', 64))$$);
SELECT name, t.code(format('SELECT dialstack.product_create(%L)', name))
  FROM unnest(ARRAY['', ' ', 'a b', 'a/b', 'a:b', 'a''b', 'é', E'a\n', 'a*']) AS name;
SELECT t.error($$SELECT dialstack.product_create('pe2', name => '')$$);
SELECT t.error($$SELECT dialstack.product_create('pe2', name => E'two\nlines')$$);
SELECT t.error($$SELECT dialstack.product_create('pe2', name => repeat('n', 201))$$);
-- A product has the eight built-in scopes, or those that are named; these have a description only if they are built in.
SELECT product, dialstack.product_create(product, scopes => scopes) IS NOT NULL AS created
  FROM (VALUES ('pe.default', NULL), ('pe.none', '{}'::text[]), ('pe.own', '{fax,call_logs,fax}')) AS c (product, scopes);
SELECT product, count(scope) AS scopes FROM dialstack.products LEFT JOIN dialstack.scopes USING (product_id) WHERE product IN ('pe', 'pe.default', 'pe.none', 'pe.own') GROUP BY product ORDER BY product;
SELECT scope, description FROM dialstack.scopes JOIN dialstack.products USING (product_id) WHERE product = 'pe.own' ORDER BY scope;
SELECT scopes, t.error(format('SELECT dialstack.product_create(%L, scopes => %L)', 'pe2', scopes)) FROM unnest(ARRAY['{call_logs,NULL}', '{call logs}', '{""}']) AS scopes;
SELECT count(*) AS made FROM dialstack.products WHERE product = 'pe2';

-- Environments belong to a product; they are live unless said otherwise.
SELECT dialstack.env_create(product => 'pe', env => 'production');
SELECT dialstack.env_create(product => 'pe', env => 'staging', live => false);
SELECT dialstack.env_create(product => 'PE', env => 'production');
SELECT product, env, live FROM dialstack.environments JOIN dialstack.products USING (product_id)
 WHERE product IN ('pe', 'PE') ORDER BY product, environments.env;
SELECT t.error($$SELECT dialstack.env_create('pe', 'production')$$);
SELECT t.error($$SELECT dialstack.env_create('nope', 'production')$$);
SELECT t.code($$SELECT dialstack.env_create('pe', 'pro duction')$$);
SELECT t.code($$SELECT dialstack.env_create('pe', repeat('e', 64))$$);
SELECT t.error($$SELECT dialstack.env_delete('pe', 'nope')$$);
SELECT t.error($$SELECT dialstack.env_delete('nope', 'production')$$);

-- The prefix of a refresh token tells live from test.
SELECT tag FROM dialstack.definition_create('pe', 'web', 'Web', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours');
SELECT left(refresh_token, 8) FROM dialstack.session_create('pe', 'production', 'web', '{"userId": "u"}');
SELECT left(refresh_token, 8) FROM dialstack.session_create('pe', 'staging', 'web', '{"userId": "u"}');

-- Deleting an environment revokes what lives in it, and nothing else.
SELECT token, refresh_token, session_id FROM dialstack.session_create('pe', 'staging', 'web', '{"userId": "doomed"}') \gset doomed_
SELECT token FROM dialstack.session_create('pe', 'production', 'web', '{"userId": "u"}') \gset other_
SELECT dialstack.env_delete(product => 'pe', env => 'staging');
SELECT t.verdict(:'other_token') AS other;
SELECT t.verdict(:'doomed_token') AS bare;
-- The session was of this product and environment: it is revoked, it does not mismatch.
SELECT t.verdict(:'doomed_token', 'pe', 'staging', 'web') AS where_it_belonged;
SELECT t.verdict(:'doomed_token', 'pe', 'production', 'web') AS elsewhere;
SELECT ok, reason FROM dialstack.session_refresh(:'doomed_refresh_token');
SELECT active, revoke_reason, product, env FROM dialstack.session_info(:'doomed_session_id');
SELECT t.error($$SELECT dialstack.session_create('pe', 'staging', 'web', '{"userId": "u"}')$$);
-- An environment of the same name is another one: old tokens stay dead.
SELECT dialstack.env_create(product => 'pe', env => 'staging', live => false);
SELECT t.verdict(:'doomed_token') AS after_recreation;
SELECT ok, reason FROM dialstack.session_refresh(:'doomed_refresh_token');
SELECT count(*) FROM dialstack.session_list('pe', 'staging', 'web', active_only => false);

-- An administrator's own DELETE counts too, at the next statement.
SELECT token, refresh_token FROM dialstack.session_create('pe', 'staging', 'web', '{"userId": "u"}') \gset by_hand_
SELECT t.verdict(:'by_hand_token') AS before;
DELETE FROM dialstack.environments WHERE env = 'staging' AND product_id = (SELECT product_id FROM dialstack.products WHERE product = 'pe');
SELECT t.verdict(:'by_hand_token') AS after;
SELECT ok, reason FROM dialstack.session_refresh(:'by_hand_refresh_token');
-- Rolled back, it never happened.
BEGIN;
SELECT dialstack.env_delete('pe', 'production');
SELECT t.verdict(:'other_token') AS inside;
ROLLBACK;
SELECT t.verdict(:'other_token') AS afterwards;
