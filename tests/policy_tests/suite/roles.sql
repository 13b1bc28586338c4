-- As which role a test acts, and what ends it.
BEGIN;
CREATE EXTENSION pgtap;
CREATE EXTENSION dialstack_test;
SELECT plan(9);

SELECT dialstack_test.as_user('alice');
SELECT is(current_user, session_user, 'without a role the role stays');
SAVEPOINT before;
SELECT dialstack_test.as_user('bob', role => 'web_shop');
SELECT is(dialstack.current_identifier(), 'bob', 'the next user follows');
SELECT is(current_user::text, 'web_shop', 'as the role that is named');
ROLLBACK TO before;
SELECT is(dialstack.current_identifier(), 'alice', 'a savepoint brings the user back');
SELECT is(current_user, session_user, 'and the role');

SELECT dialstack_test.as_nobody('web_shop');
SELECT is(current_user::text, 'web_shop', 'nobody acts as a role, too');
SELECT is(dialstack.current_session_id(), NULL, 'and has no session');
SELECT is(dialstack.current_session_error(), NULL, 'nor a bad one');
-- What the role may not do, the functions do as the session user, and go back.
SELECT dialstack_test.as_user('carol');
SELECT is(current_user::text, 'web_shop', 'a role that may create no session can act as the next user');

SELECT * FROM finish();
ROLLBACK;
