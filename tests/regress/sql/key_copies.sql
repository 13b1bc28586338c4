-- A copy of a database is not the database: it accepts no token until it has an identity of its own.
\c postgres
CREATE DATABASE regress_original;
\c regress_original
SET client_min_messages = warning;
CREATE EXTENSION dialstack_sessions;
SELECT dialstack.product_create('shop') IS NOT NULL AS made;
SELECT dialstack.env_create('shop', 'production');
SELECT tag FROM dialstack.definition_create('shop', 'web', 'Web', '', '{"userId": "u"}', '$Session{userId}', 1, 'hours');
SELECT token, refresh_token, session_id FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "u"}') \gset
\c postgres
CREATE DATABASE regress_copy TEMPLATE regress_original;
\c regress_copy
-- The ring is there, its owner is another database.
SELECT database_oid <> (SELECT oid FROM pg_database WHERE datname = current_database()) AS of_another_database FROM dialstack.instance;
CREATE FUNCTION error(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, detail, hint);
END
$$;
SELECT error(format('SELECT * FROM dialstack.session_verify(%L)', :'token'));
SELECT split_part(error(format('SELECT * FROM dialstack.' || call, token)), E'\n', 1) AS error
  FROM (VALUES (1, 'session_require(%L)', :'token'), (2, 'session_refresh(%L)', :'refresh_token'), (3, 'token_introspect(%L)', :'token'),
        (4, 'session_explain(%L)', :'token'), (5, 'session_create(''shop'', ''production'', ''web'', ''{"userId": "u"}'')', ''),
        (6, 'session_update_data(%L, ''{"userId": "u"}'')', :'session_id')) AS c (n, call, token) ORDER BY n;
-- Nothing was half written by all this.
SELECT count(*) AS sessions FROM dialstack.sessions;
SELECT generation, active FROM dialstack.session_info(:'session_id');
-- instance_reset makes it a database of its own: tokens of the original stay dead, new ones work.
SELECT dialstack.instance_reset() IS NOT NULL AS new_identity;
SELECT valid, reason FROM dialstack.session_verify(:'token');
SELECT ok, reason FROM dialstack.session_refresh(:'refresh_token');
SELECT active, revoke_reason FROM dialstack.session_info(:'session_id');
SELECT token AS copy_token, refresh_token AS copy_refresh_token FROM dialstack.session_create('shop', 'production', 'web', '{"userId": "u"}') \gset
SELECT valid FROM dialstack.session_verify(:'copy_token');
-- The original noticed nothing, and refuses the copy's tokens.
\c regress_original
SELECT valid FROM dialstack.session_verify(:'token');
SELECT valid, reason FROM dialstack.session_verify(:'copy_token');
SELECT ok, reason FROM dialstack.session_refresh(:'copy_refresh_token');
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
-- A renamed database is still the same one.
\c postgres
ALTER DATABASE regress_original RENAME TO regress_renamed;
\c regress_renamed
SELECT valid FROM dialstack.session_verify(:'token');
\c postgres
DROP DATABASE regress_renamed;
DROP DATABASE regress_copy;
