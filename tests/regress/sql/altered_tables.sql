-- Tables that an administrator has altered: memory is never read as another type than it holds.
SET client_min_messages = warning;
SELECT t.product('alt');
SELECT token, refresh_token, session_id FROM dialstack.session_create('alt', 'production', 'web', '{"userId": "ann"}') \gset
SELECT v.valid FROM dialstack.session_verify(:'token') v;
-- What verifying and refreshing answer after these statements, which are then undone.
CREATE FUNCTION t.altered(token text, refresh_token text, VARIADIC statements text[]) RETURNS TABLE (verify text, refresh text) LANGUAGE plpgsql AS $$
DECLARE
    statement text;
BEGIN
    FOREACH statement IN ARRAY statements LOOP
        EXECUTE statement;
    END LOOP;
    verify := t.code(format('SELECT * FROM dialstack.session_verify(%L)', token));
    refresh := t.code(format('SELECT * FROM dialstack.session_refresh(%L)', refresh_token));
    RAISE EXCEPTION USING ERRCODE = 'UNDO1';
EXCEPTION
    WHEN SQLSTATE 'UNDO1' THEN RETURN NEXT;
END $$;
-- A changed type: passed as a pointer where it was a value, and the other way round.
SELECT * FROM t.altered(:'token', :'refresh_token', 'ALTER TABLE dialstack.sessions ALTER COLUMN rotated_at TYPE text');
SELECT * FROM t.altered(:'token', :'refresh_token', 'ALTER TABLE dialstack.products ALTER COLUMN name TYPE bigint USING 1');
SELECT * FROM t.altered(:'token', :'refresh_token', 'ALTER TABLE dialstack.instance ALTER COLUMN instance_id TYPE text');
-- A dropped column, and one of the same name in its place.
SELECT * FROM t.altered(:'token', :'refresh_token', 'ALTER TABLE dialstack.sessions DROP COLUMN rotated_at');
SELECT * FROM t.altered(:'token', :'refresh_token', 'ALTER TABLE dialstack.sessions DROP COLUMN rotated_at',
                        'ALTER TABLE dialstack.sessions ADD COLUMN rotated_at timestamptz');
-- A missing table, another one of its name, and an index of its name over something else.
SELECT * FROM t.altered(:'token', :'refresh_token', 'ALTER TABLE dialstack.sessions RENAME TO moved');
SELECT * FROM t.altered(:'token', :'refresh_token', 'ALTER TABLE dialstack.sessions RENAME TO moved', 'CREATE TABLE dialstack.sessions ()');
SELECT * FROM t.altered(:'token', :'refresh_token', 'ALTER INDEX dialstack.sessions_pkey RENAME TO moved',
                        'CREATE INDEX sessions_pkey ON dialstack.sessions (subject)');
-- The type of a verdict.
SELECT * FROM t.altered(:'token', :'refresh_token', 'ALTER TYPE dialstack.session_verdict ALTER ATTRIBUTE valid TYPE text');
SELECT * FROM t.altered(:'token', :'refresh_token', 'ALTER TYPE dialstack.session_verdict ADD ATTRIBUTE more text');
-- Undone, all is as before.
SELECT v.valid FROM dialstack.session_verify(:'token') v;
SELECT ok FROM dialstack.session_refresh(:'refresh_token');
