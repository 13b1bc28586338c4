-- Triggers that an administrator puts on our tables fire, although functions write past SQL where there are none.
SELECT t.product('shop');
-- Which of the two it was, the condition of note_by_hand tells: only a statement asks it.
SET track_functions = 'all';
CREATE FUNCTION t.statements() RETURNS TABLE (ok boolean, asked bigint) LANGUAGE plpgsql AS $$
DECLARE
    before bigint := coalesce((SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'by_hand'), 0);
BEGIN
    SELECT r.ok INTO ok FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_triggers"}') AS c,
           LATERAL dialstack.session_refresh(c.refresh_token) AS r;
    asked := coalesce((SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'by_hand'), 0) - before;
    RETURN NEXT;
    DELETE FROM dialstack.sessions WHERE subject = 'user_triggers';
    DELETE FROM dialstack.session_users WHERE identifier = 'user_triggers';
END
$$;
SELECT * FROM t.statements();
CREATE SCHEMA audit;
CREATE TABLE audit.log (n serial, tale text);
CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit.log (tale) VALUES (format('%s %s %s as %s, %s there', TG_WHEN, TG_OP,
        regexp_replace(TG_TABLE_NAME, '_\d\d$', ''),
        CASE current_user WHEN (SELECT relowner::regrole::text FROM pg_class WHERE oid = TG_RELID) THEN 'owner' ELSE current_user END,
        (SELECT count(*) FROM dialstack.sessions WHERE subject = 'user_triggers')));
    RETURN NEW;
END
$$;
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE ON dialstack.sessions FOR EACH ROW EXECUTE FUNCTION audit.note();
CREATE TRIGGER after_row AFTER INSERT OR UPDATE ON dialstack.sessions FOR EACH ROW EXECUTE FUNCTION audit.note();
CREATE TRIGGER after_row AFTER INSERT OR UPDATE ON dialstack.session_users FOR EACH ROW EXECUTE FUNCTION audit.note();
CREATE TRIGGER after_row AFTER INSERT ON dialstack.activity FOR EACH ROW EXECUTE FUNCTION audit.note();
-- One that is deferred runs at commit, as whoever commits.
CREATE FUNCTION audit.note_late() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO audit.log (tale) VALUES ('at commit');
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON dialstack.sessions DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit.note_late();

-- A new user, then a known one, by somebody who may do nothing but call.
CREATE ROLE regress_triggers;
SELECT dialstack.grant_access('regress_triggers', 'server');
SET ROLE regress_triggers;
SELECT token IS NOT NULL AS created FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_triggers"}');
SELECT refresh_token FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_triggers"}') \gset
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
RESET ROLE;
SELECT tale FROM audit.log ORDER BY n;

-- Those of a statement, with the rows that it wrote, and those of some columns.
TRUNCATE audit.log;
CREATE FUNCTION audit.count_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit.log (tale) SELECT format('%s %s %s of %s', TG_LEVEL, TG_OP, TG_TABLE_NAME, count(*)) FROM new_rows;
    RETURN NULL;
END
$$;
CREATE TRIGGER new_sessions AFTER INSERT ON dialstack.sessions REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION audit.count_new();
CREATE TRIGGER new_session AFTER INSERT ON dialstack.sessions REFERENCING NEW TABLE AS new_rows
    FOR EACH ROW EXECUTE FUNCTION audit.count_new();
CREATE TRIGGER changed_sessions AFTER UPDATE ON dialstack.sessions REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION audit.count_new();
CREATE TRIGGER changed_users AFTER UPDATE ON dialstack.session_users REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION audit.count_new();
CREATE TRIGGER changed_generation AFTER UPDATE OF generation ON dialstack.sessions
    FOR EACH ROW EXECUTE FUNCTION audit.note();
DROP TRIGGER before_row ON dialstack.sessions;
DROP TRIGGER after_row ON dialstack.sessions;
DROP TRIGGER at_commit ON dialstack.sessions;
SELECT refresh_token FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_triggers"}') \gset
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
SELECT tale FROM audit.log ORDER BY n;
SELECT * FROM t.statements();
-- Rules.
CREATE RULE note_new AS ON INSERT TO dialstack.sessions DO ALSO INSERT INTO audit.log (tale) VALUES ('rule');
DROP TRIGGER changed_generation ON dialstack.sessions;
DROP TRIGGER new_sessions ON dialstack.sessions;
DROP TRIGGER new_session ON dialstack.sessions;
DROP TRIGGER changed_sessions ON dialstack.sessions;
SELECT * FROM t.statements();
SELECT count(*) FROM audit.log WHERE tale = 'rule';
DROP RULE note_new ON dialstack.sessions;
SELECT * FROM t.statements();
-- A column that was added gets its default.
BEGIN;
ALTER TABLE dialstack.sessions ADD COLUMN mark text NOT NULL DEFAULT 'added';
SELECT session_id, refresh_token FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_triggers"}') \gset
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
SELECT generation, mark FROM dialstack.sessions WHERE session_id = :'session_id';
ROLLBACK;

-- What a BEFORE trigger makes of the row is what is stored; what a trigger raises undoes it all.
CREATE FUNCTION audit.change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.user_agent = 'refuse' THEN
        RAISE EXCEPTION 'not this one';
    END IF;
    NEW.user_agent := 'changed ' || TG_OP;
    RETURN NEW;
END
$$;
CREATE TRIGGER change BEFORE INSERT OR UPDATE ON dialstack.sessions FOR EACH ROW EXECUTE FUNCTION audit.change();
SELECT session_id, refresh_token FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_changed"}') \gset
SELECT user_agent FROM dialstack.sessions WHERE session_id = :'session_id';
SELECT ok FROM dialstack.session_refresh(:'refresh_token', user_agent => 'mine');
SELECT user_agent, generation FROM dialstack.sessions WHERE session_id = :'session_id';
SELECT * FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_refused"}', user_agent => 'refuse');
SELECT refresh_token AS second FROM dialstack.session_refresh(:'refresh_token', user_agent => 'mine') \gset
SELECT * FROM dialstack.session_refresh(:'second', user_agent => 'refuse');
SELECT user_agent, generation FROM dialstack.sessions WHERE session_id = :'session_id';
SELECT count(*) FROM dialstack.session_users WHERE identifier = 'user_refused';

-- What is done by hand is still noted once, what functions do not at all.
UPDATE dialstack.sessions SET expires_at = expires_at + interval '1 day' WHERE session_id = :'session_id';
SELECT operation, count(*) FROM dialstack.activity WHERE session_id = :'session_id' GROUP BY operation ORDER BY operation;

-- What a trigger revokes while a function of ours writes is dead at once, like all else.
CREATE FUNCTION audit.end_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dialstack.sessions SET revoked_at = now()
     WHERE subject = NEW.subject AND session_id <> NEW.session_id AND revoked_at IS NULL;
    RETURN NULL;
END
$$;
SELECT token AS remembered FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_family"}') \gset
SELECT refresh_token FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_family"}') \gset
SELECT valid FROM generate_series(1, 3), dialstack.session_verify(:'remembered');
CREATE TRIGGER end_others AFTER UPDATE OF generation ON dialstack.sessions FOR EACH ROW EXECUTE FUNCTION audit.end_others();
SELECT valid FROM generate_series(1, 3), dialstack.session_verify(:'remembered');
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
SELECT valid, reason FROM dialstack.session_verify(:'remembered');
SELECT operation, count(*) FROM dialstack.activity WHERE subject = 'user_family' GROUP BY operation ORDER BY operation;
DROP TRIGGER end_others ON dialstack.sessions;
-- And so is the session itself, where a trigger changes what a function writes of it.
CREATE FUNCTION audit.end_this() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revoked_at := now();
    NEW.revoke_reason := 'revoked';
    RETURN NEW;
END
$$;
SELECT token AS remembered, refresh_token FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_family"}') \gset
CREATE TRIGGER end_this BEFORE UPDATE OF generation ON dialstack.sessions FOR EACH ROW EXECUTE FUNCTION audit.end_this();
SELECT valid FROM dialstack.session_verify(:'remembered');
SELECT valid FROM dialstack.session_verify(:'remembered');
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
SELECT valid, reason FROM dialstack.session_verify(:'remembered');
DROP TRIGGER end_this ON dialstack.sessions;
-- And what a rule revokes.
CREATE FUNCTION audit.end_all(identifier text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- The rule holds for this update as well.
    IF coalesce(current_setting('audit.ending', true), '') = '' THEN
        PERFORM set_config('audit.ending', 'true', true);
        UPDATE dialstack.sessions SET revoked_at = now() WHERE subject = identifier AND revoked_at IS NULL;
        PERFORM set_config('audit.ending', '', true);
    END IF;
END
$$;
SELECT token AS remembered FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_family"}') \gset
SELECT refresh_token FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_family"}') \gset
CREATE RULE end_all AS ON UPDATE TO dialstack.sessions DO ALSO SELECT audit.end_all(NEW.subject);
SELECT valid FROM dialstack.session_verify(:'remembered');
SELECT valid FROM dialstack.session_verify(:'remembered');
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
SELECT valid, reason FROM dialstack.session_verify(:'remembered');
DROP RULE end_all ON dialstack.sessions;

-- A trigger that has the name of one of ours is still somebody's.
DROP TRIGGER after_row ON dialstack.session_users;
DROP TRIGGER changed_users ON dialstack.session_users;
CREATE TRIGGER note_by_hand AFTER INSERT ON dialstack.session_users FOR EACH ROW EXECUTE FUNCTION audit.note();
TRUNCATE audit.log;
SELECT token IS NOT NULL AS created FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_named"}');
SELECT tale FROM audit.log ORDER BY n;
DROP TRIGGER note_by_hand ON dialstack.session_users;

-- Without triggers: an update of an indexed column finds its way into the index.
DROP TRIGGER change ON dialstack.sessions;
SELECT * FROM t.statements();
CREATE INDEX regress_last_seen ON dialstack.sessions (last_seen_at, generation);
SELECT refresh_token FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_indexed"}') \gset
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
SET enable_seqscan = off;
SELECT generation FROM dialstack.sessions
 WHERE last_seen_at = (SELECT max(last_seen_at) FROM dialstack.sessions WHERE subject = 'user_indexed') AND generation = 1;
RESET enable_seqscan;

-- What another part of the same statement has changed is changed again, by either function.
SELECT session_id, refresh_token FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "user_with"}') \gset
WITH changed AS (UPDATE dialstack.sessions SET ip = '192.0.2.1' WHERE session_id = :'session_id' RETURNING session_id)
SELECT ok FROM changed, LATERAL dialstack.session_refresh(concat(:'refresh_token', left(session_id::text, 0)));
SELECT ip, generation FROM dialstack.sessions WHERE session_id = :'session_id';
WITH changed AS (UPDATE dialstack.session_users SET total_sessions = 10 WHERE identifier = 'user_with' RETURNING identifier)
SELECT token IS NOT NULL AS created FROM changed, LATERAL dialstack.session_create('shop', 'production', 'web', jsonb_build_object('userId', identifier));
SELECT total_sessions FROM dialstack.session_users WHERE identifier = 'user_with';
DROP INDEX dialstack.regress_last_seen;
DROP SCHEMA audit CASCADE;
DROP FUNCTION t.statements;
RESET track_functions;
DELETE FROM dialstack.sessions WHERE subject IN ('user_triggers', 'user_changed', 'user_family', 'user_named', 'user_indexed', 'user_with');
DELETE FROM dialstack.session_users WHERE identifier IN ('user_triggers', 'user_changed', 'user_family', 'user_named', 'user_indexed', 'user_with');
DROP OWNED BY regress_triggers;
DROP ROLE regress_triggers;
