BEGIN;
CREATE EXTENSION pgtap;
CREATE EXTENSION dialstack_test;
SELECT plan(8);

SELECT dialstack_test.as_account('acct_1', role => 'web_shop');
SELECT is(current_user::text, 'web_shop', 'an account acts as the role that is named');
SELECT results_eq('SELECT message FROM voicemails', ARRAY['Call back, please'], 'an account sees its voicemails');
SELECT ok(dialstack.has_scope('call_logs'), 'an account has every scope where none is named');

SELECT dialstack_test.as_account('acct_1', '{call_logs}');
SELECT is(dialstack.current_scopes(), '{call_logs}', 'an account has the scopes that are named');
SELECT is_empty('SELECT message FROM voicemails', 'an account without the scope sees no voicemail');

SELECT throws_ok($$SELECT dialstack_test.as_account('acct_1', '{}')$$, '22023', NULL, 'no account is without a scope');
SELECT throws_ok($$SELECT dialstack_test.as_account('acct_1', '{nonsense}')$$, '42704', NULL, 'a scope must be there');

SELECT dialstack_test.as_user('acct_1');
SELECT is_empty('SELECT message FROM voicemails', 'a user is no account');

SELECT * FROM finish();
ROLLBACK;
