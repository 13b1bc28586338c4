-- What the tests begin with: a product, three roles, a table that is protected.
CREATE EXTENSION dialstack_sessions;
SELECT dialstack.product_create('my-product');
SELECT dialstack.env_create('my-product', 'production');
SELECT dialstack.env_create('my-product', 'staging', live => false);
SELECT dialstack.definition_create('my-product', 'user-session', 'User', 'Log-in',
    '{"userId": {"type": "string", "required": true}, "role": {"type": "string"}, "note": {"type": "string"}}',
    '$Session{userId}', 15, 'minutes', public_claims => '{role}');

CREATE ROLE web_login LOGIN;
CREATE ROLE web_client LOGIN;
CREATE ROLE web_admin LOGIN;
SELECT dialstack.grant_access('web_login', 'server');
SELECT dialstack.grant_access('web_client', 'client');
SELECT dialstack.grant_access('web_admin', 'admin');

CREATE TABLE notes (note_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner text NOT NULL, text text NOT NULL);
CREATE INDEX ON notes (owner);
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO web_client;
SELECT dialstack.protect_table('notes', 'owner', 'my-product', 'production', by => 'identifier', open_to => '{web_login}');
INSERT INTO notes (owner, text) VALUES ('ada', 'of Ada'), ('bob', 'of Bob');

CREATE TABLE counters (name text PRIMARY KEY, value integer NOT NULL);
INSERT INTO counters VALUES ('visits', 0);
GRANT SELECT, UPDATE ON counters TO web_client, web_login;
