-- What \df+ says of each function.

-- Setting up
COMMENT ON FUNCTION dialstack.product_create IS 'creates a product and returns its id';
COMMENT ON FUNCTION dialstack.env_create IS 'creates an environment of a product, live or for tests';
COMMENT ON FUNCTION dialstack.env_delete IS 'deletes an environment and revokes all that lives in it';
COMMENT ON FUNCTION dialstack.session_define IS 'checks a definition of user sessions and returns it, ready for session_register; stores nothing';
COMMENT ON FUNCTION dialstack.session_register IS 'stores a definition; the same tag again changes it';
COMMENT ON FUNCTION dialstack.definition_create IS 'checks and stores a definition in one call';
COMMENT ON FUNCTION dialstack.definition_update IS 'changes some fields of a definition; sessions follow at their next creation or refresh';
COMMENT ON FUNCTION dialstack.definition_delete IS 'deletes a definition, revokes its sessions, and returns what it was';
COMMENT ON FUNCTION dialstack.definition_get IS 'one definition';
COMMENT ON FUNCTION dialstack.definition_list IS 'all definitions of a product';
COMMENT ON FUNCTION dialstack.scope_create IS 'creates a scope, which account sessions can then hold as a component';
COMMENT ON FUNCTION dialstack.scope_delete IS 'deletes a scope and takes it away from every living session';
COMMENT ON FUNCTION dialstack.api_key_create IS 'creates an API key and returns it, this one time';
COMMENT ON FUNCTION dialstack.api_key_list IS 'the API keys of an environment, each with a hint only';
COMMENT ON FUNCTION dialstack.api_key_revoke IS 'revokes an API key for good';

-- User sessions
COMMENT ON FUNCTION dialstack.session_create(text, text, text, jsonb, inet, text, interval) IS 'creates a user session and returns its access token and refresh token';
COMMENT ON FUNCTION dialstack.session_start IS 'alias of session_create';
COMMENT ON FUNCTION dialstack.session_verify IS 'tells whether a token is good and whose session it is; a bad one is an answer, not an error';
COMMENT ON FUNCTION dialstack.session_require IS 'the same row for a good token; an error for any other';
COMMENT ON FUNCTION dialstack.session_refresh IS 'exchanges a refresh token for new tokens; one that was used before ends the session';
COMMENT ON FUNCTION dialstack.session_revoke IS 'revokes one session, or all of a user; returns how many';
COMMENT ON FUNCTION dialstack.session_revoke_all IS 'revokes all sessions of a user, but for one if it is named; returns how many';
COMMENT ON FUNCTION dialstack.session_update_data IS 'replaces the data of a living session';
COMMENT ON FUNCTION dialstack.session_extend IS 'moves the end of a living session, within what its definition allows';
COMMENT ON FUNCTION dialstack.session_list IS 'a page of sessions, of one user or of all of a definition';
COMMENT ON FUNCTION dialstack.session_info IS 'all about one session but its data, dead or alive';
COMMENT ON FUNCTION dialstack.session_explain IS 'why a token is accepted or refused, step by step; shows no secret';
COMMENT ON FUNCTION dialstack.token_introspect IS 'what a resource server learns of a token (RFC 7662)';

-- Account and client sessions
COMMENT ON FUNCTION dialstack.account_session_create IS 'creates a session for one account, limited to some components, and returns its client secret';
COMMENT ON FUNCTION dialstack.session_create(text, jsonb) IS 'deprecated name of account_session_create';
COMMENT ON FUNCTION dialstack.client_session_create IS 'creates a client session and returns its token; a living one with the same user_identifier_key is returned as it is';
COMMENT ON FUNCTION dialstack.client_session_get_or_create IS 'the same, but an expiry that is given replaces the old one';
COMMENT ON FUNCTION dialstack.client_session_get IS 'one client session, with the count of its devices; without id and key the caller''s own';
COMMENT ON FUNCTION dialstack.client_session_list IS 'a page of living client sessions, newest first';
COMMENT ON FUNCTION dialstack.client_session_grant_access IS 'adds to what a client session reaches; never takes away';
COMMENT ON FUNCTION dialstack.client_session_revoke IS 'revokes a client session: its token is dead, its row stays';
COMMENT ON FUNCTION dialstack.client_session_delete IS 'deletes a client session, token and row';

-- Identity
COMMENT ON FUNCTION dialstack.session_use IS 'presents a good token for the transaction, or with is_local => false for the connection';
COMMENT ON FUNCTION dialstack.session_clear IS 'presents no token any more';
COMMENT ON FUNCTION dialstack.session_end IS 'revokes the session of the presented token: a user''s own log-out';
COMMENT ON FUNCTION dialstack.postgrest_pre_request IS 'for db-pre-request of PostgREST: presents the session token of the request, from the header x-session-token or the bearer token';
COMMENT ON FUNCTION dialstack.current_session_id() IS 'id of the session of the presented token';
COMMENT ON FUNCTION dialstack.current_session_kind() IS 'user, account or client';
COMMENT ON FUNCTION dialstack.current_identifier() IS 'identifier of the user, or user_identifier_key of the client session';
COMMENT ON FUNCTION dialstack.current_identifier(text, text, text) IS 'identifier of the user, or user_identifier_key of the client session, if it belongs there';
COMMENT ON FUNCTION dialstack.current_account() IS 'account of the account session';
COMMENT ON FUNCTION dialstack.current_account(text, text, text) IS 'account of the account session, if it belongs there';
COMMENT ON FUNCTION dialstack.current_connected_accounts() IS 'connected accounts that the client session reaches';
COMMENT ON FUNCTION dialstack.current_connected_accounts(text, text, text) IS 'connected accounts that the client session reaches, if it belongs there';
COMMENT ON FUNCTION dialstack.current_user_identities() IS 'user identities of the client session';
COMMENT ON FUNCTION dialstack.current_user_identities(text, text, text) IS 'user identities of the client session, if it belongs there';
COMMENT ON FUNCTION dialstack.current_product() IS 'product of the session';
COMMENT ON FUNCTION dialstack.current_env() IS 'environment of the session';
COMMENT ON FUNCTION dialstack.current_tag() IS 'definition of the user session';
COMMENT ON FUNCTION dialstack.current_scopes() IS 'scopes that the session holds';
COMMENT ON FUNCTION dialstack.current_data() IS 'data of the user session, as it is now';
COMMENT ON FUNCTION dialstack.current_session_error() IS 'why the presented token is refused; null where none is presented or it is good';
COMMENT ON FUNCTION dialstack.has_scope(text) IS 'whether the session holds the scope';
COMMENT ON FUNCTION dialstack.has_scope(text, text, text, text) IS 'whether the session holds the scope and belongs there';
COMMENT ON FUNCTION dialstack.require_scope IS 'raises SCOPE_DISABLED unless the session holds the scope';

-- Row-level security of the application's tables
COMMENT ON FUNCTION dialstack.protect_table IS 'lets sessions see and change only those rows of a table whose column names what they are of';
COMMENT ON FUNCTION dialstack.unprotect_table IS 'takes the policies of protect_table away again';
COMMENT ON FUNCTION dialstack.device_table IS 'trigger function that never runs: its triggers, which protect_table makes, mark tables of devices';
COMMENT ON FUNCTION dialstack.policy_lint IS 'weaknesses of the policies that call the helpers, the worst first; one row each';
COMMENT ON FUNCTION dialstack.revoke_on_change IS 'trigger function (product, env, tag, identifier column): revokes the sessions of a user whose row is changed or deleted';
COMMENT ON FUNCTION dialstack.uuid_or_null IS 'the UUID that a text is; null if it is none';
COMMENT ON FUNCTION dialstack.bigint_or_null IS 'the bigint that a text is, as PostgreSQL writes it; null if it is none';
COMMENT ON FUNCTION dialstack.integer_or_null IS 'the integer that a text is, as PostgreSQL writes it; null if it is none';

-- Users, activity, dashboards, maintenance
COMMENT ON FUNCTION dialstack.session_users IS 'a page of a definition''s users, newest first';
COMMENT ON FUNCTION dialstack.session_user_details IS 'all about one user, with the decrypted data of the newest sessions';
COMMENT ON FUNCTION dialstack.session_activity_logs IS 'a page of what happened to sessions, newest first';
COMMENT ON FUNCTION dialstack.session_dashboard IS 'figures and series of a definition''s user sessions, exact at the moment of the call';
COMMENT ON FUNCTION dialstack.session_user_dashboard IS 'figures and series of one user''s operations, as far back as activity is kept';
COMMENT ON FUNCTION dialstack.maintain IS 'rolls activity up and deletes what has been dead for long, in batches; tells what it did and whether there is more';
COMMENT ON FUNCTION dialstack.schedule_maintenance IS 'lets pg_cron call maintain() by a schedule; returns the number of the job';

-- Keys
COMMENT ON FUNCTION dialstack.signing_key_rotate IS 'makes a new active key for a purpose; the old one goes on verifying';
COMMENT ON FUNCTION dialstack.signing_key_list IS 'the key ring without its secrets, oldest first';
COMMENT ON FUNCTION dialstack.signing_key_revoke IS 'revokes a key for good: what it made is refused from the next statement on';
COMMENT ON FUNCTION dialstack.root_key_rotate IS 'wraps the key ring with another root key; tells where that lies: row or file';
COMMENT ON FUNCTION dialstack.jwks IS 'the public keys that verify tokens, as a JSON Web Key Set (RFC 7517)';
COMMENT ON FUNCTION dialstack.instance_reset IS 'a new identity and new keys: every token of before is dead, every session revoked; returns its id';

-- Access
COMMENT ON FUNCTION dialstack.grant_access IS 'grants a role an access level: admin, server or client, and with it those below';
COMMENT ON FUNCTION dialstack.revoke_access IS 'takes an access level back; what another level gives the role it keeps';
COMMENT ON FUNCTION dialstack.access_list IS 'every function with the lowest access level that may call it';
COMMENT ON FUNCTION dialstack.access_client IS 'marks the roles with access client: they may call it';
COMMENT ON FUNCTION dialstack.access_server IS 'marks the roles with access server: they may call it';
COMMENT ON FUNCTION dialstack.access_admin IS 'marks the roles with access admin: they may call it';

-- Triggers of our own tables
COMMENT ON FUNCTION dialstack.invalidate_verdicts IS 'trigger function: tells every connection that what it remembers has changed';
COMMENT ON FUNCTION dialstack.by_hand IS 'whether sessions are being changed by hand; the condition of a trigger';
COMMENT ON FUNCTION dialstack.note_by_hand IS 'trigger function: notes in the activity what was done to a session by hand';

-- Nothing is granted to PUBLIC, nor to whom the owner's default privileges would give it: not the
-- schema, not a table, not a sequence, not a function, not a type.
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT 'TABLE' AS what, c.oid::pg_catalog.regclass::pg_catalog.text AS name,
               a.grantee, c.relowner AS owner
          FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
         WHERE c.relnamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
           AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p', 'v']::pg_catalog."char"[])
        UNION
        SELECT 'SEQUENCE', c.oid::pg_catalog.regclass::pg_catalog.text, a.grantee, c.relowner
          FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
         WHERE c.relnamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
           AND c.relkind OPERATOR(pg_catalog.=) 'S'
        UNION
        SELECT 'FUNCTION', p.oid::pg_catalog.regprocedure::pg_catalog.text, a.grantee, p.proowner
          FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(
                   coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
         WHERE p.pronamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
        UNION
        SELECT 'TYPE', t.oid::pg_catalog.regtype::pg_catalog.text, a.grantee, t.typowner
          FROM pg_catalog.pg_class c
          JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) c.reltype,
               pg_catalog.aclexplode(
                   coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner))) a
         WHERE c.relnamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
           AND c.relkind OPERATOR(pg_catalog.=) 'c'
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
           AND c.relrowsecurity
           AND a.attname OPERATOR(pg_catalog.=) ANY (ARRAY[
               'root_key', 'root_fingerprint', 'wrapped', 'sealed_data', 'subject', 'identifier',
               'ip', 'user_agent', 'detail', 'key_hash', 'hint', 'connected_account_ids',
               'connect_webview_ids', 'user_identity_ids']::pg_catalog.name[])
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0',
            secret.relation, secret.attname);
    END LOOP;
END
$$;

-- The identity of this database and its first keys.
SELECT dialstack.instance_reset();
