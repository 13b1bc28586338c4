-- The life of a user's session, in the words of the manual. Run by `make demo`.

-- Once, by an administrator: a product, an environment, and the kind of session that it has.
SELECT dialstack.product_create(product => 'demo-shop');
SELECT dialstack.env_create(product => 'demo-shop', env => 'production');
SELECT tag, selector, expiry, period, refresh_expiry, refresh_period, reuse_interval
FROM dialstack.definition_create(
    product => 'demo-shop',
    tag => 'web',
    name => 'Web session',
    description => 'A customer who logged in to the shop',
    schema => '{"userId": {"type": "string", "required": true}, "cart": {"type": "number"}}',
    selector => '$Session{userId}',
    expiry => 15,
    period => 'minutes');

-- A customer logs in: the backend creates a session and hands both tokens out.
SELECT *
FROM dialstack.session_create(
    product => 'demo-shop',
    env => 'production',
    tag => 'web',
    data => '{"userId": "user_456", "cart": 3}',
    ip => '203.0.113.7',
    user_agent => 'Firefox') \gset first_
\echo access token: :first_token
\echo refresh token: :first_refresh_token

-- With each request comes the access token: verify answers who it is.
SELECT valid, kind, identifier, data, expires_at, product, env, tag
FROM dialstack.session_verify(token => :'first_token') \gx

-- A bad token is an answer, not an error.
SELECT valid, reason FROM dialstack.session_verify(token => 'rubbish');

-- Refreshing rotates: new tokens, the same session.
SELECT * FROM dialstack.session_refresh(refresh_token => :'first_refresh_token') \gset second_
SELECT :'second_ok' AS ok,
    :'second_session_id' = :'first_session_id' AS same_session,
    :'second_refresh_token' <> :'first_refresh_token' AS new_refresh_token;
SELECT ok AS third_ok, refresh_token AS third_refresh_token
FROM dialstack.session_refresh(refresh_token => :'second_refresh_token') \gset
SELECT :'third_ok' AS ok;

-- Somebody stole the first refresh token and tries it now. It is two rotations old, so it was used
-- by two parties: the session dies at once, for the thief and for the customer, who logs in again.
SELECT ok, reason FROM dialstack.session_refresh(refresh_token => :'first_refresh_token');
SELECT ok, reason FROM dialstack.session_refresh(refresh_token => :'third_refresh_token');
SELECT valid, reason FROM dialstack.session_verify(token => :'first_token');

-- The customer logs in again, on two devices, and then logs out of everything.
SELECT session_id AS phone
FROM dialstack.session_create(
    product => 'demo-shop', env => 'production', tag => 'web',
    data => '{"userId": "user_456"}', user_agent => 'the phone') \gset
SELECT token AS laptop_token
FROM dialstack.session_create(
    product => 'demo-shop', env => 'production', tag => 'web',
    data => '{"userId": "user_456"}', user_agent => 'the laptop') \gset
SELECT dialstack.session_revoke(
    product => 'demo-shop', env => 'production', tag => 'web',
    session_id => :'phone') AS revoked;
SELECT dialstack.session_revoke(
    product => 'demo-shop', env => 'production', tag => 'web',
    identifier => 'user_456') AS revoked;
SELECT valid, reason FROM dialstack.session_verify(token => :'laptop_token');

-- All of it stays on the record.
SELECT identifier, start_at, active, ip, user_agent, total
FROM dialstack.session_list(
    product => 'demo-shop', env => 'production', tag => 'web',
    active_only => false);

-- Rows know whose they are. The application's role sees what belongs to the session whose token it
-- presents, and nothing without one.
CREATE TABLE orders (customer text, item text);
INSERT INTO orders VALUES ('user_456', 'a book'), ('user_789', 'a lamp');
CREATE ROLE shop_app;
SELECT dialstack.grant_access('shop_app', 'client');
GRANT SELECT ON orders TO shop_app;
SELECT dialstack.protect_table('orders', 'customer', 'demo-shop', 'production', by => 'identifier', tag => 'web');
SELECT token AS shop_token
FROM dialstack.session_create(
    product => 'demo-shop', env => 'production', tag => 'web',
    data => '{"userId": "user_456"}') \gset
SET ROLE shop_app;
SELECT * FROM orders;
BEGIN;
SELECT valid, identifier FROM dialstack.session_use(:'shop_token');
SELECT * FROM orders;
-- The customer logs out, and the very next statement shows nothing.
SELECT dialstack.session_end();
SELECT * FROM orders;
SELECT dialstack.current_session_error();
COMMIT;
RESET ROLE;

-- What the shop's figures look like.
SELECT key, value
FROM jsonb_each(dialstack.session_dashboard(product => 'demo-shop', tag => 'web'))
WHERE jsonb_typeof(value) = 'number';
