-- Privileges: who was granted nothing can do nothing; who was granted a function does what that
-- function does, and gets nothing else of its owner's.
SELECT t.product('priv');
SELECT token, refresh_token, session_id FROM dialstack.session_create('priv', 'production', 'web', '{"userId": "u"}') \gset
CREATE ROLE regress_nobody;
GRANT USAGE ON SCHEMA t TO regress_nobody;
SET ROLE regress_nobody;
SELECT * FROM dialstack.session_verify('x');
SELECT * FROM dialstack.sessions;
-- Not even with the schema open, as an administrator might do by mistake.
RESET ROLE;
GRANT USAGE ON SCHEMA dialstack TO regress_nobody;
SET ROLE regress_nobody;
CREATE FUNCTION pg_temp.outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
-- A strict function is not even asked about NULL.
SELECT pg_temp.outcome(format('SELECT dialstack.%I(%s)', proname, array_to_string(ARRAY(SELECT CASE WHEN proisstrict THEN '''1''::' ELSE 'NULL::' END || format_type(a, NULL) FROM unnest(proargtypes) a), ', '))) AS outcome, count(*) > 25 AS all_functions
  FROM pg_proc WHERE pronamespace = 'dialstack'::regnamespace AND prorettype <> 'trigger'::regtype GROUP BY 1;
SELECT command, pg_temp.outcome(format(command, relname)) AS outcome, count(*) > 15 AS all_tables
  FROM pg_class, unnest(ARRAY['SELECT * FROM dialstack.%I', 'DELETE FROM dialstack.%I', 'TRUNCATE dialstack.%I', 'LOCK TABLE dialstack.%I',
       'CREATE POLICY mine ON dialstack.%I USING (true)', 'ALTER TABLE dialstack.%I DISABLE ROW LEVEL SECURITY', 'CREATE INDEX ON dialstack.%I ((1))']) command
 WHERE relnamespace = 'dialstack'::regnamespace AND relkind IN ('r', 'p') GROUP BY 1, 2 ORDER BY 1;
CREATE FUNCTION dialstack.planted() RETURNS int LANGUAGE sql AS 'SELECT 1';
-- Nor borrow the trigger function, which would empty everybody's caches.
CREATE TEMP TABLE mine (x int);
CREATE TRIGGER borrowed AFTER INSERT ON mine EXECUTE FUNCTION dialstack.invalidate_verdicts();
RESET ROLE;
REVOKE ALL ON SCHEMA dialstack FROM regress_nobody;

-- pg_read_all_data and pg_write_all_data reach no row, of state or of configuration.
GRANT pg_read_all_data, pg_write_all_data TO regress_nobody;
SET ROLE regress_nobody;
CREATE FUNCTION pg_temp.shows_rows(relation text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    found boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM dialstack.%I)', relation) INTO found;
    RETURN found;
END
$$;
SELECT bool_or(pg_temp.shows_rows(relname)) AS shows_rows, count(*) > 15 AS all_tables FROM pg_class WHERE relnamespace = 'dialstack'::regnamespace AND relkind IN ('r', 'p');
UPDATE dialstack.sessions SET revoked_at = NULL, revoke_reason = NULL;
WITH d AS (DELETE FROM dialstack.signing_keys RETURNING 1) SELECT count(*) AS deleted FROM d;
INSERT INTO dialstack.instance (instance_id, database_oid, root_fingerprint) VALUES ('00000000-0000-0000-0000-000000000000', 0, '');
INSERT INTO dialstack.session_users VALUES (1, 1, 'u', now(), now(), 1);
UPDATE dialstack.products SET product = 'mine';
UPDATE dialstack.environments SET live = NOT live;
UPDATE dialstack.session_definitions SET expiry = 1000000;
DELETE FROM dialstack.scopes;
INSERT INTO dialstack.products (product, name) VALUES ('mine', 'mine');
INSERT INTO dialstack.scopes (product_id, scope, description) VALUES (gen_random_uuid(), 'mine', 'mine');
SELECT reltuples >= -1 AS estimate_only FROM pg_class WHERE oid = 'dialstack.sessions'::regclass;
SELECT count(*) AS statistics FROM pg_stats WHERE schemaname = 'dialstack' AND tablename IN ('sessions', 'instance', 'signing_keys', 'session_users', 'activity');
RESET ROLE;
SELECT t.verdict(:'token') AS unharmed;
REVOKE pg_read_all_data, pg_write_all_data FROM regress_nobody;

-- Granted functions do their work as the owner, and only that.
GRANT USAGE ON SCHEMA dialstack TO regress_nobody;
GRANT EXECUTE ON FUNCTION dialstack.session_verify, dialstack.session_create(text, text, text, jsonb, inet, text, interval, interval), dialstack.session_refresh, dialstack.session_list, dialstack.session_revoke_all TO regress_nobody;
GRANT EXECUTE ON FUNCTION t.verdict TO regress_nobody;
SET ROLE regress_nobody;
SET search_path = t, pg_temp;
SELECT valid, identifier FROM dialstack.session_verify(:'token');
SELECT token, refresh_token FROM dialstack.session_create('priv', 'production', 'web', '{"userId": "v"}') \gset mine_
SELECT ok FROM dialstack.session_refresh(:'mine_refresh_token');
SELECT identifier FROM dialstack.session_list('priv', 'production', 'web');
SELECT dialstack.session_revoke_all('priv', 'production', 'web', 'v');
SELECT valid, reason FROM dialstack.session_verify(:'mine_token');
-- Afterwards the caller is the caller again, with the search path that he had: after a success,
SELECT current_user, current_setting('search_path') AS search_path;
-- an error,
\set VERBOSITY sqlstate
SELECT * FROM dialstack.session_create('priv', 'nope', 'web', '{}');
\set VERBOSITY default
SELECT current_user, current_setting('search_path') AS search_path;
-- an error inside a subtransaction, in the middle of the work,
DO $$
BEGIN
    PERFORM set_config('transaction_read_only', 'on', true);
    PERFORM dialstack.session_create('priv', 'production', 'web', '{"userId": "v"}');
EXCEPTION WHEN read_only_sql_transaction THEN
    RAISE NOTICE '% %', current_user, current_setting('search_path');
END
$$;
SELECT current_user, current_setting('search_path') AS search_path;
-- and a rollback.
BEGIN;
SELECT count(*) FROM dialstack.session_create('priv', 'production', 'web', '{"userId": "v"}');
ROLLBACK;
SELECT current_user, current_setting('search_path') AS search_path;
-- Still no table.
SELECT count(*) FROM dialstack.sessions;
SELECT dialstack.instance_reset();
RESET search_path;
RESET ROLE;
-- A prepared plan follows the role that runs it.
PREPARE verify(text) AS SELECT valid FROM dialstack.session_verify($1);
EXECUTE verify(:'token');
SET ROLE regress_nobody;
EXECUTE verify(:'token');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION dialstack.session_verify FROM regress_nobody;
SET ROLE regress_nobody;
EXECUTE verify(:'token');
RESET ROLE;
DEALLOCATE verify;
DROP OWNED BY regress_nobody;
DROP ROLE regress_nobody;
