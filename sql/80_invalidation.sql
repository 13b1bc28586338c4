-- What changes verdicts, by function or by an administrator's own statement, sends an invalidation at commit.
-- ENABLE ALWAYS: also under session_replication_role = replica.

DO $$
DECLARE
    watched record;
BEGIN
    FOR watched IN
        SELECT * FROM (VALUES
            -- No backend remembers a new session: no INSERT. Of the columns, those that verdicts depend on;
            -- expires_at of sessions has its own trigger below.
            ('sessions',            'UPDATE OF session_id, env_id, definition_id, subject, identifier, created_at, '
                                    'revoked_at, revoke_reason, scopes, sealed_data, key_number, authenticated_at '
                                    'OR DELETE OR TRUNCATE'),
            ('client_sessions',     'UPDATE OF session_id, env_id, created_at, expires_at, revoked_at, '
                                    'revoke_reason, sealed_key, connected_account_ids, user_identity_ids '
                                    'OR DELETE OR TRUNCATE'),
            ('products',            'INSERT OR UPDATE OR DELETE OR TRUNCATE'),
            ('environments',        'INSERT OR UPDATE OR DELETE OR TRUNCATE'),
            ('session_definitions', 'INSERT OR UPDATE OR DELETE OR TRUNCATE'),
            ('access_limits',       'INSERT OR UPDATE OR DELETE OR TRUNCATE'),
            ('instance',            'INSERT OR UPDATE OR DELETE OR TRUNCATE'),
            ('signing_keys',        'INSERT OR UPDATE OR DELETE OR TRUNCATE')
        ) AS w (relation, events),
        -- A statement that asks for a verdict after its own change, and then fails, never comes to its AFTER
        -- trigger: what was remembered meanwhile is forgotten by what was sent before. Of a session that the
        -- transaction itself has changed nothing is remembered.
        (VALUES ('invalidate_verdicts', 'AFTER'), ('invalidate_verdicts_before', 'BEFORE')) AS t (name, timing)
         WHERE t.timing OPERATOR(pg_catalog.=) 'AFTER'
            OR w.relation OPERATOR(pg_catalog.<>) ALL (ARRAY['sessions', 'client_sessions'])
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE TRIGGER %I %s %s ON dialstack.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION dialstack.invalidate_verdicts()',
            watched.name, watched.timing, watched.events, watched.relation);
        EXECUTE pg_catalog.format(
            'ALTER TABLE dialstack.%I ENABLE ALWAYS TRIGGER %I', watched.relation, watched.name);
    END LOOP;
END
$$;

-- Every refresh moves a session's end and must send nothing. So this trigger looks at the row; in C, because a
-- WHEN condition is parsed anew at every statement.
CREATE TRIGGER invalidate_verdicts_of_moved AFTER UPDATE OF expires_at ON dialstack.sessions
    FOR EACH ROW EXECUTE FUNCTION dialstack.invalidate_verdicts();
ALTER TABLE dialstack.sessions ENABLE ALWAYS TRIGGER invalidate_verdicts_of_moved;

-- A database restored from a dump signs with the algorithm of the original.
CREATE TRIGGER follow_signing_algorithm AFTER INSERT OR UPDATE ON dialstack.signing_algorithm
    FOR EACH STATEMENT EXECUTE FUNCTION dialstack.follow_signing_algorithm();
ALTER TABLE dialstack.signing_algorithm ENABLE ALWAYS TRIGGER follow_signing_algorithm;
