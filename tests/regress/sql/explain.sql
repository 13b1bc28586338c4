-- session_explain: why a token is accepted or refused, step by step, for an administrator.
SELECT t.product('exp');
-- Ids, key numbers and seconds differ from run to run.
CREATE FUNCTION t.explain(token text) RETURNS TABLE (step int, checked text, passed boolean, detail text) LANGUAGE sql AS $$
    SELECT step, checked, passed, regexp_replace(regexp_replace(regexp_replace(detail, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'ID'),
           'key number \d+', 'key number N'), '\d+ s\M', 'N s') FROM dialstack.session_explain(token);
$$;
SELECT token, refresh_token, session_id FROM dialstack.session_create('exp', 'production', 'web', '{"userId": "u", "cart": 3}') \gset
-- A good one.
SELECT * FROM t.explain(:'token');
SELECT bool_and(passed) FROM t.explain('web:' || :'token');
-- Of what is not authentic it tells where the check failed.
SELECT e.* FROM (VALUES (1, NULL), (2, ''), (3, 'rubbish'), (4, 'a.b.c'), (5, :'refresh_token'), (7, :'token' || '.'),
    (8, 'eyJhbGciOiJub25lIn0.' || split_part(:'token', '.', 2) || '.'), (9, 'app:' || :'token'), (10, repeat('x', 8193)), (11, 'cs_live_AAAA'),
    (12, split_part(:'token', '.', 1) || '.' || split_part(:'token', '.', 2) || '.' || repeat('A', 43))) AS c (n, token), t.explain(c.token) e ORDER BY n, step;
-- Expired.
BEGIN;
SELECT t.age(:'session_id', '31 days');
SELECT * FROM t.explain(:'token');
ROLLBACK;
-- Revoked, with the reason.
BEGIN;
SELECT dialstack.session_revoke('exp', 'production', 'web', identifier => 'u');
SELECT * FROM t.explain(:'token') WHERE NOT passed;
ROLLBACK;
-- Deleted environment, deleted definition, deleted row.
BEGIN;
SELECT dialstack.env_delete('exp', 'production');
SELECT * FROM t.explain(:'token') WHERE NOT passed;
ROLLBACK;
BEGIN;
SELECT count(*) FROM dialstack.definition_delete('exp', 'web');
SELECT * FROM t.explain(:'token') WHERE NOT passed;
ROLLBACK;
BEGIN;
DELETE FROM dialstack.sessions WHERE session_id = :'session_id';
SELECT * FROM t.explain(:'token') WHERE NOT passed;
ROLLBACK;
-- A definition that was deleted by hand is a step that failed too.
BEGIN;
DELETE FROM dialstack.session_definitions WHERE tag = 'web' AND product_id = (SELECT product_id FROM dialstack.products WHERE product = 'exp');
SELECT count(*) > 1 AS tells_more_than_the_verdict FROM t.explain(:'token') WHERE NOT passed;
ROLLBACK;
-- It shows no secret and no session data, and reads only.
BEGIN READ ONLY;
SELECT bool_or(detail ~ 'eyJ|rt_|cart|userId') AS shows_secrets FROM dialstack.session_explain(:'token');
COMMIT;
