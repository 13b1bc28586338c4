-- 0.1.0 to 0.2.0: account sessions, client sessions, scopes, API keys, access levels.

-- Scopes, API keys, and the tables whose devices client sessions count.

CREATE TABLE dialstack.scopes (
    scope       text        NOT NULL COLLATE "C",
    description text        NOT NULL,
    built_in    boolean     NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    CONSTRAINT scopes_pkey PRIMARY KEY (scope),
    CONSTRAINT scopes_scope_check CHECK (scope ~ '^[A-Za-z0-9._-]{1,63}$')
);
COMMENT ON TABLE dialstack.scopes IS 'the named permissions; the components of account sessions are scopes';
COMMENT ON COLUMN dialstack.scopes.scope IS 'name of the scope';
COMMENT ON COLUMN dialstack.scopes.description IS 'what it permits';
COMMENT ON COLUMN dialstack.scopes.built_in IS 'comes with the extension and can''t be deleted';
COMMENT ON COLUMN dialstack.scopes.created_at IS 'when it was created';

INSERT INTO dialstack.scopes (scope, description, built_in) VALUES
    ('call_logs', 'access to call logs', true),
    ('voicemails', 'access to voicemails', true),
    ('call_history', 'access to the call history', true),
    ('phone_numbers', 'access to phone numbers', true),
    ('phone_number_ordering', 'ordering of phone numbers', true),
    ('account_onboarding', 'onboarding of the account', true),
    ('dial_plan', 'access to the dial plan', true),
    ('ai_agent', 'access to the AI agent', true);

-- State: a dump restored elsewhere carries no key. No foreign key to environments: see 30_state.sql.
CREATE TABLE dialstack.api_keys (
    api_key_id uuid        NOT NULL,
    env_id     integer     NOT NULL,
    kind       text        NOT NULL,
    name       text,
    key_hash   bytea       NOT NULL,
    hint       text        NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (api_key_id),
    CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash),
    CONSTRAINT api_keys_kind_check CHECK (kind IN ('secret', 'publishable'))
);
CREATE INDEX api_keys_env_id ON dialstack.api_keys (env_id);
ALTER TABLE dialstack.api_keys ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE dialstack.api_keys IS 'API keys, as hashes; a key is shown once, when it is created';
COMMENT ON COLUMN dialstack.api_keys.api_key_id IS 'id of the key';
COMMENT ON COLUMN dialstack.api_keys.env_id IS 'the environment that the key is for';
COMMENT ON COLUMN dialstack.api_keys.kind IS 'secret or publishable';
COMMENT ON COLUMN dialstack.api_keys.name IS 'display name';
COMMENT ON COLUMN dialstack.api_keys.key_hash IS 'SHA-256 of the key';
COMMENT ON COLUMN dialstack.api_keys.hint IS 'last four characters of the key';
COMMENT ON COLUMN dialstack.api_keys.created_at IS 'when it was created';
COMMENT ON COLUMN dialstack.api_keys.expires_at IS 'when it expires; null: never';
COMMENT ON COLUMN dialstack.api_keys.revoked_at IS 'when it was revoked';

-- One living client session a user_identifier_key: creating is race-free by this index.
CREATE UNIQUE INDEX sessions_client_key ON dialstack.sessions (env_id, subject)
    WHERE kind = 'client' AND revoked_at IS NULL AND subject IS NOT NULL;
-- The filters of client_session_list.
CREATE INDEX sessions_client_env ON dialstack.sessions (env_id, created_at) WHERE kind = 'client';
CREATE INDEX sessions_client_webviews ON dialstack.sessions USING gin (connect_webview_ids)
    WHERE kind = 'client';
CREATE INDEX sessions_client_identities ON dialstack.sessions USING gin (user_identity_ids)
    WHERE kind = 'client';

CREATE TABLE dialstack.protected_tables (
    relation    regclass    NOT NULL,
    column_name name        NOT NULL,
    product_id  uuid        NOT NULL,
    env         text        NOT NULL COLLATE "C",
    by          text        NOT NULL,
    tag         text        COLLATE "C",
    scope       text        COLLATE "C",
    device      boolean     NOT NULL DEFAULT false,
    open_to     regrole[]   NOT NULL DEFAULT '{}',
    force       boolean     NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    CONSTRAINT protected_tables_pkey PRIMARY KEY (relation),
    CONSTRAINT protected_tables_by_check CHECK (by IN
        ('account', 'connected_account', 'identifier', 'user_identity')),
    CONSTRAINT protected_tables_device_check CHECK (NOT device OR by = 'connected_account')
);
COMMENT ON TABLE dialstack.protected_tables IS 'the application''s tables that sessions reach';
COMMENT ON COLUMN dialstack.protected_tables.relation IS 'the table';
COMMENT ON COLUMN dialstack.protected_tables.column_name IS 'the column that is compared with the session';
COMMENT ON COLUMN dialstack.protected_tables.product_id IS 'the product whose sessions reach it';
COMMENT ON COLUMN dialstack.protected_tables.env IS 'the environment whose sessions reach it';
COMMENT ON COLUMN dialstack.protected_tables.by IS 'what of the session the column is compared with';
COMMENT ON COLUMN dialstack.protected_tables.tag IS 'the only definition whose sessions reach it; null: all';
COMMENT ON COLUMN dialstack.protected_tables.scope IS 'the scope that a session needs; null: none';
COMMENT ON COLUMN dialstack.protected_tables.device IS 'its rows are devices: client sessions count them';
COMMENT ON COLUMN dialstack.protected_tables.open_to IS 'roles that see every row';
COMMENT ON COLUMN dialstack.protected_tables.force IS 'whether its owner is bound by the policies too';
COMMENT ON COLUMN dialstack.protected_tables.created_at IS 'when it was registered';

SELECT pg_catalog.pg_extension_config_dump('dialstack.scopes', 'WHERE NOT built_in');
SELECT pg_catalog.pg_extension_config_dump('dialstack.protected_tables', '');

CREATE FUNCTION dialstack."access_admin"() RETURNS bool
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'access_admin_wrapper';

CREATE FUNCTION dialstack."access_client"() RETURNS bool
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'access_client_wrapper';

CREATE FUNCTION dialstack."access_list"() RETURNS TABLE (
    "function" TEXT,
    "access" TEXT
)
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'access_list_wrapper';

CREATE FUNCTION dialstack."access_server"() RETURNS bool
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'access_server_wrapper';

CREATE FUNCTION dialstack."account_session_create"(
    "account" TEXT,
    "components" jsonb DEFAULT NULL,
    "product" TEXT DEFAULT NULL,
    "env" TEXT DEFAULT NULL,
    "expires_in" interval DEFAULT '1 hour'
) RETURNS TABLE (
    "client_secret" TEXT,
    "expires_at" timestamp with time zone,
    "account_id" TEXT,
    "components" jsonb
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'account_session_create_wrapper';

CREATE FUNCTION dialstack."api_key_create"(
    "product" TEXT,
    "env" TEXT,
    "kind" TEXT DEFAULT 'secret',
    "name" TEXT DEFAULT NULL,
    "expires_at" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "api_key_id" uuid,
    "api_key" TEXT
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'api_key_create_wrapper';

CREATE FUNCTION dialstack."api_key_list"(
    "product" TEXT,
    "env" TEXT
) RETURNS TABLE (
    "api_key_id" uuid,
    "kind" TEXT,
    "name" TEXT,
    "hint" TEXT,
    "created_at" timestamp with time zone,
    "expires_at" timestamp with time zone,
    "revoked_at" timestamp with time zone
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'api_key_list_wrapper';

CREATE FUNCTION dialstack."api_key_revoke"(
    "api_key_id" uuid
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'api_key_revoke_wrapper';

CREATE FUNCTION dialstack."client_session_create"(
    "user_identifier_key" TEXT DEFAULT NULL,
    "connected_account_ids" uuid[] DEFAULT NULL,
    "connect_webview_ids" uuid[] DEFAULT NULL,
    "user_identity_ids" uuid[] DEFAULT NULL,
    "expires_at" timestamp with time zone DEFAULT NULL,
    "product" TEXT DEFAULT NULL,
    "env" TEXT DEFAULT NULL
) RETURNS TABLE (
    "workspace_id" uuid,
    "client_session_id" uuid,
    "token" TEXT,
    "user_identifier_key" TEXT,
    "created_at" timestamp with time zone,
    "expires_at" timestamp with time zone,
    "device_count" bigint,
    "connected_account_ids" uuid[],
    "third_party_account_ids" uuid[],
    "connect_webview_ids" uuid[],
    "user_identity_ids" uuid[]
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'client_session_create_wrapper';

CREATE FUNCTION dialstack."client_session_delete"(
    "client_session_id" uuid,
    "product" TEXT DEFAULT NULL,
    "env" TEXT DEFAULT NULL
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'client_session_delete_wrapper';

CREATE FUNCTION dialstack."client_session_get_or_create"(
    "user_identifier_key" TEXT DEFAULT NULL,
    "connected_account_ids" uuid[] DEFAULT NULL,
    "connect_webview_ids" uuid[] DEFAULT NULL,
    "user_identity_ids" uuid[] DEFAULT NULL,
    "expires_at" timestamp with time zone DEFAULT NULL,
    "product" TEXT DEFAULT NULL,
    "env" TEXT DEFAULT NULL
) RETURNS TABLE (
    "workspace_id" uuid,
    "client_session_id" uuid,
    "token" TEXT,
    "user_identifier_key" TEXT,
    "created_at" timestamp with time zone,
    "expires_at" timestamp with time zone,
    "device_count" bigint,
    "connected_account_ids" uuid[],
    "third_party_account_ids" uuid[],
    "connect_webview_ids" uuid[],
    "user_identity_ids" uuid[]
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'client_session_get_or_create_wrapper';

CREATE FUNCTION dialstack."client_session_get"(
    "client_session_id" uuid DEFAULT NULL,
    "user_identifier_key" TEXT DEFAULT NULL,
    "product" TEXT DEFAULT NULL,
    "env" TEXT DEFAULT NULL
) RETURNS TABLE (
    "workspace_id" uuid,
    "client_session_id" uuid,
    "token" TEXT,
    "user_identifier_key" TEXT,
    "created_at" timestamp with time zone,
    "expires_at" timestamp with time zone,
    "device_count" bigint,
    "connected_account_ids" uuid[],
    "third_party_account_ids" uuid[],
    "connect_webview_ids" uuid[],
    "user_identity_ids" uuid[]
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'client_session_get_wrapper';

CREATE FUNCTION dialstack."client_session_grant_access"(
    "client_session_id" uuid DEFAULT NULL,
    "user_identifier_key" TEXT DEFAULT NULL,
    "connected_account_ids" uuid[] DEFAULT NULL,
    "connect_webview_ids" uuid[] DEFAULT NULL,
    "user_identity_ids" uuid[] DEFAULT NULL,
    "product" TEXT DEFAULT NULL,
    "env" TEXT DEFAULT NULL
) RETURNS TABLE (
    "workspace_id" uuid,
    "client_session_id" uuid,
    "token" TEXT,
    "user_identifier_key" TEXT,
    "created_at" timestamp with time zone,
    "expires_at" timestamp with time zone,
    "device_count" bigint,
    "connected_account_ids" uuid[],
    "third_party_account_ids" uuid[],
    "connect_webview_ids" uuid[],
    "user_identity_ids" uuid[]
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'client_session_grant_access_wrapper';

CREATE FUNCTION dialstack."client_session_list"(
    "client_session_id" uuid DEFAULT NULL,
    "user_identifier_key" TEXT DEFAULT NULL,
    "connect_webview_id" uuid DEFAULT NULL,
    "user_identity_id" uuid DEFAULT NULL,
    "without_user_identifier_key" bool DEFAULT NULL,
    "page" INT DEFAULT 1,
    "per_page" INT DEFAULT 10,
    "product" TEXT DEFAULT NULL,
    "env" TEXT DEFAULT NULL
) RETURNS TABLE (
    "workspace_id" uuid,
    "client_session_id" uuid,
    "token" TEXT,
    "user_identifier_key" TEXT,
    "created_at" timestamp with time zone,
    "expires_at" timestamp with time zone,
    "device_count" bigint,
    "connected_account_ids" uuid[],
    "third_party_account_ids" uuid[],
    "connect_webview_ids" uuid[],
    "user_identity_ids" uuid[],
    "total" bigint
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'client_session_list_wrapper';

CREATE FUNCTION dialstack."client_session_revoke"(
    "client_session_id" uuid,
    "product" TEXT DEFAULT NULL,
    "env" TEXT DEFAULT NULL
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'client_session_revoke_wrapper';

CREATE FUNCTION dialstack.grant_access(role regrole, access text) RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'grant_access_wrapper';

CREATE FUNCTION dialstack.revoke_access(role regrole, access text) RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'revoke_access_wrapper';

CREATE FUNCTION dialstack."scope_create"(
    "scope" TEXT,
    "description" TEXT
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'scope_create_wrapper';

CREATE FUNCTION dialstack."scope_delete"(
    "scope" TEXT
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'scope_delete_wrapper';

CREATE FUNCTION dialstack."session_create"(
    "account" TEXT,
    "components" jsonb DEFAULT NULL
) RETURNS TABLE (
    "client_secret" TEXT,
    "expires_at" timestamp with time zone,
    "account_id" TEXT,
    "components" jsonb
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_create_deprecated_wrapper';

-- Of what is new nothing is granted, neither to PUBLIC nor by the owner's default privileges. What an
-- administrator granted of the old stays.
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT 'TABLE' AS what, c.oid::pg_catalog.regclass::pg_catalog.text AS name,
               a.grantee, c.relowner AS owner
          FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
         WHERE c.oid OPERATOR(pg_catalog.=) ANY (ARRAY['dialstack.scopes', 'dialstack.api_keys',
               'dialstack.protected_tables']::pg_catalog.regclass[]::pg_catalog.oid[])
        UNION
        SELECT 'FUNCTION', p.oid::pg_catalog.regprocedure::pg_catalog.text, a.grantee, p.proowner
          FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(
                   coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
         WHERE p.pronamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
           AND (p.proname OPERATOR(pg_catalog.=) ANY (ARRAY[
                   'access_admin', 'access_client', 'access_list', 'access_server',
                   'account_session_create', 'api_key_create', 'api_key_list', 'api_key_revoke',
                   'client_session_create', 'client_session_delete', 'client_session_get',
                   'client_session_get_or_create', 'client_session_grant_access',
                   'client_session_list', 'client_session_revoke', 'scope_create',
                   'scope_delete', 'grant_access', 'revoke_access'
               ]::pg_catalog.name[])
               OR (p.proname OPERATOR(pg_catalog.=) 'session_create'
                   AND p.pronargs OPERATOR(pg_catalog.=) 2))
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
