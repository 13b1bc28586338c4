-- Every change of what backends remember, by a function or by an administrator's own statement, sends an
-- invalidation at commit.
-- Statement triggers, ENABLE ALWAYS: also under session_replication_role = replica.

DO $$
DECLARE
    watched record;
BEGIN
    FOR watched IN
        SELECT * FROM (VALUES
            -- A new session is in nobody's memory: no INSERT.
            ('sessions',            'UPDATE OR DELETE OR TRUNCATE'),
            ('products',            'INSERT OR UPDATE OR DELETE OR TRUNCATE'),
            ('environments',        'INSERT OR UPDATE OR DELETE OR TRUNCATE'),
            ('session_definitions', 'INSERT OR UPDATE OR DELETE OR TRUNCATE'),
            ('instance',            'INSERT OR UPDATE OR DELETE OR TRUNCATE'),
            ('signing_keys',        'INSERT OR UPDATE OR DELETE OR TRUNCATE')
        ) AS w (relation, events)
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE TRIGGER invalidate_verdicts AFTER %s ON dialstack.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION dialstack.invalidate_verdicts()',
            watched.events, watched.relation);
        EXECUTE pg_catalog.format(
            'ALTER TABLE dialstack.%I ENABLE ALWAYS TRIGGER invalidate_verdicts', watched.relation);
        -- Of a row of sessions that the transaction has changed nothing is remembered. Of the others
        -- it is, and a statement that asks for a verdict after its own change, and then fails, never
        -- comes to its AFTER trigger: what it remembered is forgotten with what was sent before.
        CONTINUE WHEN watched.relation OPERATOR(pg_catalog.=) 'sessions';
        EXECUTE pg_catalog.format(
            'CREATE TRIGGER invalidate_verdicts_before BEFORE %s ON dialstack.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION dialstack.invalidate_verdicts()',
            watched.events, watched.relation);
        EXECUTE pg_catalog.format(
            'ALTER TABLE dialstack.%I ENABLE ALWAYS TRIGGER invalidate_verdicts_before',
            watched.relation);
    END LOOP;
END
$$;
