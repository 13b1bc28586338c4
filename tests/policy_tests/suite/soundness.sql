-- The assertion itself, tested as pgTAP tests its own.
BEGIN;
CREATE EXTENSION pgtap;
CREATE EXTENSION dialstack_test;
SELECT plan(18);

CREATE SCHEMA weak;
CREATE TABLE weak.orders (account text);
SELECT * FROM check_test(dialstack_test.policies_are_sound('weak'), false, 'a schema without a policy',
    'The policies of schema weak should be sound', 'There is no policy in schema weak.');
SELECT * FROM check_test(dialstack_test.policies_are_sound('nonsense'), false, 'no schema',
    'The policies of schema nonsense should be sound', 'There is no policy in schema nonsense.');

CREATE POLICY own ON weak.orders USING (account = (SELECT dialstack.current_account('my-product', 'production')));
ALTER TABLE weak.orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT * FROM check_test(dialstack_test.policies_are_sound('weak', 'error', 'no errors'), true, 'a warning is no error',
    'no errors', '');
SELECT * FROM check_test(dialstack_test.policies_are_sound('weak'), false, 'a warning', NULL,
    '^warning weak.orders, policy own: no_index\n    Column account .* Create an index', true);
CREATE INDEX ON weak.orders (account);
SELECT * FROM check_test(dialstack_test.policies_are_sound('weak'), true, 'a sound policy');

-- Also where the role may not judge.
SELECT dialstack_test.as_nobody('web_shop');
SELECT dialstack_test.policies_are_sound('weak', 'info', 'a role without rights can ask');
SELECT is(current_user::text, 'web_shop', 'the role is what it was');
RESET ROLE;

-- One that is weak does not spoil another schema.
ALTER POLICY own ON weak.orders USING (account = (SELECT dialstack.current_account()));
SELECT * FROM check_test(dialstack_test.policies_are_sound('public'), true, 'another schema');
SELECT * FROM check_test(dialstack_test.policies_are_sound('weak', 'error'), false, 'an error', NULL,
    '^error weak.orders, policy own: not_bound\n', true);
SELECT throws_ok($$SELECT dialstack_test.policies_are_sound('weak', 'fatal')$$, '22023',
    'severity must be error, warning or info', 'a severity must be one');

SELECT * FROM finish();
ROLLBACK;
