-- What the suite tests, beside the page's table: rows of accounts, of connected accounts and of user identities.
CREATE TABLE voicemails (account text NOT NULL, message text NOT NULL);
CREATE INDEX ON voicemails (account);
CREATE TABLE locks (connected_account_id uuid NOT NULL, name text NOT NULL);
CREATE INDEX ON locks (connected_account_id);
CREATE TABLE guests (user_identity_id uuid NOT NULL, name text NOT NULL);
CREATE INDEX ON guests (user_identity_id);
GRANT SELECT ON voicemails, locks, guests TO web_shop;

INSERT INTO voicemails VALUES ('acct_1', 'Call back, please'), ('acct_2', 'Never mind');
INSERT INTO locks VALUES
    ('00000000-0000-4000-8000-000000000001', 'front door'), ('00000000-0000-4000-8000-000000000002', 'back door');
INSERT INTO guests VALUES
    ('00000000-0000-4000-8000-000000000003', 'Ada'), ('00000000-0000-4000-8000-000000000004', 'Bert');

-- Who tests without being a superuser.
CREATE ROLE tester LOGIN;
GRANT web_shop TO tester;
GRANT INSERT ON notes TO tester;
GRANT CREATE ON SCHEMA public TO tester;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO tester', current_database()); END $$;
SELECT dialstack.grant_access('tester', 'admin');

SELECT dialstack.protect_table('notes', 'author', by => 'identifier', tag => 'user-session', open_to => '{tester}');
SELECT dialstack.protect_table('voicemails', 'account', by => 'account', scope => 'voicemails');
SELECT dialstack.protect_table('locks', 'connected_account_id', by => 'connected_account');
SELECT dialstack.protect_table('guests', 'user_identity_id', by => 'user_identity');
