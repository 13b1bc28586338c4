BEGIN;
CREATE EXTENSION pgtap;
CREATE EXTENSION dialstack_test;
SELECT plan(5);

SELECT dialstack_test.as_client('{00000000-0000-4000-8000-000000000001}', role => 'web_shop');
SELECT results_eq('SELECT name FROM locks', ARRAY['front door'], 'a client sees the locks of its connected account');
SELECT is_empty('SELECT name FROM guests', 'a client sees no guest of others');

SELECT dialstack_test.as_client(user_identity_ids => '{00000000-0000-4000-8000-000000000004}');
SELECT is_empty('SELECT name FROM locks', 'a client without a connected account sees no lock');
SELECT results_eq('SELECT name FROM guests', ARRAY['Bert'], 'a client sees the guest that it is');

SELECT dialstack_test.as_nobody();
SELECT is_empty('SELECT name FROM locks UNION SELECT name FROM guests', 'nobody sees a lock or a guest');

SELECT * FROM finish();
ROLLBACK;
