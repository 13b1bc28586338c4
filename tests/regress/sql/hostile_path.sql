-- A superuser whose search path leads to hostile operators, functions, types and tables: none of
-- them is run or read by our functions, nor by CREATE EXTENSION.
\c postgres
CREATE DATABASE regress_hostile;
\c regress_hostile
SET client_min_messages = warning;
CREATE SCHEMA evil;
CREATE TABLE evil.ran (what text);
-- Each look-alike notes that it ran, and answers what a thief would like.
CREATE FUNCTION evil.note(what text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO evil.ran VALUES (what);
    RETURN true;
END
$$;
DO $$
DECLARE
    place text;
    one record;
BEGIN
    FOREACH place IN ARRAY '{evil, public}'::text[] LOOP
        FOR one IN
            SELECT o, t.t FROM unnest('{=, <>, <, >, <=, >=}'::text[]) o, unnest('{uuid, text, integer, bigint, smallint, boolean, timestamptz, date, bytea, oid, name, inet, jsonb, interval}'::text[]) t
        LOOP
            EXECUTE pg_catalog.format('CREATE FUNCTION %I.%I(a %s, b %s) RETURNS boolean LANGUAGE sql AS %L',
                place, pg_catalog.format('op %s %s', one.o, one.t), one.t, one.t, pg_catalog.format('SELECT evil.note(%L)', one.o || ' ' || one.t));
            EXECUTE pg_catalog.format('CREATE OPERATOR %I.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = %I.%I)',
                place, one.o, one.t, one.t, place, pg_catalog.format('op %s %s', one.o, one.t));
        END LOOP;
        EXECUTE pg_catalog.format($f$
            CREATE FUNCTION %1$I.cat(a text, b text) RETURNS text LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''||'') THEN a END';
            CREATE OPERATOR %1$I.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = %1$I.cat);
            CREATE FUNCTION %1$I.matches(a text, b text) RETURNS boolean LANGUAGE sql AS 'SELECT evil.note(''~'')';
            CREATE OPERATOR %1$I.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = %1$I.matches);
            CREATE FUNCTION %1$I.plus(a bigint, b integer) RETURNS bigint LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''+'') THEN a END';
            CREATE OPERATOR %1$I.+ (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = %1$I.plus);
            CREATE FUNCTION %1$I.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''now'') THEN ''2000-01-01''::pg_catalog.timestamptz END';
            CREATE FUNCTION %1$I.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''clock_timestamp'') THEN ''2000-01-01''::pg_catalog.timestamptz END';
            CREATE FUNCTION %1$I.gen_random_uuid() RETURNS uuid LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''gen_random_uuid'') THEN ''00000000-0000-0000-0000-000000000000''::pg_catalog.uuid END';
            CREATE FUNCTION %1$I.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''sha256'') THEN $1 END';
            CREATE FUNCTION %1$I.timezone(text, timestamptz) RETURNS timestamp LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''timezone'') THEN ''2000-01-01''::pg_catalog.timestamp END';
            CREATE FUNCTION %1$I.extract(text, timestamp) RETURNS numeric LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''extract'') THEN 1.0 END';
            CREATE FUNCTION %1$I.count() RETURNS bigint LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''count'') THEN 0::pg_catalog.int8 END';
            CREATE FUNCTION %1$I.max(integer) RETURNS integer LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''max'') THEN 0 END';
            CREATE FUNCTION %1$I.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''format'') THEN ''SELECT 1'' END';
            CREATE FUNCTION %1$I.lpad(text, integer, text) RETURNS text LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''lpad'') THEN $1 END';
            CREATE FUNCTION %1$I.current_database() RETURNS name LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''current_database'') THEN ''x''::pg_catalog.name END';
            CREATE FUNCTION %1$I.getdatabaseencoding() RETURNS name LANGUAGE sql AS 'SELECT CASE WHEN evil.note(''getdatabaseencoding'') THEN ''x''::pg_catalog.name END';
            CREATE FUNCTION %1$I.pg_extension_config_dump(regclass, text) RETURNS void LANGUAGE sql AS 'SELECT evil.note(''pg_extension_config_dump'')';
            CREATE TABLE %1$I.sessions (stolen text); CREATE TABLE %1$I.instance (stolen text); CREATE TABLE %1$I.pg_database (oid oid, datname name);
            CREATE DOMAIN %1$I.uuid AS text; CREATE DOMAIN %1$I.timestamptz AS text; CREATE DOMAIN %1$I.jsonb AS text; CREATE DOMAIN %1$I.regprocedure AS text;
        $f$, place);
    END LOOP;
END
$$;
CREATE TEMP TABLE sessions (stolen text);
CREATE TEMP TABLE products (stolen text);
CREATE TEMP TABLE activity (stolen text);
CREATE TEMP TABLE session_users (stolen text);
CREATE TEMP TABLE pg_database (oid oid, datname name);
CREATE DOMAIN pg_temp.uuid AS text;
CREATE DOMAIN pg_temp.date AS text;
CREATE DOMAIN pg_temp.interval AS text;
-- The most hostile path.
SET search_path = pg_temp, evil, public, pg_catalog;
-- They are in force: this very statement runs them.
SELECT 'a'::pg_catalog.text = 'b'::pg_catalog.text AS caught, now() AT TIME ZONE 'UTC' AS also, 'a'::pg_catalog.text || 'b'::pg_catalog.text AS and_also;
SELECT what FROM evil.ran ORDER BY what COLLATE "C";
DELETE FROM evil.ran;

CREATE EXTENSION dialstack_sessions;
SELECT * FROM evil.ran;
SELECT conname, pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
 WHERE connamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace AND conname OPERATOR(pg_catalog.~) '^(products_product|environments_env|session_definitions_tag)_check$'::pg_catalog.text ORDER BY 1;

-- A whole life.
SELECT dialstack.product_create('shop') IS NOT NULL AS made;
SELECT dialstack.env_create('shop', 'production');
SELECT dialstack.env_create('shop', 'staging');
SELECT tag FROM dialstack.definition_create('shop', 'web', 'Web', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours', max_sessions => 2, log_verify => true);
SELECT tag FROM dialstack.definition_update('shop', 'web', '{"expiry": 2}');
SELECT tag FROM dialstack.definition_list('shop');
SELECT tag FROM dialstack.session_register('shop', dialstack.session_define('shop', 'app', 'App', '', 'userId', 1, 'hours', '{}'));
SELECT token, refresh_token, session_id FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "u"}') \gset
SELECT valid, identifier, data FROM dialstack.session_verify(:'token', 'shop', 'production', 'web');
SELECT valid FROM dialstack.session_require(:'token');
SELECT refresh_token FROM dialstack.session_refresh(:'refresh_token') \gset second_
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
SELECT ok FROM dialstack.session_refresh(:'second_refresh_token');
SELECT ok, reason FROM dialstack.session_refresh(:'refresh_token');
SELECT token, session_id FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "v"}') \gset
SELECT session_id IS NOT NULL AS updated FROM dialstack.session_update_data(:'session_id', '{"userId": "v", "x": 1}');
SELECT session_id IS NOT NULL AS extended FROM dialstack.session_extend(:'session_id', '1 day');
SELECT identifier, total FROM dialstack.session_list('shop', 'production', 'web');
SELECT identifier FROM dialstack.session_list('shop', 'production', 'web', identifier => 'v');
SELECT active FROM dialstack.session_info(:'session_id');
SELECT passed FROM dialstack.session_explain(:'token') WHERE checked OPERATOR(pg_catalog.=) 'verdict';
SELECT dialstack.token_introspect(:'token') ->> 'active' AS active;
SELECT token AS first_token FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "w"}') \gset
SELECT 1 FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "w"}');
SELECT 1 FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "w"}');
SELECT reason FROM dialstack.session_verify(:'first_token');
SELECT dialstack.session_revoke('shop', 'production', 'web', session_id => :'session_id');
SELECT dialstack.session_revoke_all('shop', 'production', 'web', 'w');
SELECT valid, reason FROM dialstack.session_verify(:'token');
SELECT alg FROM dialstack.signing_key_rotate('jwt', 'ES256');
SELECT state FROM dialstack.signing_key_revoke((SELECT kid FROM dialstack.signing_key_list() LIMIT 1));
SELECT dialstack.root_key_rotate();
SELECT pg_catalog.jsonb_array_length(dialstack.jwks() -> 'keys') AS keys;
SELECT tag FROM dialstack.definition_delete('shop', 'app');
SELECT dialstack.env_delete('shop', 'staging');
SELECT dialstack.instance_reset() IS NOT NULL AS reset;
-- Not one of them ran, and the path is what it was.
SELECT what, pg_catalog.count(*) FROM evil.ran GROUP BY 1;
SELECT pg_catalog.current_setting('search_path');
SELECT stolen FROM pg_temp.sessions UNION ALL SELECT stolen FROM evil.sessions UNION ALL SELECT stolen FROM public.sessions;
\c postgres
DROP DATABASE regress_hostile;
