-- log_verify: verifications leave a row where the definition asks for it and writing is possible.
SELECT t.product('log');
SELECT tag, log_verify FROM dialstack.definition_create('log', 'logged', 'Logged', '', '{}', '$Session{userId}', 15, 'minutes', log_verify => true);
SELECT token, session_id FROM dialstack.session_create('log', 'production', 'logged', '{"userId": "u"}', ip => '203.0.113.7') \gset
CREATE FUNCTION t.verifications(session_id uuid) RETURNS TABLE (operation text, status text, reason text, subject text) LANGUAGE sql AS $$
    SELECT operation, status, reason, subject FROM dialstack.activity a WHERE a.session_id = verifications.session_id AND operation = 'verify' ORDER BY activity_id;
$$;
SELECT t.verdict(:'token');
SELECT count(*) FROM dialstack.session_require(:'token');
-- A refusal of an authentic token is a row too; one of a forged token is not.
SELECT t.verdict(:'token', product => 'other');
SELECT t.verdict(:'token', scope => 'call_logs');
SELECT t.verdict(:'token' || 'x');
SELECT * FROM t.verifications(:'session_id');
-- What is raised is rolled back with the statement, and so is its row.
SELECT t.code(format('SELECT * FROM dialstack.session_require(%L, product => %L)', :'token', 'other'));
SELECT count(*) FROM t.verifications(:'session_id');
-- A query that would have a parallel plan has a plan in which the row can be written.
CREATE TABLE t.big AS SELECT n FROM generate_series(1, 1000) n;
BEGIN;
SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0;
EXPLAIN (COSTS off) SELECT count(*) FROM t.big;
SELECT count(*), (SELECT valid FROM dialstack.session_verify(:'token')) FROM t.big;
SELECT count(*), (SELECT valid FROM dialstack.session_require(:'token')) FROM t.big;
SELECT count(*) FROM t.verifications(:'session_id');
-- Called in a parallel plan through a function that says that it may be, it fails as any write there.
CREATE FUNCTION t.mislabelled(token text) RETURNS boolean LANGUAGE plpgsql PARALLEL RESTRICTED AS $$ BEGIN RETURN (SELECT valid FROM dialstack.session_verify(token)); END $$;
\set VERBOSITY sqlstate
SELECT count(*), (SELECT t.mislabelled(:'token')) FROM t.big;
\set VERBOSITY default
ROLLBACK;
SELECT count(*) FROM t.verifications(:'session_id');
-- To present a token is one use; what the helpers ask of it is none.
BEGIN;
SELECT valid FROM dialstack.session_use(:'token');
SELECT dialstack.current_identifier(), dialstack.current_tag();
COMMIT;
SELECT count(*) FROM t.verifications(:'session_id');
-- Where nothing can be written it verifies all the same.
BEGIN READ ONLY;
SELECT t.verdict(:'token');
COMMIT;
SELECT count(*) FROM t.verifications(:'session_id');
-- Explaining and introspecting are not verifying.
SELECT count(*) > 1 AS explained FROM dialstack.session_explain(:'token');
SELECT dialstack.token_introspect(:'token') ->> 'active' AS active;
SELECT count(*) FROM t.verifications(:'session_id');
-- It follows the definition at once.
SELECT log_verify FROM dialstack.definition_update('log', 'logged', '{"log_verify": false}');
SELECT t.verdict(:'token');
SELECT count(*) FROM t.verifications(:'session_id');
SELECT log_verify FROM dialstack.definition_update('log', 'logged', '{"log_verify": true}');
SELECT dialstack.session_revoke('log', 'production', 'logged', identifier => 'u');
SELECT t.verdict(:'token');
SELECT * FROM t.verifications(:'session_id');
-- The default is not to.
SELECT token, session_id FROM dialstack.session_create('log', 'production', 'web', '{"userId": "u"}') \gset
SELECT t.verdict(:'token');
SELECT count(*) FROM t.verifications(:'session_id');
