-- What an administrator adds to our tables holds for what functions write past SQL.
SELECT t.product('altered');
CREATE FUNCTION t.try_create(name text) RETURNS text LANGUAGE sql AS $$
    SELECT t.code(format('SELECT * FROM dialstack.session_create(''altered'', ''production'', ''web'', %L)', jsonb_build_object('userId', name)));
$$;
SELECT session_id, refresh_token FROM dialstack.session_create('altered', 'production', 'web', '{"userId": "user_altered"}') \gset

-- A trigger that keeps a session as it is: no token is handed out that nobody would know.
CREATE FUNCTION t.skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER skip BEFORE UPDATE ON dialstack.sessions FOR EACH ROW EXECUTE FUNCTION t.skip();
SELECT t.code(format('SELECT * FROM dialstack.session_refresh(%L)', :'refresh_token'));
DROP TRIGGER skip ON dialstack.sessions;
SELECT operation, count(*) FROM dialstack.activity WHERE session_id = :'session_id' GROUP BY operation;

-- Constraints.
ALTER TABLE dialstack.sessions ADD CONSTRAINT regress_check CHECK (generation = 0 AND subject <> 'user_checked') NOT VALID;
SELECT t.try_create('user_checked');
SELECT t.code(format('SELECT * FROM dialstack.session_refresh(%L)', :'refresh_token'));
ALTER TABLE dialstack.sessions DROP CONSTRAINT regress_check;
BEGIN;
UPDATE dialstack.sessions SET user_agent = '' WHERE user_agent IS NULL;
ALTER TABLE dialstack.sessions ALTER COLUMN user_agent SET NOT NULL;
SELECT t.try_create('user_noted');
ROLLBACK;
-- Columns: with their default, and as they are computed.
BEGIN;
ALTER TABLE dialstack.sessions ADD COLUMN regress_note text NOT NULL DEFAULT 'note';
ALTER TABLE dialstack.sessions ADD COLUMN regress_computed integer GENERATED ALWAYS AS (100 + generation) STORED;
SELECT session_id AS generated_id, refresh_token FROM dialstack.session_create('altered', 'production', 'web', '{"userId": "user_generated"}') \gset
SELECT subject, regress_note, regress_computed FROM dialstack.sessions WHERE session_id = :'generated_id';
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
SELECT subject, regress_note, regress_computed FROM dialstack.sessions WHERE session_id = :'generated_id';
ROLLBACK;

-- An index that computes does so as the owner, whoever calls.
CREATE FUNCTION t.indexed(name text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN pg_has_role(current_user, 'regress_altered', 'MEMBER') AND current_user <> 'regress_altered' THEN name END;
END
$$;
REVOKE EXECUTE ON FUNCTION t.indexed FROM PUBLIC;
CREATE ROLE regress_altered;
SELECT dialstack.grant_access('regress_altered', 'server');
CREATE INDEX regress_indexed ON dialstack.sessions (t.indexed(user_agent));
SET ROLE regress_altered;
SELECT refresh_token FROM dialstack.session_create('altered', 'production', 'web', '{"userId": "user_altered"}', user_agent => 'first') \gset
SELECT ok FROM dialstack.session_refresh(:'refresh_token', user_agent => 'second');
RESET ROLE;
SET enable_seqscan = off;
SELECT user_agent, generation FROM dialstack.sessions WHERE t.indexed(user_agent) = 'second';
RESET enable_seqscan;
DROP INDEX dialstack.regress_indexed;
-- And so it does what tells which rows belong into it.
CREATE INDEX regress_indexed ON dialstack.sessions (last_seen_at) WHERE t.indexed(user_agent) = 'third';
SET ROLE regress_altered;
SELECT refresh_token FROM dialstack.session_create('altered', 'production', 'web', '{"userId": "user_altered"}', user_agent => 'third') \gset
SELECT refresh_token FROM dialstack.session_refresh(:'refresh_token', user_agent => 'fourth') \gset
SELECT ok FROM dialstack.session_refresh(:'refresh_token', user_agent => 'third');
RESET ROLE;
SET enable_seqscan = off;
SELECT user_agent, generation FROM dialstack.sessions WHERE t.indexed(user_agent) = 'third' ORDER BY last_seen_at;
RESET enable_seqscan;
DROP INDEX dialstack.regress_indexed;

-- A table that is published needs to tell which row was changed.
SET client_min_messages = error; -- of wal_level, which is not "logical"
CREATE PUBLICATION regress_altered FOR TABLE dialstack.sessions;
RESET client_min_messages;
ALTER TABLE dialstack.sessions REPLICA IDENTITY NOTHING;
SELECT refresh_token FROM dialstack.session_create('altered', 'production', 'web', '{"userId": "user_altered"}') \gset
SELECT t.code(format('SELECT * FROM dialstack.session_refresh(%L)', :'refresh_token'));
ALTER TABLE dialstack.sessions REPLICA IDENTITY DEFAULT;
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
DROP PUBLICATION regress_altered;

DROP FUNCTION t.skip, t.try_create, t.indexed;
DELETE FROM dialstack.sessions WHERE subject IN ('user_altered', 'user_noted');
DELETE FROM dialstack.session_users WHERE identifier IN ('user_altered', 'user_noted', 'user_checked');
DROP OWNED BY regress_altered;
DROP ROLE regress_altered;
