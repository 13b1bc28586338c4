-- Sets the example up in the database that psql is connected to, as a superuser:
--
--     eval "$(psql -Xq -f setup.sql)"
--
-- It prints shell lines that set what server.js needs. Running it again leaves everything as it is.
\set ON_ERROR_STOP on
\o /dev/null
SET client_min_messages = warning;
BEGIN;

CREATE EXTENSION IF NOT EXISTS dialstack_sessions;

SELECT NOT EXISTS (SELECT FROM dialstack.products WHERE product = 'notes-app') AS fresh \gset
\if :fresh

SELECT dialstack.product_create('notes-app');
SELECT dialstack.env_create('notes-app', 'production');
SELECT dialstack.definition_create('notes-app', 'web', 'Web', 'A user in a browser',
    '{"userId": {"type": "string", "required": true}, "name": {"type": "string", "required": true}}', '$Session{userId}',
    15, 'minutes', refresh_expiry => 30, refresh_period => 'days');

-- Two roles. One logs users in and out, and is all that reads passwords; the other does everything else, and sees no row but
-- those of the session whose token it presents, whatever SQL it is made to run.
CREATE ROLE notes_login LOGIN;
CREATE ROLE notes_web LOGIN;
SELECT dialstack.grant_access('notes_login', 'server');
SELECT dialstack.grant_access('notes_web', 'client');

CREATE SCHEMA notes_app;
GRANT USAGE ON SCHEMA notes_app TO notes_login, notes_web;

CREATE TABLE notes_app.users (
    user_id  text NOT NULL PRIMARY KEY DEFAULT gen_random_uuid()::text,
    name     text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9]{1,30}$'),
    password text NOT NULL
);
COMMENT ON COLUMN notes_app.users.password IS 'salt and scrypt hash, in base64url';
GRANT SELECT, INSERT, UPDATE, DELETE ON notes_app.users TO notes_login;

-- Whoever changes a password, in whichever way, ends the sessions of that user in the same transaction.
SELECT dialstack.revoke_sessions_on('notes_app.users', 'user_id', 'notes-app', 'production', columns => '{password}');

CREATE TABLE notes_app.notes (
    note_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text NOT NULL DEFAULT dialstack.current_identifier(),
    text    text NOT NULL CHECK (length(text) BETWEEN 1 AND 500)
);
CREATE INDEX ON notes_app.notes (user_id);
GRANT SELECT, INSERT, DELETE ON notes_app.notes TO notes_web;
SELECT dialstack.protect_table('notes_app.notes', 'user_id', 'notes-app', 'production', by => 'identifier', tag => 'web');

\endif
COMMIT;

\o
\echo export LOGIN_USER=notes_login WEB_USER=notes_web
