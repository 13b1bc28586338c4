-- Nothing is granted to PUBLIC: not the schema, not a table, not a function.
DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN
        SELECT p.oid FROM pg_catalog.pg_proc p
         WHERE p.pronamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', routine);
    END LOOP;
END
$$;
REVOKE ALL ON SCHEMA dialstack FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA dialstack FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA dialstack FROM PUBLIC;

-- The identity of this database and its first keys.
SELECT dialstack.instance_reset();
