-- What \df+ says of each function: what the source says beside it.
DO $$
DECLARE
    declared record;
BEGIN
    FOR declared IN SELECT l.function, l.description FROM dialstack.access_list() l
    LOOP
        EXECUTE pg_catalog.format(
            'COMMENT ON FUNCTION dialstack.%s IS %L', declared.function, declared.description);
    END LOOP;
END
$$;

-- Without a policy nobody but the owner reads or changes a row; else pg_read_all_data would read the root key. Nobody else
-- dumps the configuration either: a policy for reading would be in each dump, and be there already where that is restored.
DO $$
DECLARE
    relation pg_catalog.regclass;
BEGIN
    FOR relation IN
        SELECT c.oid FROM pg_catalog.pg_class c
         WHERE c.relnamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
           AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::pg_catalog."char"[])
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    END LOOP;
END
$$;

-- Nothing is granted to PUBLIC, nor to whom the owner's default privileges would give it: not the
-- schema, not a table, not a sequence, not a function, not a type.
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        -- Sequences too count as tables here.
        SELECT 'TABLE' AS what, c.oid::pg_catalog.regclass::pg_catalog.text AS name,
               a.grantee, c.relowner AS owner
          FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
         WHERE c.relnamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
           AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p', 'v', 'S']::pg_catalog."char"[])
        UNION
        SELECT 'FUNCTION', p.oid::pg_catalog.regprocedure::pg_catalog.text, a.grantee, p.proowner
          FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(
                   coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
         WHERE p.pronamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
        UNION
        -- The row types of tables and views too. An array's privileges are those of what it holds.
        SELECT 'TYPE', t.oid::pg_catalog.regtype::pg_catalog.text, a.grantee, t.typowner
          FROM pg_catalog.pg_type t, pg_catalog.aclexplode(
                   coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner))) a
         WHERE t.typnamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
           AND t.typelem OPERATOR(pg_catalog.=) 0
        UNION
        SELECT 'SCHEMA', 'dialstack', a.grantee, n.nspowner
          FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
         WHERE n.nspname OPERATOR(pg_catalog.=) 'dialstack'
    LOOP
        CONTINUE WHEN given.grantee OPERATOR(pg_catalog.=) given.owner;
        EXECUTE pg_catalog.format(
            'REVOKE ALL ON %s %s FROM %s', given.what, given.name,
            CASE WHEN given.grantee OPERATOR(pg_catalog.=) 0 THEN 'PUBLIC'
                 ELSE given.grantee::pg_catalog.regrole::pg_catalog.text END);
    END LOOP;
END
$$;

-- No statistics of what nobody else may read: pg_statistic has no row-level security. The planner
-- needs none of these; look-ups by subject follow their index.
DO $$
DECLARE
    secret record;
BEGIN
    FOR secret IN
        SELECT a.attrelid::pg_catalog.regclass AS relation, a.attname
          FROM pg_catalog.pg_attribute a
          JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
         WHERE c.relnamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
           AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::pg_catalog."char"[])
           AND a.attname OPERATOR(pg_catalog.=) ANY (ARRAY[
               'root_key', 'root_fingerprint', 'wrapped', 'sealed_data', 'subject', 'identifier', 'account',
               'ip', 'user_agent', 'sealed_key', 'key_hash', 'hint', 'connected_account_ids',
               'connect_webview_ids', 'user_identity_ids', 'target', 'effect', 'client_addr']::pg_catalog.name[])
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0',
            secret.relation, secret.attname);
    END LOOP;
END
$$;

-- The identity of this database and its first keys.
SELECT dialstack.instance_reset();
