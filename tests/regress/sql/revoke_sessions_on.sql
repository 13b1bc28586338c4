-- revoke_sessions_on: triggers that revoke a user's sessions with the user's row, however it changes.
SELECT t.product('revoke-on');
SELECT tag FROM dialstack.definition_create('revoke-on', 'phone', 'Phone', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours');
CREATE SCHEMA r;
-- Sessions of both definitions for three users; then what a statement does to them.
CREATE FUNCTION t.ended(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ended text;
BEGIN
    PERFORM dialstack.session_create('revoke-on', 'production', tag, jsonb_build_object('userId', id)) FROM unnest('{ann,bob,cid}'::text[]) AS id, unnest('{web,phone}'::text[]) AS tag;
    EXECUTE statement;
    SELECT string_agg(DISTINCT format('%s %s', d.tag, subject), ', ') INTO ended FROM dialstack.sessions JOIN dialstack.session_definitions d USING (definition_id) JOIN dialstack.products p USING (product_id)
     WHERE p.product = 'revoke-on' AND revoked_at IS NOT NULL;
    RAISE EXCEPTION USING ERRCODE = 'U0000';
EXCEPTION WHEN SQLSTATE 'U0000' THEN
    RETURN coalesce(ended, 'none');
END
$$;

-- A named column changes, or the row goes; all else leaves the sessions alone.
CREATE TABLE r.users (id text PRIMARY KEY, name text, email text, email_norm text GENERATED ALWAYS AS (lower(email)) STORED, password text, password_hash text, settings json);
CREATE FUNCTION r.hash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.password_hash := md5(NEW.password); RETURN NEW; END $$;
CREATE TRIGGER zz_hash BEFORE INSERT OR UPDATE ON r.users FOR EACH ROW EXECUTE FUNCTION r.hash();
INSERT INTO r.users (id, name, email, password) VALUES ('ann', 'Ann', 'Ann@example.com', 'a'), ('bob', 'Bob', 'bob@example.com', 'b'), ('cid', 'Cid', 'cid@example.com', 'c');
SELECT dialstack.revoke_sessions_on('r.users', 'id', 'revoke-on', 'production', 'web', '{email_norm,password_hash}');
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'r.users'::regclass AND tgname LIKE 'dialstack%' ORDER BY tgname;
SELECT statement, t.ended(statement) FROM unnest(ARRAY[
    -- a generated column, and one that a BEFORE trigger computes
    $$UPDATE r.users SET email = 'new@example.com' WHERE id = 'ann'$$,
    $$UPDATE r.users SET email = 'ANN@example.com' WHERE id = 'ann'$$,
    $$UPDATE r.users SET password = 'new' WHERE id = 'bob'$$,
    $$UPDATE r.users SET name = 'x', settings = '{}', password = password$$,
    $$UPDATE r.users SET id = 'anna' WHERE id = 'ann'$$,
    $$DELETE FROM r.users WHERE id = 'cid'$$,
    $$TRUNCATE r.users$$,
    $$INSERT INTO r.users (id, password) VALUES ('ann', 'a') ON CONFLICT (id) DO UPDATE SET password = 'changed'$$]) AS statement;
-- Without a tag the sessions of every definition; without columns any change; called again it replaces.
SELECT dialstack.revoke_sessions_on('r.users', 'id', 'revoke-on', 'production', on_delete => false);
SELECT statement, t.ended(statement) FROM unnest(ARRAY[
    $$UPDATE r.users SET settings = '{"a": 1}' WHERE id = 'ann'$$, $$UPDATE r.users SET name = name$$, $$DELETE FROM r.users$$, $$TRUNCATE r.users$$]) AS statement;
SELECT dialstack.revoke_sessions_on('r.users', 'id', 'revoke-on', 'production');
SELECT t.ended('TRUNCATE r.users');
SELECT dialstack.revoke_sessions_off('r.users'), dialstack.revoke_sessions_off('r.users');
SELECT t.ended('DELETE FROM r.users'), (SELECT count(*) FROM pg_trigger WHERE tgrelid = 'r.users'::regclass) AS triggers;

-- Partitions: a row that only moves is not gone; one that changes as it moves has changed. A BEFORE
-- trigger of the partition that it moves to may change it, or keep it out.
CREATE TABLE r.parted (id text, region text, pw text) PARTITION BY LIST (region);
CREATE TABLE r.parted_eu (gone int, pw text, region text, id text);
ALTER TABLE r.parted_eu DROP COLUMN gone;
ALTER TABLE r.parted ATTACH PARTITION r.parted_eu FOR VALUES IN ('eu');
CREATE TABLE r.parted_us PARTITION OF r.parted FOR VALUES IN ('us');
INSERT INTO r.parted VALUES ('ann', 'eu', 'a'), ('bob', 'eu', 'b'), ('cid', 'us', 'c');
SELECT dialstack.revoke_sessions_on('r.parted', 'id', 'revoke-on', 'production', 'web', '{pw}');
CREATE TABLE r.parted_asia PARTITION OF r.parted FOR VALUES IN ('asia');
CREATE FUNCTION r.expire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.pw := 'expired'; RETURN NEW; END $$;
CREATE TRIGGER expire BEFORE INSERT ON r.parted_asia FOR EACH ROW EXECUTE FUNCTION r.expire();
CREATE TABLE r.parted_none PARTITION OF r.parted FOR VALUES IN ('none');
CREATE FUNCTION r.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON r.parted_none FOR EACH ROW EXECUTE FUNCTION r.refuse();
CREATE TABLE r.statements (n int GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO r.statements (statement) VALUES
    ($$UPDATE r.parted SET region = 'us'$$),
    ($$UPDATE r.parted SET region = 'us', pw = CASE id WHEN 'ann' THEN 'new' ELSE pw END$$),
    ($$UPDATE r.parted SET region = 'us', id = 'anna' WHERE id = 'ann'$$),
    ($$UPDATE r.parted SET region = 'asia' WHERE id = 'ann'$$),
    ($$UPDATE r.parted SET region = 'none' WHERE id = 'ann'$$),
    ($$UPDATE r.parted_eu SET pw = 'new' WHERE id = 'bob'$$),
    ($$UPDATE r.parted SET pw = NULL WHERE id = 'cid'$$),
    ($$DELETE FROM r.parted WHERE id = 'bob'$$),
    ($$DELETE FROM r.parted_us$$),
    ($$TRUNCATE r.parted_us$$),
    ($$ALTER TABLE r.parted DETACH PARTITION r.parted_us; DELETE FROM r.parted_us$$);
SELECT statement, t.ended(statement) FROM r.statements ORDER BY n;
SELECT dialstack.revoke_sessions_on('r.parted', 'id', 'revoke-on', 'production', 'web', '{pw}', on_delete => false);
SELECT statement, t.ended(statement) FROM r.statements ORDER BY n;
-- Any column: the one that says which partition is one of them.
SELECT dialstack.revoke_sessions_on('r.parted', 'id', 'revoke-on', 'production', 'web');
SELECT t.ended($$UPDATE r.parted SET region = 'us'$$);
-- The role that changes the row need not see it, nor may policies hide it.
SELECT dialstack.revoke_sessions_on('r.parted', 'id', 'revoke-on', 'production', 'web', '{pw}');
ALTER TABLE r.parted ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE ROLE regress_owner;
GRANT USAGE ON SCHEMA r TO regress_owner;
ALTER TABLE r.parted OWNER TO regress_owner;
ALTER TABLE r.parted_eu OWNER TO regress_owner;
ALTER TABLE r.parted_us OWNER TO regress_owner;
SELECT t.error($$UPDATE r.parted SET region = 'us' WHERE id = 'ann'$$);
SELECT t.error($$TRUNCATE r.parted$$);
SELECT dialstack.grant_access('regress_owner', 'server');
SELECT t.ended($$UPDATE r.parted SET region = 'us' WHERE id = 'ann'$$) AS moved, t.ended($$UPDATE r.parted SET region = 'us', pw = 'new' WHERE id = 'ann'$$) AS changed;
-- The owner has lost the level: its triggers revoke nothing any more.
SELECT dialstack.revoke_access('regress_owner', 'server');
SELECT t.error($$DELETE FROM r.parted WHERE id = 'ann'$$);
DROP TABLE r.parted;
-- Tables that inherit likewise.
CREATE TABLE r.parent (id text, pw text);
CREATE TABLE r.child (extra int) INHERITS (r.parent);
INSERT INTO r.child VALUES ('ann', 'a');
SELECT dialstack.revoke_sessions_on('r.parent', 'id', 'revoke-on', 'production', 'web', '{pw}');
SELECT t.ended('UPDATE r.parent SET pw = 1') AS whole, t.ended('UPDATE r.child SET pw = 1') AS child, t.ended('TRUNCATE r.child') AS truncated;
DROP TABLE r.parent CASCADE;

-- Triggers that were written by hand.
CREATE TABLE r.written (id text, email text, email_norm text GENERATED ALWAYS AS (lower(email)) STORED, region text, pw text) PARTITION BY LIST (region);
CREATE TABLE r.written_eu PARTITION OF r.written FOR VALUES IN ('eu');
CREATE TABLE r.written_us PARTITION OF r.written FOR VALUES IN ('us');
INSERT INTO r.written (id, email, region, pw) VALUES ('ann', 'ann@example.com', 'eu', 'a');
CREATE TRIGGER revoke AFTER UPDATE OF email_norm, pw OR DELETE ON r.written FOR EACH ROW EXECUTE FUNCTION dialstack.revoke_on_change('revoke-on', 'production', 'web', 'id');
SELECT statement, t.ended(statement) FROM unnest(ARRAY[
    $$UPDATE r.written SET email = 'new@example.com'$$, $$UPDATE r.written SET region = 'us'$$, $$UPDATE r.written SET region = 'us', pw = 'new'$$, $$DELETE FROM r.written$$]) AS statement;
CREATE OR REPLACE TRIGGER revoke AFTER DELETE ON r.written FOR EACH ROW EXECUTE FUNCTION dialstack.revoke_on_change('revoke-on', 'production', '', 'id');
SELECT t.ended($$UPDATE r.written SET region = 'us', pw = 'new'$$) AS moved, t.ended($$DELETE FROM r.written$$) AS deleted;

-- A column that is renamed: an error that says so, not a session that lives on.
SELECT dialstack.revoke_sessions_on('r.users', 'id', 'revoke-on', 'production', 'web', '{password}');
ALTER TABLE r.users RENAME password_hash TO hash;
ALTER TABLE r.users RENAME password TO secret;
DROP TRIGGER zz_hash ON r.users;
SELECT t.error($$DELETE FROM r.users WHERE id = 'ann'$$);

-- Refused, and nothing is made.
CREATE VIEW r.a_view AS SELECT * FROM r.users;
CREATE TEMP TABLE r_temp (id text);
SELECT arguments, t.error(format('SELECT dialstack.revoke_sessions_on(%s)', arguments)) FROM unnest(ARRAY[
    $$NULL, 'id', 'revoke-on', 'production'$$, $$'r.users', NULL, 'revoke-on', 'production'$$, $$'r.users', 'nope', 'revoke-on', 'production'$$,
    $$'r.users', 'id', 'revoke-on', 'production', columns => '{name,nope}'$$, $$'r.users', 'id', 'revoke-on', 'production', columns => '{NULL}'$$,
    $$'r.users', 'id', 'nope', 'production'$$, $$'r.users', 'id', 'revoke-on', 'nope'$$, $$'r.users', 'id', 'revoke-on', 'production', 'nope'$$, $$'r.users', 'id', 'revoke-on', 'production', on_delete => NULL$$,
    $$'r.a_view', 'id', 'revoke-on', 'production'$$, $$'r.written_eu', 'id', 'revoke-on', 'production'$$, $$'dialstack.sessions', 'session_id', 'revoke-on', 'production'$$, $$0, 'id', 'revoke-on', 'production'$$, $$'r.users', 'id', 'revoke-on'$$]) AS arguments;
SELECT t.error($$SELECT dialstack.revoke_sessions_on('r.users', 'id', 'revoke-on', 'production', columns => array_fill('name'::name, '{1601}'))$$);
SELECT t.error($$SELECT dialstack.revoke_sessions_off(NULL)$$);
SELECT t.error($$SELECT dialstack.revoke_sessions_off('r.a_view')$$);
-- The owner of the table must be allowed to revoke; the caller must own the table.
CREATE TABLE r.owned (id text);
ALTER TABLE r.owned OWNER TO regress_owner;
SELECT t.error($$SELECT dialstack.revoke_sessions_on('r.owned', 'id', 'revoke-on', 'production')$$);
CREATE ROLE regress_admin;
SELECT dialstack.grant_access('regress_admin', 'admin');
GRANT USAGE ON SCHEMA r TO regress_admin;
SET ROLE regress_admin;
SELECT dialstack.revoke_sessions_on('r.owned', 'id', 'revoke-on', 'production');
RESET ROLE;
-- Names that need quotes.
CREATE TABLE r."ON users; --" ("the ""id'" text, "se;lect" text);
INSERT INTO r."ON users; --" VALUES ('ann', 'a');
SELECT dialstack.revoke_sessions_on('r."ON users; --"', 'the "id''', 'revoke-on', 'production', 'web', '{se;lect}');
SELECT t.ended($$UPDATE r."ON users; --" SET "se;lect" = 'b'$$);

DROP OWNED BY regress_owner, regress_admin;
DROP ROLE regress_owner, regress_admin;
SET client_min_messages = error;
DROP SCHEMA r CASCADE;
RESET client_min_messages;
DROP FUNCTION t.ended;
