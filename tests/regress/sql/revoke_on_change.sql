-- revoke_on_change: sessions end in the transaction that deletes a user or changes a column.
SELECT t.product('change');
SELECT tag FROM dialstack.definition_create('change', 'phone', 'Phone', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours');
CREATE SCHEMA c;
CREATE TABLE c.users (id text PRIMARY KEY, name text, password_hash text, role text DEFAULT 'reader');
CREATE TRIGGER revoke AFTER UPDATE OF password_hash, role OR DELETE ON c.users
    FOR EACH ROW EXECUTE FUNCTION dialstack.revoke_on_change('change', 'production', 'web', 'id');
CREATE TRIGGER revoke_all AFTER TRUNCATE ON c.users
    FOR EACH STATEMENT EXECUTE FUNCTION dialstack.revoke_on_change('change', 'production', 'web');

-- Three users with two sessions each, and one each of another environment and of another definition.
CREATE FUNCTION t.start() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM dialstack.sessions WHERE env_id IN (SELECT env_id FROM dialstack.environments JOIN dialstack.products USING (product_id) WHERE product = 'change');
    PERFORM dialstack.session_create('change', 'production', 'web', jsonb_build_object('userId', id)) FROM unnest('{ann,bob,cid,7,ann@example.com}'::text[]) AS id, generate_series(1, 2);
    PERFORM dialstack.session_create('change', 'staging', 'web', '{"userId": "ann"}'), dialstack.session_create('change', 'production', 'phone', '{"userId": "ann"}');
    ALTER TABLE c.users DISABLE TRIGGER USER;
    DELETE FROM c.users;
    INSERT INTO c.users (id, name, password_hash) VALUES ('ann', 'Ann', 'a'), ('bob', 'Bob', 'b'), ('cid', 'Cid', 'c'), ('nobody', 'Nobody', 'n');
    ALTER TABLE c.users ENABLE TRIGGER USER;
END
$$;
-- Who lost sessions.
CREATE FUNCTION t.revoked() RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(format('%s %s of %s', d.tag, subject, count), ', ' ORDER BY d.tag, subject), 'nobody')
      FROM (SELECT definition_id, env_id, subject, count(*) FROM dialstack.sessions WHERE revoke_reason = 'revoked' GROUP BY 1, 2, 3) s JOIN dialstack.environments USING (env_id) JOIN dialstack.products p USING (product_id) JOIN dialstack.session_definitions d USING (definition_id)
     WHERE p.product = 'change';
$$;

-- A column that the trigger names changes: all sessions of that user end, in that environment and
-- of that definition.
SELECT t.start();
UPDATE c.users SET password_hash = 'new' WHERE id = 'ann';
SELECT t.revoked();
SELECT operation, status, reason, count(*) FROM dialstack.activity WHERE session_id IN (SELECT session_id FROM dialstack.session_list('change', 'production', 'web', 'ann', active_only => false)) AND operation <> 'create' GROUP BY 1, 2, 3;
-- Others do not matter, nor does writing the same again.
SELECT t.start();
UPDATE c.users SET name = 'Someone';
SELECT t.revoked();
UPDATE c.users SET password_hash = password_hash, role = 'reader';
SELECT t.revoked();
UPDATE c.users SET password_hash = NULL WHERE id = 'bob';
UPDATE c.users SET role = 'writer' WHERE id = 'cid';
SELECT t.revoked();
UPDATE c.users SET password_hash = NULL WHERE id = 'bob';
-- A user who is renamed loses the sessions of the old name.
SELECT t.start();
UPDATE c.users SET id = 'anna', password_hash = password_hash WHERE id = 'ann';
SELECT t.revoked();
-- Deleted: also where nothing was said of a column. Who has no session loses none.
SELECT t.start();
DELETE FROM c.users WHERE id IN ('ann', 'nobody');
SELECT t.revoked();
-- TRUNCATE: everybody.
SELECT t.start();
TRUNCATE c.users;
SELECT t.revoked();
-- Rolled back together, and to a savepoint; committed together.
SELECT t.start();
BEGIN;
DELETE FROM c.users WHERE id = 'ann';
SELECT t.revoked() AS inside;
SAVEPOINT s;
UPDATE c.users SET password_hash = 'x';
SELECT t.revoked() AS inside;
ROLLBACK TO s;
SELECT t.revoked() AS after_savepoint;
ROLLBACK;
SELECT t.revoked() AS after_rollback;
-- The token is dead at the next statement of the same transaction.
SELECT token FROM dialstack.session_create('change', 'production', 'web', '{"userId": "bob"}') \gset
BEGIN;
SELECT t.verdict(:'token');
DELETE FROM c.users WHERE id = 'bob';
SELECT t.verdict(:'token');
COMMIT;

-- By whatever statement: MERGE, ON CONFLICT, a cascade.
SELECT t.start();
MERGE INTO c.users u USING (VALUES ('ann', 'm'), ('bob', NULL)) AS v (id, hash) ON u.id = v.id
 WHEN MATCHED AND v.hash IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET password_hash = v.hash;
SELECT t.revoked();
SELECT t.start();
INSERT INTO c.users (id, password_hash) VALUES ('ann', 'i'), ('new', 'i') ON CONFLICT (id) DO UPDATE SET password_hash = excluded.password_hash;
SELECT t.revoked();
CREATE TABLE c.teams (team int PRIMARY KEY);
CREATE TABLE c.members (id text, team int REFERENCES c.teams ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TRIGGER revoke AFTER DELETE ON c.members FOR EACH ROW EXECUTE FUNCTION dialstack.revoke_on_change('change', 'production', 'web', 'id');
INSERT INTO c.teams VALUES (1), (2);
INSERT INTO c.members VALUES ('ann', 1), ('bob', 1), ('cid', 2);
SELECT t.start();
DELETE FROM c.teams WHERE team = 1;
SELECT t.revoked();
-- A trigger that waits for the commit.
CREATE TABLE c.deferred (id text);
CREATE CONSTRAINT TRIGGER revoke AFTER DELETE ON c.deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dialstack.revoke_on_change('change', 'production', 'web', 'id');
INSERT INTO c.deferred VALUES ('ann');
SELECT t.start();
BEGIN;
DELETE FROM c.deferred;
SELECT t.revoked() AS before_commit;
COMMIT;
SELECT t.revoked();

-- Identifier columns of other types: as their output function writes them. What cannot be an
-- identifier has no session.
CREATE TABLE c.typed (n int, b bigint, u uuid, v varchar(20), ch char(10), any_case text, code text, nothing text);
CREATE FUNCTION t.by(name text, value text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM t.start();
    PERFORM dialstack.session_create('change', 'production', 'web', '{"userId": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}');
    EXECUTE format('CREATE TRIGGER revoke AFTER DELETE ON c.typed FOR EACH ROW EXECUTE FUNCTION dialstack.revoke_on_change(%L, %L, %L, %L)', 'change', 'production', 'web', name);
    EXECUTE format('INSERT INTO c.typed (%I) VALUES (%L)', name, value);
    DELETE FROM c.typed;
    DROP TRIGGER revoke ON c.typed;
    RETURN t.revoked() || CASE WHEN EXISTS (SELECT FROM c.typed) THEN ', and the row is still there' ELSE '' END;
END
$$;
SELECT name, left(value, 40) AS value, t.by(name, value) FROM (VALUES ('n', '7'), ('b', '7'), ('u', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'), ('v', 'bob'), ('ch', 'bob'), ('code', 'bob '), ('code', 'BOB'), ('code', ''), ('code', NULL), ('code', repeat('x', 300)), ('code', E'bob\n')) AS v (name, value);

-- Values that are kept apart from the row are compared as well.
CREATE TABLE c.large (id text, profile text);
ALTER TABLE c.large ALTER COLUMN profile SET STORAGE EXTERNAL;
CREATE TRIGGER revoke AFTER UPDATE OF profile ON c.large FOR EACH ROW EXECUTE FUNCTION dialstack.revoke_on_change('change', 'production', 'web', 'id');
INSERT INTO c.large VALUES ('ann', repeat('x', 10000)), ('bob', repeat('y', 10000));
SELECT t.start();
UPDATE c.large SET profile = repeat(left(profile, 1), 10000);
SELECT t.revoked();
UPDATE c.large SET profile = repeat('z', 10000) WHERE id = 'bob';
SELECT t.revoked();

-- Who changes the user need not be allowed to revoke, and need not see the schema.
CREATE ROLE regress_editor;
GRANT USAGE ON SCHEMA c TO regress_editor;
GRANT SELECT, UPDATE, DELETE, TRUNCATE ON c.users TO regress_editor;
SELECT t.start();
SET ROLE regress_editor;
UPDATE c.users SET password_hash = 'x' WHERE id = 'ann';
SELECT dialstack.session_revoke_all('change', 'production', 'web', 'bob');
RESET ROLE;
SELECT t.revoked();
-- An API key that the editor presents is nobody's business here.
SET dialstack_sessions.api_key = 'sk_live_nonsense';
UPDATE c.users SET password_hash = 'x' WHERE id = 'bob';
RESET dialstack_sessions.api_key;
SELECT t.revoked();
-- Making the trigger needs EXECUTE on the function: access level server.
CREATE ROLE regress_maker;
GRANT USAGE, CREATE ON SCHEMA c TO regress_maker;
SELECT dialstack.grant_access('regress_maker', 'client');
SET ROLE regress_maker;
CREATE TABLE c.own (id text);
CREATE TRIGGER revoke AFTER DELETE ON c.own FOR EACH ROW EXECUTE FUNCTION dialstack.revoke_on_change('change', 'production', 'web', 'id');
RESET ROLE;
SELECT dialstack.grant_access('regress_maker', 'server');
SET ROLE regress_maker;
CREATE TRIGGER revoke AFTER DELETE ON c.own FOR EACH ROW EXECUTE FUNCTION dialstack.revoke_on_change('change', 'production', 'web', 'id');
RESET ROLE;

-- Wrong use, each time with what to do. Nothing is changed then.
CREATE TABLE c.wrong (id text, gone int);
ALTER TABLE c.wrong DROP COLUMN gone;
INSERT INTO c.wrong VALUES ('ann');
CREATE VIEW c.wrong_view AS SELECT * FROM c.wrong;
CREATE FUNCTION t.wrong(timing text, arguments text, statement text, relation text = 'c.wrong') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format('CREATE TRIGGER wrong %s EXECUTE FUNCTION dialstack.revoke_on_change(%s)', replace(timing, 'ON', 'ON ' || relation), arguments);
    answer := t.error(statement);
    EXECUTE format('DROP TRIGGER wrong ON %s', relation);
    RETURN answer;
END
$$;
\pset format unaligned
\pset tuples_only on
SELECT t.wrong('AFTER INSERT ON FOR EACH ROW', $$'change', 'production', 'web', 'id'$$, $$INSERT INTO c.wrong VALUES ('x')$$);
SELECT t.wrong('AFTER DELETE ON FOR EACH STATEMENT', $$'change', 'production', 'web', 'id'$$, 'DELETE FROM c.wrong');
SELECT t.wrong('BEFORE UPDATE ON FOR EACH ROW', $$'change', 'production', 'web', 'id'$$, 'UPDATE c.wrong SET id = 1');
SELECT t.wrong('INSTEAD OF DELETE ON FOR EACH ROW', $$'change', 'production', 'web', 'id'$$, 'DELETE FROM c.wrong_view', 'c.wrong_view');
SELECT t.wrong('AFTER DELETE ON FOR EACH ROW', arguments, 'DELETE FROM c.wrong')
  FROM unnest(ARRAY['', $$'change'$$, $$'change', 'production', 'web'$$, $$'change', 'production', 'web', 'id', 'more'$$, $$'change', 'production', 'web', 'nope'$$, $$'change', 'production', 'web', 'ID'$$, $$'change', 'production', 'web', 'gone'$$, $$'change', 'production', 'web', 'ctid'$$,
                    $$'change', 'production', 'web', ''$$, $$'nope', 'production', 'web', 'id'$$, $$'change', 'nope', 'web', 'id'$$, $$'change', 'production', 'nope', 'id'$$]) AS arguments;
SELECT t.wrong('AFTER TRUNCATE ON FOR EACH STATEMENT', arguments, 'TRUNCATE c.wrong') FROM unnest(ARRAY[$$'change', 'production'$$, $$'change', 'production', 'web', 'nope'$$, $$'change', 'production', 'nope'$$]) AS arguments;
SELECT t.wrong('AFTER TRUNCATE ON FOR EACH STATEMENT', $$'change', 'production', 'web', 'id'$$, 'TRUNCATE c.wrong');
SELECT t.error('SELECT dialstack.revoke_on_change()');
\pset format aligned
\pset tuples_only off
SELECT * FROM c.wrong;

-- Ten thousand users at once.
INSERT INTO c.users (id) SELECT 'many_' || n FROM generate_series(1, 10000) AS n;
SELECT count(token) FROM generate_series(1, 500) AS n, dialstack.session_create('change', 'production', 'web', jsonb_build_object('userId', 'many_' || n));
SET statement_timeout = '60s';
DELETE FROM c.users WHERE id LIKE 'many\_%';
RESET statement_timeout;
SELECT count(*) AS sessions, count(revoked_at) AS revoked FROM dialstack.sessions WHERE subject LIKE 'many\_%';
SELECT count(*) AS strangers FROM dialstack.session_users WHERE identifier LIKE 'many\_%' AND total_sessions = 0;

DROP OWNED BY regress_maker, regress_editor;
DROP ROLE regress_maker, regress_editor;
SET client_min_messages = error;
DROP SCHEMA c CASCADE;
RESET client_min_messages;
DROP FUNCTION t.start, t.revoked, t.by, t.wrong;
