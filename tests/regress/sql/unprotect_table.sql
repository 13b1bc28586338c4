-- unprotect_table: row-level security is what it was before protect_table, or stricter.
SELECT t.product('unprotect');
CREATE SCHEMA u;
-- How a table stands, and what is remembered of it. Tables go by their names, since they are made anew.
CREATE FUNCTION t.stands(relation text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(', ', CASE WHEN c.relrowsecurity THEN 'on' ELSE 'off' END, CASE WHEN c.relforcerowsecurity THEN 'forced' END,
                     (SELECT string_agg(replace(polname, 'dialstack_sessions_', ''), ' ' ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid),
                     (SELECT format('was %s/%s, added %s', left(k #>> '{before,enabled}', 1), left(k #>> '{before,forced}', 1), left(k ->> 'force_added', 1))
                        FROM pg_policy p, CAST(obj_description(p.oid, 'pg_policy') AS jsonb) k WHERE p.polrelid = c.oid AND p.polname = 'dialstack_sessions_access'))
      FROM pg_class c WHERE c.oid = $1::regclass
$$;
CREATE FUNCTION t.protect(relation text, force boolean DEFAULT false, scope text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT dialstack.protect_table(relation::regclass, 'account', 'unprotect', 'production', force => force, scope => scope);
    SELECT t.stands(relation);
$$;
CREATE FUNCTION t.unprotect(relation text) RETURNS text LANGUAGE sql AS $$
    SELECT dialstack.unprotect_table(relation::regclass);
    SELECT t.stands(relation);
$$;
-- A new table, as an administrator left it.
CREATE FUNCTION t.fresh(VARIADIC states text[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text;
BEGIN
    DROP TABLE IF EXISTS u.orders;
    CREATE TABLE u.orders (id int, account text);
    FOREACH state IN ARRAY states LOOP
        EXECUTE format('ALTER TABLE u.orders %s ROW LEVEL SECURITY', state);
    END LOOP;
    RETURN 'u.orders';
END
$$;
SET client_min_messages = warning;

-- As it was: each state, protected twice with other arguments.
SELECT t.stands(t.fresh(enabled, forced)) AS before, t.protect('u.orders', force) AS protected, t.protect('u.orders', again, 'call_logs') AS again, t.unprotect('u.orders') AS unprotected
  FROM (VALUES ('DISABLE', 'NO FORCE'), ('ENABLE', 'NO FORCE'), ('DISABLE', 'FORCE'), ('ENABLE', 'FORCE')) AS b (enabled, forced),
       unnest('{f,t}'::boolean[]) AS force, unnest('{f,t}'::boolean[]) AS again;
-- What was closed to everybody is so again.
CREATE ROLE regress_anyone;
GRANT USAGE ON SCHEMA u TO regress_anyone;
SELECT t.fresh('ENABLE');
INSERT INTO u.orders VALUES (1, 'blue');
GRANT SELECT ON u.orders TO regress_anyone;
SELECT t.protect('u.orders'), t.unprotect('u.orders');
SET ROLE regress_anyone;
SELECT count(*) FROM u.orders;
RESET ROLE;
-- Unprotecting what is not protected: nothing.
SELECT t.unprotect(t.fresh()), t.unprotect(t.fresh('ENABLE')), t.unprotect(t.fresh('ENABLE', 'FORCE'));

-- Manual changes in between. An owner that was bound manually stays bound, also where protect_table wanted it later.
SELECT t.protect(t.fresh());
ALTER TABLE u.orders FORCE ROW LEVEL SECURITY;
SELECT t.protect('u.orders', true), t.protect('u.orders'), t.unprotect('u.orders');
-- What was opened manually is closed again where it was closed before.
SELECT t.protect(t.fresh('ENABLE', 'FORCE'));
ALTER TABLE u.orders DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
SELECT t.unprotect('u.orders');
SELECT t.protect(t.fresh('FORCE'));
ALTER TABLE u.orders NO FORCE ROW LEVEL SECURITY;
SELECT t.protect('u.orders', true), t.protect('u.orders'), t.unprotect('u.orders');
-- Opened manually where it was open, it stays open.
SELECT t.protect(t.fresh(), true);
ALTER TABLE u.orders DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
SELECT t.unprotect('u.orders');
-- A policy of somebody else's keeps it on, permissive or not, older or newer.
SELECT t.protect(t.fresh());
CREATE POLICY mine ON u.orders FOR SELECT USING (account = 'blue');
SELECT t.unprotect('u.orders');
SELECT t.fresh();
CREATE POLICY narrow ON u.orders AS RESTRICTIVE USING (id > 0);
SELECT t.protect('u.orders'), t.unprotect('u.orders');
-- The policy, or the comment on it, was dropped: nothing is known any more, and it stays on, and forced.
SELECT t.protect(t.fresh(), true);
DROP POLICY dialstack_sessions_access ON u.orders;
SELECT t.unprotect('u.orders');
SELECT t.protect(t.fresh(), true);
COMMENT ON POLICY dialstack_sessions_access ON u.orders IS NULL;
SELECT t.protect('u.orders'), t.unprotect('u.orders');
SELECT t.protect(t.fresh(), true);
COMMENT ON POLICY dialstack_sessions_access ON u.orders IS '{"mine": 1}';
SELECT t.unprotect('u.orders');

-- Partitions: each as it was, also one that comes later, and one that goes.
CREATE TABLE u.calls (id int, account text) PARTITION BY LIST (id);
CREATE TABLE u.calls_1 PARTITION OF u.calls FOR VALUES IN (1);
CREATE TABLE u.calls_2 PARTITION OF u.calls FOR VALUES IN (2);
CREATE TABLE u.calls_3 (LIKE u.calls);
CREATE TABLE u.calls_4 (LIKE u.calls);
CREATE VIEW u.family AS SELECT relation, t.stands(relation) FROM unnest('{u.calls,u.calls_1,u.calls_2,u.calls_3,u.calls_4}'::text[]) AS relation;
ALTER TABLE u.calls_1 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT t.protect('u.calls', true);
-- On its own first, and open then.
SELECT t.protect('u.calls_3', true);
ALTER TABLE u.calls ATTACH PARTITION u.calls_3 FOR VALUES IN (3);
SELECT t.protect('u.calls');
ALTER TABLE u.calls ATTACH PARTITION u.calls_4 FOR VALUES IN (4);
ALTER TABLE u.calls DETACH PARTITION u.calls_2;
SELECT * FROM u.family;
SELECT t.unprotect('u.calls');
SELECT * FROM u.family;
SELECT t.unprotect('u.calls_2');
-- Tables that inherit likewise.
CREATE TABLE u.parent (id int, account text);
CREATE TABLE u.child () INHERITS (u.parent);
ALTER TABLE u.child ENABLE ROW LEVEL SECURITY;
SELECT t.protect('u.parent'), t.stands('u.child');
SELECT t.unprotect('u.parent'), t.stands('u.child');

-- Undone, nothing is known.
SELECT t.fresh();
BEGIN;
SELECT t.protect(t.fresh('ENABLE'), true);
ROLLBACK;
SELECT t.stands('u.orders'), t.unprotect('u.orders');

DROP OWNED BY regress_anyone;
DROP ROLE regress_anyone;
DROP SCHEMA u CASCADE;
RESET client_min_messages;
DROP FUNCTION t.stands, t.protect, t.unprotect, t.fresh;
