-- Sets the example up in the database that psql is connected to, as a superuser:
--
--     eval "$(psql -Xq -f setup.sql)"
--
-- What it prints are shell lines that set what server.js needs, with a new API key: the only time that
-- the key is shown. Running it again leaves everything as it is and makes another key.
\set ON_ERROR_STOP on
\o /dev/null
SET client_min_messages = warning;
BEGIN;

CREATE EXTENSION IF NOT EXISTS dialstack_sessions;

SELECT NOT EXISTS (SELECT FROM dialstack.products WHERE product = 'phone-app') AS fresh \gset
\if :fresh

SELECT dialstack.product_create('phone-app');
SELECT dialstack.env_create('phone-app', 'test', live => false);

-- The role that the server connects as. By itself it cannot create a session: only with an API key.
CREATE ROLE phone_app LOGIN;
SELECT dialstack.grant_access('phone_app', 'client');

-- The log-in of the demo users, and the role that it is done with.
SELECT dialstack.definition_create('phone-app', 'login', 'Login', 'A user of the application',
    '{"userId": {"type": "string", "required": true}}', '$Session{userId}', 15, 'minutes', refresh_expiry => 8, refresh_period => 'hours');
CREATE ROLE phone_app_login LOGIN;
SELECT dialstack.grant_access('phone_app_login', 'server');

-- The application's own tables.
CREATE SCHEMA phone_app;
GRANT USAGE ON SCHEMA phone_app TO phone_app;

CREATE TABLE phone_app.members (
    user_id    text   NOT NULL,
    account_id text   NOT NULL,
    components text[] NOT NULL CHECK (cardinality(components) > 0),
    PRIMARY KEY (user_id, account_id)
);
COMMENT ON TABLE phone_app.members IS 'which user may access which account, and which components of it';

CREATE TABLE phone_app.call_logs (
    account_id text        NOT NULL,
    at         timestamptz NOT NULL,
    direction  text        NOT NULL CHECK (direction IN ('in', 'out')),
    number     text        NOT NULL,
    seconds    integer     NOT NULL,
    PRIMARY KEY (account_id, at)
);

CREATE TABLE phone_app.voicemails (
    account_id text        NOT NULL,
    at         timestamptz NOT NULL,
    number     text        NOT NULL,
    seconds    integer     NOT NULL,
    transcript text        NOT NULL,
    PRIMARY KEY (account_id, at)
);

GRANT SELECT ON ALL TABLES IN SCHEMA phone_app TO phone_app;

INSERT INTO phone_app.members VALUES
    ('user_owner',   'acct_north', '{call_logs,voicemails}'),
    ('user_analyst', 'acct_north', '{call_logs}'),
    ('user_south',   'acct_south', '{call_logs,voicemails}');

INSERT INTO phone_app.call_logs VALUES
    ('acct_north', now() - interval '25 minutes', 'in',  '+1 202 555 0142', 183),
    ('acct_north', now() - interval '2 hours',    'out', '+1 202 555 0117', 41),
    ('acct_north', now() - interval '5 hours',    'in',  '+1 202 555 0188', 612),
    ('acct_north', now() - interval '26 hours',   'in',  '+1 202 555 0142', 0),
    ('acct_south', now() - interval '1 hour',     'out', '+1 303 555 0161', 77),
    ('acct_south', now() - interval '3 hours',    'in',  '+1 303 555 0109', 254);

INSERT INTO phone_app.voicemails VALUES
    ('acct_north', now() - interval '26 hours', '+1 202 555 0142', 19, 'Please call back about the delivery.'),
    ('acct_south', now() - interval '4 hours',  '+1 303 555 0109', 8,  'The appointment is confirmed.');

\endif

SELECT api_key FROM dialstack.api_key_create('phone-app', 'test', name => 'account-sessions example') \gset
COMMIT;

\o
\echo export PGUSER=phone_app DIALSTACK_LOGIN_USER=phone_app_login DIALSTACK_PRODUCT=phone-app DIALSTACK_ENV=test DIALSTACK_API_KEY=:api_key
