-- env_update: renaming an environment, and making it live or one for tests.
SELECT t.product('eu');
SELECT token, refresh_token, session_id FROM dialstack.session_create('eu', 'production', 'web', '{"userId": "ann"}') \gset
SELECT client_secret FROM dialstack.account_session_create('acct', product => 'eu', env => 'production') \gset
SELECT token AS client_token FROM dialstack.client_session_create(user_identifier_key => 'ann', product => 'eu', env => 'production') \gset
SELECT api_key FROM dialstack.api_key_create('eu', 'production') \gset
-- Nobody is logged out by another name: the access token of before names the old one, and is good.
SELECT t.verdict(:'token');
SELECT dialstack.env_update('eu', 'production', new_name => 'main');
SELECT env, live FROM dialstack.env_list('eu');
SELECT valid, env, identifier FROM dialstack.session_verify(:'token');
SELECT t.verdict(:'token', 'eu', 'main', 'web') AS new_name, t.verdict(:'token', 'eu', 'production', 'web') AS old_name;
SELECT t.verdict(:'client_secret', 'eu', 'main') AS account, t.verdict(:'client_token', 'eu', 'main') AS client;
SELECT ok, reason, token <> :'token' AS another FROM dialstack.session_refresh(:'refresh_token', 'eu', 'main', 'web');
SELECT dialstack.token_introspect((SELECT token FROM dialstack.session_refresh(:'refresh_token'))) ->> 'aud' AS aud;
BEGIN;
SELECT valid, env FROM dialstack.session_use(:'token', is_local => true);
SELECT dialstack.current_env(), dialstack.current_identifier('eu', 'main'), dialstack.current_identifier('eu', 'production');
COMMIT;
SELECT set_config('dialstack_sessions.api_key', :'api_key', false) <> '' AS presented;
SELECT account_id FROM dialstack.account_session_create('acct', product => 'eu', env => 'main');
RESET dialstack_sessions.api_key;
SELECT count(*) AS sessions FROM dialstack.session_list('eu', 'main', 'web');
SELECT t.code($$SELECT * FROM dialstack.session_list('eu', 'production', 'web')$$);
-- Another environment under the old name is another one: its tokens and those of before are not mixed up.
SELECT dialstack.env_create('eu', 'production');
SELECT t.verdict(:'token', 'eu', 'production') AS old_name, t.verdict(:'token', 'eu', 'main') AS new_name;
SELECT token AS other_token FROM dialstack.session_create('eu', 'production', 'web', '{"userId": "bob"}') \gset
SELECT t.verdict(:'other_token', 'eu', 'production') AS its_own, t.verdict(:'other_token', 'eu', 'main') AS the_renamed;
-- Back and forth: each name that it had, once.
BEGIN;
SELECT dialstack.env_update('eu', 'production', 'second'), dialstack.env_update('eu', 'main', 'production'), dialstack.env_update('eu', 'production', 'main');
SELECT former_names FROM dialstack.environments JOIN dialstack.products USING (product_id) WHERE product = 'eu' AND env = 'main';
SELECT t.verdict(:'token', 'eu', 'main') AS renamed_thrice, t.verdict(:'other_token', 'eu', 'second') AS renamed_once;
ROLLBACK;
-- Rolled back, it never happened.
BEGIN;
SELECT dialstack.env_update('eu', 'main', 'other');
SELECT t.verdict(:'token', 'eu', 'other');
ROLLBACK;
SELECT t.verdict(:'token', 'eu', 'main');

-- A name is valid and free; without a change nothing happens.
SELECT t.error($$SELECT dialstack.env_update('eu', 'main', 'production')$$);
SELECT t.code($$SELECT dialstack.env_update('eu', 'main', 'a b')$$), t.code($$SELECT dialstack.env_update('eu', 'nope', 'x')$$), t.code($$SELECT dialstack.env_update('nope', 'main', 'x')$$),
       t.code($$SELECT dialstack.env_update(NULL, 'main', 'x')$$), t.code($$SELECT dialstack.env_update('eu', NULL, 'x')$$);
SELECT dialstack.env_update('eu', 'main'), dialstack.env_update('eu', 'main', 'main', true);

-- Live or for tests: only while nothing lives there whose token says which.
SELECT t.error($$SELECT dialstack.env_update('eu', 'main', live => false)$$);
SELECT dialstack.session_revoke_where(product => 'eu', env => 'main', dry_run => false);
SELECT t.error($$SELECT dialstack.env_update('eu', 'main', live => false)$$);
SELECT dialstack.api_key_revoke(api_key_id) FROM dialstack.api_key_list('eu', 'main');
SELECT dialstack.env_update('eu', 'main', 'test', live => false);
SELECT env, live FROM dialstack.env_list('eu');
SELECT left(refresh_token, 8) FROM dialstack.session_create('eu', 'test', 'web', '{"userId": "ann"}');
SELECT t.code($$SELECT dialstack.env_update('eu', 'test', live => true)$$);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT t.code($$SELECT dialstack.env_update('eu', 'test', live => true)$$);
ROLLBACK;

-- Policies and triggers name the environment: it keeps its name until they name another one.
CREATE SCHEMA eu;
CREATE TABLE eu.orders (account text) PARTITION BY LIST (account);
CREATE TABLE eu.orders_a PARTITION OF eu.orders FOR VALUES IN ('acct');
CREATE TABLE eu."Odd Name" (connected uuid);
CREATE TABLE eu.users (id text PRIMARY KEY);
CREATE TABLE eu.handwritten (id text);
SELECT dialstack.protect_table('eu.orders', 'account', 'eu', 'test', open_to => '{postgres}', scope => 'fax', force => true) FROM dialstack.scope_create('fax', '', 'eu');
SELECT dialstack.protect_table('eu."Odd Name"', 'connected', 'eu', 'production', by => 'connected_account', device => true);
SELECT dialstack.revoke_sessions_on('eu.users', 'id', 'eu', 'test');
CREATE TRIGGER mine AFTER DELETE ON eu.handwritten FOR EACH ROW EXECUTE FUNCTION dialstack.revoke_on_change('eu', 'test', '', 'id');
SELECT t.error($$SELECT dialstack.env_update('eu', 'test', 'trial')$$);
SELECT dialstack.env_update('eu', 'test', live => NULL);
-- A policy that has but the name and the comment of one of ours, which whoever owns a table can write, is in nobody's way.
CREATE TABLE eu.forged (account text);
CREATE POLICY dialstack_sessions_access ON eu.forged USING (true);
DO $$ BEGIN
    EXECUTE format('COMMENT ON POLICY dialstack_sessions_access ON eu.forged IS %L', obj_description(oid, 'pg_policy'))
       FROM pg_policy WHERE polrelid = 'eu.orders'::regclass AND polname = 'dialstack_sessions_access';
END $$;
SELECT t.error($$SELECT dialstack.env_update('eu', 'test', 'trial')$$);
DROP TABLE eu.forged;
-- protected_table_list says what protect_table was called with; partitions are part of the whole.
SELECT * FROM dialstack.protected_table_list() WHERE product = 'eu';
SELECT dialstack.revoke_sessions_off('eu.users');
DROP TRIGGER mine ON eu.handwritten;
BEGIN;
CREATE TEMPORARY TABLE protected ON COMMIT DROP AS SELECT * FROM dialstack.protected_table_list() WHERE (product, env) = ('eu', 'test');
SELECT dialstack.unprotect_table(relation) FROM protected;
SELECT dialstack.env_update('eu', 'test', 'trial');
SELECT dialstack.protect_table(relation, column_name, product, 'trial', by, tag, scope, device, open_to::regrole[], force) FROM protected;
COMMIT;
SELECT relation, column_name, env, by, scope, device, open_to, force FROM dialstack.protected_table_list() WHERE product = 'eu';
SELECT count(*) AS weaknesses FROM dialstack.policy_lint() WHERE relation = ANY ('{eu.orders,eu.orders_a}'::regclass[]) AND severity = 'error';
-- A policy without its comment is listed too.
COMMENT ON POLICY dialstack_sessions_access ON eu.orders IS 'mine';
SELECT * FROM dialstack.protected_table_list() WHERE relation = 'eu.orders'::regclass;
BEGIN READ ONLY;
SELECT count(*) > 0 AS listed FROM dialstack.protected_table_list();
ROLLBACK;
SET dialstack_sessions.api_key = 'sk_live_x';
SELECT t.kind('SELECT * FROM dialstack.protected_table_list()');
RESET dialstack_sessions.api_key;
DROP SCHEMA eu CASCADE;
SELECT dialstack.product_delete('eu');
