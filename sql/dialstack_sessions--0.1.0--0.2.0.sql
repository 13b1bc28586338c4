-- 0.1.0 to 0.2.0: account sessions, client sessions, scopes, API keys, access levels, identity for row-level
-- security, users, activity logs, dashboards, maintenance.
--
-- Before: let every connection reconnect, so that it has the library of 0.2.0, which works with the
-- tables of both. What has the library of 0.1.0 after the update can't revoke sessions any more, and
-- the dashboard misses what it does.
--
-- Locks, until the transaction ends: creating, refreshing and revoking sessions waits, and what reads
-- activity. Verifying goes on, but for definitions with log_verify. No table is rewritten; the rows
-- of activity by which sessions were made and revoked are updated, and indexes are made on activity,
-- sessions and session_users. With SET lock_timeout an update that cannot have its locks gives up
-- before others queue behind it for long.

-- In the order in which creates take their locks.
LOCK TABLE dialstack.session_users, dialstack.sessions IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE dialstack.activity IN ACCESS EXCLUSIVE MODE;

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
COMMENT ON INDEX dialstack.api_keys_env_id IS 'the keys of an environment';
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
COMMENT ON INDEX dialstack.sessions_client_key IS 'one living client session a user_identifier_key';
COMMENT ON INDEX dialstack.sessions_client_env IS 'the client sessions of an environment, newest first';
COMMENT ON INDEX dialstack.sessions_client_webviews IS 'the client sessions of a connect webview';
COMMENT ON INDEX dialstack.sessions_client_identities IS 'the client sessions of a user identity';

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

-- Its own table: parts of a protected table have a row too. They may be attached and detached meanwhile.
CREATE TABLE dialstack.row_security_before (
    relation    regclass NOT NULL,
    enabled     boolean  NOT NULL,
    forced      boolean  NOT NULL,
    force_added boolean  NOT NULL DEFAULT false,
    CONSTRAINT row_security_before_pkey PRIMARY KEY (relation)
);
COMMENT ON TABLE dialstack.row_security_before IS 'row-level security of protected tables and their parts as it was before, for unprotect_table';
COMMENT ON COLUMN dialstack.row_security_before.relation IS 'the table, or the part of one';
COMMENT ON COLUMN dialstack.row_security_before.enabled IS 'whether row-level security was on';
COMMENT ON COLUMN dialstack.row_security_before.forced IS 'whether it bound the owner';
COMMENT ON COLUMN dialstack.row_security_before.force_added IS 'whether it binds the owner now because protect_table made it so';

SELECT pg_catalog.pg_extension_config_dump('dialstack.scopes', 'WHERE NOT built_in');
-- A table that was dropped leaves its row behind: its number would be another table's elsewhere.
SELECT pg_catalog.pg_extension_config_dump('dialstack.protected_tables',
    'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');
SELECT pg_catalog.pg_extension_config_dump('dialstack.row_security_before',
    'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');

-- Rollups go by the transaction that wrote a row. The rows that there are get the number that stands
-- for one which is over: as a constant it costs no rewrite.
-- A publication FOR ALL TABLES lets no row be changed of a table without an identity.
DO $$
DECLARE
    activity pg_catalog.regclass;
BEGIN
    FOR activity IN
        SELECT i.inhrelid FROM pg_catalog.pg_inherits i
         WHERE i.inhparent OPERATOR(pg_catalog.=) 'dialstack.activity'::pg_catalog.regclass
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY FULL', activity);
    END LOOP;
END
$$;

ALTER TABLE dialstack.activity
    ADD COLUMN xid                xid8 NOT NULL DEFAULT '2',
    ADD COLUMN session_created_at timestamptz,
    ADD COLUMN expires_before     timestamptz,
    ADD COLUMN expires_after      timestamptz;
ALTER TABLE dialstack.activity ALTER COLUMN xid SET DEFAULT pg_catalog.pg_current_xact_id();
COMMENT ON COLUMN dialstack.activity.xid IS 'transaction that wrote the row; rollups go by it';
COMMENT ON COLUMN dialstack.activity.session_created_at IS 'creation of the user session whose end moved';
COMMENT ON COLUMN dialstack.activity.expires_before IS 'end that a user session had, where a refresh, extension or revocation moved it';
COMMENT ON COLUMN dialstack.activity.expires_after IS 'end that a user session got; null where it was revoked';

-- The ends of the sessions that there are. What their refreshes did to them is not known; the end of now
-- counts as the one that they were created with.
DO $$
DECLARE
    nested_loops text := pg_catalog.current_setting('enable_nestloop');
BEGIN
    -- Each joins whole tables, and nobody may have analyzed them yet.
    PERFORM pg_catalog.set_config('enable_nestloop', 'off', true);
    UPDATE dialstack.activity a
       SET expires_after = s.expires_at
      FROM dialstack.sessions s
     WHERE a.session_id OPERATOR(pg_catalog.=) s.session_id AND a.kind OPERATOR(pg_catalog.=) 'user'
       AND a.operation OPERATOR(pg_catalog.=) 'create' AND a.status OPERATOR(pg_catalog.=) 'success';
    UPDATE dialstack.activity a
       SET session_created_at = s.created_at, expires_before = s.expires_at
      FROM dialstack.sessions s
     WHERE a.session_id OPERATOR(pg_catalog.=) s.session_id AND a.kind OPERATOR(pg_catalog.=) 'user'
       AND a.at OPERATOR(pg_catalog.=) s.revoked_at
       AND a.operation OPERATOR(pg_catalog.=) ANY (ARRAY['revoke', 'reuse', 'evict']);
    -- Where somebody emptied a month, or revoked by hand, the rows are missing.
    INSERT INTO dialstack.activity
        (at, month, session_id, env_id, definition_id, kind, operation, status, subject, expires_after)
    SELECT s.created_at, extract(month FROM s.created_at AT TIME ZONE 'UTC'), s.session_id, s.env_id,
           s.definition_id, 'user', 'create', 'success', s.subject, s.expires_at
      FROM dialstack.sessions s
     WHERE s.kind OPERATOR(pg_catalog.=) 'user' AND pg_catalog.isfinite(s.created_at)
       AND NOT EXISTS (
           SELECT FROM dialstack.activity a
            WHERE a.session_id OPERATOR(pg_catalog.=) s.session_id
              AND a.operation OPERATOR(pg_catalog.=) 'create' AND a.status OPERATOR(pg_catalog.=) 'success');
    INSERT INTO dialstack.activity
        (at, month, session_id, env_id, definition_id, kind, operation, status, reason, subject,
         session_created_at, expires_before)
    SELECT r.at, extract(month FROM r.at AT TIME ZONE 'UTC'), s.session_id, s.env_id, s.definition_id, 'user',
           'revoke', 'success', s.revoke_reason, s.subject, s.created_at, s.expires_at
      FROM dialstack.sessions s
     CROSS JOIN LATERAL (
           SELECT CASE WHEN pg_catalog.isfinite(s.revoked_at) THEN s.revoked_at
                       ELSE pg_catalog.now() END AS at) r
     WHERE s.kind OPERATOR(pg_catalog.=) 'user' AND s.revoked_at IS NOT NULL
       AND NOT EXISTS (
           SELECT FROM dialstack.activity a
            WHERE a.session_id OPERATOR(pg_catalog.=) s.session_id
              AND a.at OPERATOR(pg_catalog.=) s.revoked_at
              AND a.operation OPERATOR(pg_catalog.=) ANY (ARRAY['revoke', 'reuse', 'evict']));
    PERFORM pg_catalog.set_config('enable_nestloop', nested_loops, true);
END
$$;

-- After the rows, which is cheaper.
CREATE INDEX activity_subject_at ON dialstack.activity (env_id, subject, at);
CREATE INDEX activity_xid ON dialstack.activity (xid, activity_id);
CREATE INDEX session_users_first_seen ON dialstack.session_users (env_id, definition_id, first_seen, identifier);
COMMENT ON INDEX dialstack.activity_subject_at IS 'the logs and the dashboard of one user';
COMMENT ON INDEX dialstack.activity_xid IS 'finds what is not rolled up yet';
COMMENT ON INDEX dialstack.session_users_first_seen IS 'the list of users, newest first';

-- Rollups: what the dashboard needs to know of the activity, counted by maintain() and by nobody else.
-- Like all state they are in no logical dump.

CREATE TABLE dialstack.rollup_state (
    singleton   boolean NOT NULL DEFAULT true,
    xid         xid8    NOT NULL,
    activity_id bigint  NOT NULL,
    CONSTRAINT rollup_state_pkey PRIMARY KEY (singleton),
    CONSTRAINT rollup_state_singleton_check CHECK (singleton)
);
INSERT INTO dialstack.rollup_state (xid, activity_id) VALUES ('0', 0);
COMMENT ON TABLE dialstack.rollup_state IS 'how far the activity is rolled up; one row';
COMMENT ON COLUMN dialstack.rollup_state.singleton IS 'always true: there is one row';
COMMENT ON COLUMN dialstack.rollup_state.xid IS 'transaction of the last row of activity that is rolled up';
COMMENT ON COLUMN dialstack.rollup_state.activity_id IS 'number of that row; rows count by transaction, then by number';

-- The metrics are those of src/store/rollup/changes.sql.
CREATE TABLE dialstack.activity_rollup (
    bucket        timestamptz NOT NULL,
    count         bigint      NOT NULL,
    env_id        integer     NOT NULL,
    definition_id integer     NOT NULL,
    grain         text        NOT NULL COLLATE "C",
    metric        text        NOT NULL COLLATE "C",
    sum           numeric     NOT NULL,
    CONSTRAINT activity_rollup_pkey PRIMARY KEY (grain, env_id, definition_id, metric, bucket)
) WITH (fillfactor = 85);
COMMENT ON TABLE dialstack.activity_rollup IS 'counts of the activity of user sessions by quarters of an hour, and of ends to come also by seconds';
COMMENT ON COLUMN dialstack.activity_rollup.bucket IS 'beginning of the bucket; -infinity in totals';
COMMENT ON COLUMN dialstack.activity_rollup.count IS 'how many';
COMMENT ON COLUMN dialstack.activity_rollup.env_id IS 'environment';
COMMENT ON COLUMN dialstack.activity_rollup.definition_id IS 'definition';
COMMENT ON COLUMN dialstack.activity_rollup.grain IS 'length of the bucket: quarter (of an hour), second or total (of all time)';
COMMENT ON COLUMN dialstack.activity_rollup.metric IS 'what is counted: OPERATION/STATUS, ends, revoked, first_seen, active_until, seen_until, active_users_DAYS';
COMMENT ON COLUMN dialstack.activity_rollup.sum IS 'seconds that the sessions counted lasted, or microseconds that the operations counted took';

-- Beside session_users, which every create locks and which is therefore left alone.
CREATE TABLE dialstack.rollup_users (
    active_until  timestamptz NOT NULL,
    seen_until    timestamptz NOT NULL,
    last_seen     timestamptz NOT NULL,
    env_id        integer     NOT NULL,
    definition_id integer     NOT NULL,
    identifier    text        NOT NULL COLLATE "C",
    active_days   date[]      NOT NULL,
    CONSTRAINT rollup_users_pkey PRIMARY KEY (env_id, definition_id, identifier)
) WITH (fillfactor = 85);
COMMENT ON TABLE dialstack.rollup_users IS 'users as the rollups have counted them';
COMMENT ON COLUMN dialstack.rollup_users.active_until IS 'latest end of the user''s unrevoked sessions; -infinity where there is none';
COMMENT ON COLUMN dialstack.rollup_users.seen_until IS 'when the user is expired: active_until, or 30 days after last_seen, whichever is later';
COMMENT ON COLUMN dialstack.rollup_users.last_seen IS 'last creation or refresh of a session';
COMMENT ON COLUMN dialstack.rollup_users.env_id IS 'environment';
COMMENT ON COLUMN dialstack.rollup_users.definition_id IS 'definition';
COMMENT ON COLUMN dialstack.rollup_users.identifier IS 'identifier of the user';
COMMENT ON COLUMN dialstack.rollup_users.active_days IS 'UTC days of about the last two months on which the user was active, in order';

ALTER TABLE dialstack.rollup_state ENABLE ROW LEVEL SECURITY;
ALTER TABLE dialstack.activity_rollup ENABLE ROW LEVEL SECURITY;
ALTER TABLE dialstack.rollup_users ENABLE ROW LEVEL SECURITY;

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

CREATE FUNCTION dialstack."bigint_or_null"(
    "text" TEXT
) RETURNS bigint
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'bigint_or_null_wrapper';

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

CREATE FUNCTION dialstack.current_account(product text, env text, tag text DEFAULT NULL) RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_account_of_wrapper';

CREATE FUNCTION dialstack.current_account() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_account_wrapper';

CREATE FUNCTION dialstack.current_connected_accounts(product text, env text, tag text DEFAULT NULL) RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_connected_accounts_of_wrapper';

CREATE FUNCTION dialstack.current_connected_accounts() RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_connected_accounts_wrapper';

CREATE FUNCTION dialstack.current_data() RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_data_wrapper';

CREATE FUNCTION dialstack.current_env() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_env_wrapper';

CREATE FUNCTION dialstack.current_identifier(product text, env text, tag text DEFAULT NULL) RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_identifier_of_wrapper';

CREATE FUNCTION dialstack.current_identifier() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_identifier_wrapper';

CREATE FUNCTION dialstack.current_product() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_product_wrapper';

CREATE FUNCTION dialstack.current_scopes() RETURNS text[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_scopes_wrapper';

CREATE FUNCTION dialstack.current_session_error() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_session_error_wrapper';

CREATE FUNCTION dialstack.current_session_id() RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_session_id_wrapper';

CREATE FUNCTION dialstack.current_session_kind() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_session_kind_wrapper';

CREATE FUNCTION dialstack.current_tag() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_tag_wrapper';

CREATE FUNCTION dialstack.current_user_identities(product text, env text, tag text DEFAULT NULL) RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_user_identities_of_wrapper';

CREATE FUNCTION dialstack.current_user_identities() RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_user_identities_wrapper';

CREATE FUNCTION dialstack.grant_access(role regrole, access text) RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'grant_access_wrapper';

CREATE FUNCTION dialstack.has_scope(scope text, product text, env text, tag text DEFAULT NULL)
RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'has_scope_of_wrapper';

CREATE FUNCTION dialstack.has_scope(scope text) RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'has_scope_wrapper';

CREATE FUNCTION dialstack."integer_or_null"(
    "text" TEXT
) RETURNS INT
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'integer_or_null_wrapper';

CREATE FUNCTION dialstack."maintain"(
    "batch" INT DEFAULT 1000
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'maintain_wrapper';

CREATE FUNCTION dialstack.by_hand() RETURNS bool VOLATILE PARALLEL UNSAFE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'by_hand_wrapper';
CREATE FUNCTION dialstack.note_by_hand() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'note_by_hand_wrapper';

CREATE FUNCTION dialstack.policy_lint() RETURNS TABLE (relation regclass, policy text, severity text, weakness text, detail text, hint text) LANGUAGE c STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'policy_lint_wrapper';

CREATE FUNCTION dialstack.postgrest_pre_request() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'postgrest_pre_request_wrapper';

CREATE FUNCTION dialstack.protect_table(relation regclass, column_name name, product text, env text, by text DEFAULT 'account', tag text DEFAULT NULL, scope text DEFAULT NULL, device boolean DEFAULT false, open_to regrole[] DEFAULT '{}', force boolean DEFAULT false) RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'protect_table_wrapper';

CREATE FUNCTION dialstack.require_scope(scope text) RETURNS void
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'require_scope_wrapper';

CREATE FUNCTION dialstack.revoke_access(role regrole, access text) RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'revoke_access_wrapper';

CREATE FUNCTION dialstack.revoke_on_change() RETURNS trigger LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'revoke_on_change_wrapper';

CREATE FUNCTION dialstack."schedule_maintenance"(
    "cron" TEXT DEFAULT '*/5 * * * *'
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'schedule_maintenance_wrapper';

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

CREATE FUNCTION dialstack."session_activity_logs"(
    "product" TEXT,
    "tag" TEXT DEFAULT NULL,
    "env" TEXT DEFAULT NULL,
    "identifier" TEXT DEFAULT NULL,
    "status" TEXT DEFAULT NULL,
    "start_at" timestamp with time zone DEFAULT NULL,
    "end_at" timestamp with time zone DEFAULT NULL,
    "page" INT DEFAULT 1,
    "per_page" INT DEFAULT 20,
    "with_total" bool DEFAULT true
) RETURNS TABLE (
    "activity_id" bigint,
    "at" timestamp with time zone,
    "product" TEXT,
    "env" TEXT,
    "tag" TEXT,
    "kind" TEXT,
    "operation" TEXT,
    "status" TEXT,
    "reason" TEXT,
    "session_id" uuid,
    "identifier" TEXT,
    "latency_us" INT,
    "ip" inet,
    "user_agent" TEXT,
    "detail" jsonb,
    "total" bigint
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_activity_logs_wrapper';

CREATE FUNCTION dialstack.session_clear() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'session_clear_wrapper';

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

CREATE FUNCTION dialstack."session_dashboard"(
    "product" TEXT,
    "tag" TEXT,
    "env" TEXT DEFAULT NULL,
    "group_by" TEXT DEFAULT 'day',
    "start_at" timestamp with time zone DEFAULT NULL,
    "end_at" timestamp with time zone DEFAULT NULL,
    "time_zone" TEXT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_dashboard_wrapper';

CREATE FUNCTION dialstack.session_end() RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'session_end_wrapper';

CREATE FUNCTION dialstack.session_use(token text, is_local boolean DEFAULT true)
RETURNS dialstack.session_verdict
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'session_use_wrapper';

CREATE FUNCTION dialstack."session_user_dashboard"(
    "product" TEXT,
    "tag" TEXT,
    "identifier" TEXT,
    "env" TEXT DEFAULT NULL,
    "group_by" TEXT DEFAULT 'day',
    "start_at" timestamp with time zone DEFAULT NULL,
    "end_at" timestamp with time zone DEFAULT NULL,
    "time_zone" TEXT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_user_dashboard_wrapper';

CREATE FUNCTION dialstack."session_user_details"(
    "product" TEXT,
    "tag" TEXT,
    "identifier" TEXT,
    "env" TEXT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_user_details_wrapper';

CREATE FUNCTION dialstack."session_users"(
    "product" TEXT,
    "tag" TEXT,
    "env" TEXT DEFAULT NULL,
    "page" INT DEFAULT 1,
    "per_page" INT DEFAULT 20,
    "with_total" bool DEFAULT true
) RETURNS TABLE (
    "identifier" TEXT,
    "env" TEXT,
    "first_seen" timestamp with time zone,
    "last_seen" timestamp with time zone,
    "total_sessions" bigint,
    "active_sessions" bigint,
    "status" TEXT,
    "total" bigint
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_users_wrapper';

CREATE FUNCTION dialstack.unprotect_table(relation regclass) RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'unprotect_table_wrapper';

CREATE FUNCTION dialstack."uuid_or_null"(
    "text" TEXT
) RETURNS uuid
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'uuid_or_null_wrapper';

-- What an administrator does to sessions by hand, in psql, counts in the activity as it does by
-- function. Our own statements note what they do themselves: all that they pay for this is the condition,
-- which is as short as can be, because the server parses it anew at every statement.
CREATE TRIGGER note_by_hand AFTER UPDATE ON dialstack.sessions
    FOR EACH ROW WHEN (dialstack.by_hand()) EXECUTE FUNCTION dialstack.note_by_hand();
ALTER TABLE dialstack.sessions ENABLE ALWAYS TRIGGER note_by_hand;

-- A statement that changes what backends remember, asks for a verdict and fails never comes to its AFTER
-- trigger: what it remembered is forgotten with what was sent before.
DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['products', 'environments', 'session_definitions', 'instance', 'signing_keys']
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE TRIGGER invalidate_verdicts_before '
            'BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON dialstack.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION dialstack.invalidate_verdicts()', relation);
        EXECUTE pg_catalog.format(
            'ALTER TABLE dialstack.%I ENABLE ALWAYS TRIGGER invalidate_verdicts_before', relation);
    END LOOP;
END
$$;

-- What administrators look at in psql. The views read the tables as their owner, past row-level
-- security, and no column is a secret. Each asks for the marker of access level admin: by SELECT alone
-- pg_read_all_data would read them.

-- A client session's subject is a password where publishable keys are used: it is not shown.
CREATE VIEW dialstack.active_sessions WITH (security_barrier) AS
SELECT s.session_id, s.kind, p.product, e.env, d.tag,
       CASE WHEN s.kind OPERATOR(pg_catalog.<>) 'client' THEN s.subject END AS identifier,
       s.created_at, s.last_seen_at, s.expires_at, s.generation, s.ip, s.user_agent, s.scopes,
       s.api_key_id
  FROM dialstack.sessions s
  JOIN dialstack.environments e ON e.env_id OPERATOR(pg_catalog.=) s.env_id
  JOIN dialstack.products p ON p.product_id OPERATOR(pg_catalog.=) e.product_id
  LEFT JOIN dialstack.session_definitions d ON d.definition_id OPERATOR(pg_catalog.=) s.definition_id
 WHERE dialstack.access_admin()
   AND s.revoked_at IS NULL AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp();
COMMENT ON VIEW dialstack.active_sessions IS 'the living sessions of all kinds';
COMMENT ON COLUMN dialstack.active_sessions.session_id IS 'id of the session';
COMMENT ON COLUMN dialstack.active_sessions.kind IS 'user, account or client';
COMMENT ON COLUMN dialstack.active_sessions.product IS 'its product';
COMMENT ON COLUMN dialstack.active_sessions.env IS 'its environment';
COMMENT ON COLUMN dialstack.active_sessions.tag IS 'its definition; user sessions only';
COMMENT ON COLUMN dialstack.active_sessions.identifier IS 'identifier of the user, or account; null for client sessions, whose user_identifier_key is secret';
COMMENT ON COLUMN dialstack.active_sessions.created_at IS 'when it was created';
COMMENT ON COLUMN dialstack.active_sessions.last_seen_at IS 'creation or last refresh';
COMMENT ON COLUMN dialstack.active_sessions.expires_at IS 'when it ends unless it is refreshed';
COMMENT ON COLUMN dialstack.active_sessions.generation IS 'how often the refresh token has rotated';
COMMENT ON COLUMN dialstack.active_sessions.ip IS 'address of the user at creation or last refresh';
COMMENT ON COLUMN dialstack.active_sessions.user_agent IS 'user agent at creation or last refresh';
COMMENT ON COLUMN dialstack.active_sessions.scopes IS 'scopes that it holds';
COMMENT ON COLUMN dialstack.active_sessions.api_key_id IS 'API key that created it';

-- The count reads all sessions, but only where its column is asked for.
CREATE VIEW dialstack.signing_key_status AS
SELECT k.kid, k.key_number, k.purpose, k.alg, k.state, k.created_at, k.retired_at, k.revoked_at,
       k.public_jwk IS NOT NULL AS published,
       CASE WHEN k.purpose OPERATOR(pg_catalog.<>) 'jwt' THEN coalesce(s.living, 0) END
           AS living_sessions
  FROM dialstack.signing_keys k
  LEFT JOIN (SELECT key_number, pg_catalog.count(*) AS living
               FROM dialstack.sessions
              WHERE revoked_at IS NULL
                AND expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()
              GROUP BY key_number) s
    ON s.key_number OPERATOR(pg_catalog.=) k.key_number
 WHERE dialstack.access_admin();
COMMENT ON VIEW dialstack.signing_key_status IS 'the key ring without its secrets, and what depends on each key';
COMMENT ON COLUMN dialstack.signing_key_status.kid IS 'key id, as in the header of a token';
COMMENT ON COLUMN dialstack.signing_key_status.key_number IS 'number of the key, as in opaque tokens and sealed data';
COMMENT ON COLUMN dialstack.signing_key_status.purpose IS 'jwt, seal or token';
COMMENT ON COLUMN dialstack.signing_key_status.alg IS 'HS256, EdDSA or ES256; only for purpose jwt';
COMMENT ON COLUMN dialstack.signing_key_status.state IS 'active: makes and checks; retired: only checks; revoked: neither';
COMMENT ON COLUMN dialstack.signing_key_status.created_at IS 'when it was made';
COMMENT ON COLUMN dialstack.signing_key_status.retired_at IS 'when a newer key took over';
COMMENT ON COLUMN dialstack.signing_key_status.revoked_at IS 'when it was revoked';
COMMENT ON COLUMN dialstack.signing_key_status.published IS 'whether it has a public part';
COMMENT ON COLUMN dialstack.signing_key_status.living_sessions IS 'living sessions whose data it encrypts (seal), or whose client token it makes (token); null for jwt';

CREATE VIEW dialstack.refresh_reuse WITH (security_barrier) AS
SELECT a.at, p.product, e.env, d.tag, a.session_id, a.subject AS identifier, a.ip, a.user_agent
  FROM dialstack.activity a
  JOIN dialstack.environments e ON e.env_id OPERATOR(pg_catalog.=) a.env_id
  JOIN dialstack.products p ON p.product_id OPERATOR(pg_catalog.=) e.product_id
  LEFT JOIN dialstack.session_definitions d ON d.definition_id OPERATOR(pg_catalog.=) a.definition_id
 WHERE dialstack.access_admin() AND a.operation OPERATOR(pg_catalog.=) 'reuse';
COMMENT ON VIEW dialstack.refresh_reuse IS 'old refresh tokens that were presented: each may be a theft';
COMMENT ON COLUMN dialstack.refresh_reuse.at IS 'when it was presented';
COMMENT ON COLUMN dialstack.refresh_reuse.product IS 'product of the session';
COMMENT ON COLUMN dialstack.refresh_reuse.env IS 'environment of the session';
COMMENT ON COLUMN dialstack.refresh_reuse.tag IS 'definition of the session';
COMMENT ON COLUMN dialstack.refresh_reuse.session_id IS 'the session, which was revoked by it';
COMMENT ON COLUMN dialstack.refresh_reuse.identifier IS 'the user';
COMMENT ON COLUMN dialstack.refresh_reuse.ip IS 'address of who presented it';
COMMENT ON COLUMN dialstack.refresh_reuse.user_agent IS 'user agent of who presented it';

CREATE VIEW dialstack.api_key_usage AS
SELECT k.api_key_id, p.product, e.env, k.kind, k.name, k.hint,
       CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'
            WHEN k.expires_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp() THEN 'expired'
            ELSE 'active' END AS state,
       k.created_at, k.expires_at, k.revoked_at,
       coalesce(a.uses, 0) AS uses, a.last_used_at
  FROM dialstack.api_keys k
  LEFT JOIN (dialstack.environments e
             JOIN dialstack.products p ON p.product_id OPERATOR(pg_catalog.=) e.product_id)
    ON e.env_id OPERATOR(pg_catalog.=) k.env_id
  LEFT JOIN (SELECT (detail OPERATOR(pg_catalog.->>) 'api_key_id')::pg_catalog.uuid AS api_key_id,
                    pg_catalog.count(*) AS uses, pg_catalog.max(at) AS last_used_at
               FROM dialstack.activity
              WHERE detail OPERATOR(pg_catalog.?) 'api_key_id'
              GROUP BY 1) a
    ON a.api_key_id OPERATOR(pg_catalog.=) k.api_key_id
 WHERE dialstack.access_admin();
COMMENT ON VIEW dialstack.api_key_usage IS 'the API keys, and how often each was used as far as activity is kept; reading leaves no activity';
COMMENT ON COLUMN dialstack.api_key_usage.api_key_id IS 'id of the key';
COMMENT ON COLUMN dialstack.api_key_usage.product IS 'the product that it is for';
COMMENT ON COLUMN dialstack.api_key_usage.env IS 'the environment that it is for; null once that is deleted';
COMMENT ON COLUMN dialstack.api_key_usage.kind IS 'secret or publishable';
COMMENT ON COLUMN dialstack.api_key_usage.name IS 'display name';
COMMENT ON COLUMN dialstack.api_key_usage.hint IS 'last four characters of the key';
COMMENT ON COLUMN dialstack.api_key_usage.state IS 'active, expired or revoked';
COMMENT ON COLUMN dialstack.api_key_usage.created_at IS 'when it was created';
COMMENT ON COLUMN dialstack.api_key_usage.expires_at IS 'when it expires; null: never';
COMMENT ON COLUMN dialstack.api_key_usage.revoked_at IS 'when it was revoked';
COMMENT ON COLUMN dialstack.api_key_usage.uses IS 'operations that were done with it';
COMMENT ON COLUMN dialstack.api_key_usage.last_used_at IS 'the latest of them';

-- What \d+ says of what was there.
COMMENT ON SEQUENCE dialstack.environments_env_id_seq IS 'counts environments';
COMMENT ON SEQUENCE dialstack.session_definitions_definition_id_seq IS 'counts definitions';
COMMENT ON INDEX dialstack.signing_keys_active IS 'at most one active key a purpose';
COMMENT ON INDEX dialstack.sessions_subject IS 'the sessions of one user: list, cap, revoke-all';
COMMENT ON INDEX dialstack.sessions_purge_after IS 'finds what maintain() may delete';
COMMENT ON COLUMN dialstack.session_users.last_seen IS 'creation of the latest session, or the last refresh of one that was purged';
COMMENT ON COLUMN dialstack.activity.operation IS 'create, verify, refresh, revoke, delete, grant, reuse or evict; by_hand, which no log shows: somebody moved the end of a session';
COMMENT ON COLUMN dialstack.activity.detail IS 'more: api_key_id, the API key that the caller presented; never a token or session data';
COMMENT ON SEQUENCE dialstack.activity_activity_id_seq IS 'counts the rows of activity';
COMMENT ON INDEX dialstack.activity_env_at IS 'the logs of an environment, newest first';
COMMENT ON COLUMN dialstack.session_verdict.valid IS 'whether the token is good';
COMMENT ON COLUMN dialstack.session_verdict.reason IS 'why it is not; null for a good one';
COMMENT ON COLUMN dialstack.session_verdict.kind IS 'user, account or client';
COMMENT ON COLUMN dialstack.session_verdict.session_id IS 'id of the session';
COMMENT ON COLUMN dialstack.session_verdict.identifier IS 'identifier of the user, or user_identifier_key of a client session';
COMMENT ON COLUMN dialstack.session_verdict.account IS 'account of an account session';
COMMENT ON COLUMN dialstack.session_verdict.data IS 'data of a user session, as it is now';
COMMENT ON COLUMN dialstack.session_verdict.scopes IS 'scopes that the session holds';
COMMENT ON COLUMN dialstack.session_verdict.expires_at IS 'when the access token or the session ends, whichever is first';
COMMENT ON COLUMN dialstack.session_verdict.product IS 'product of the session';
COMMENT ON COLUMN dialstack.session_verdict.env IS 'environment of the session';
COMMENT ON COLUMN dialstack.session_verdict.tag IS 'definition of a user session';

-- The columns of a partition say what those of the table say.
DO $$
DECLARE
    described record;
BEGIN
    FOR described IN
        SELECT p.attrelid::pg_catalog.regclass AS partition, p.attname,
               pg_catalog.col_description(a.attrelid, a.attnum::pg_catalog.int4) AS text
          FROM pg_catalog.pg_inherits i
          JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) i.inhparent
          JOIN pg_catalog.pg_attribute p ON p.attrelid OPERATOR(pg_catalog.=) i.inhrelid
                                        AND p.attname OPERATOR(pg_catalog.=) a.attname
         WHERE i.inhparent OPERATOR(pg_catalog.=) 'dialstack.activity'::pg_catalog.regclass
           AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
    LOOP
        EXECUTE pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L',
            described.partition, described.attname, described.text);
    END LOOP;
END
$$;

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

-- Of what is new nothing is granted, neither to PUBLIC nor by the owner's default privileges: new is all
-- that 0.1.0 did not have. What an administrator granted of the old stays.
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT 'TABLE' AS what, c.oid::pg_catalog.regclass::pg_catalog.text AS name,
               a.grantee, c.relowner AS owner
          FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
         WHERE c.relnamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
           AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p', 'v', 'S']::pg_catalog."char"[])
           AND c.relname OPERATOR(pg_catalog.<>) ALL (ARRAY[
               'activity', 'activity_01', 'activity_02', 'activity_03', 'activity_04',
               'activity_05', 'activity_06', 'activity_07', 'activity_08', 'activity_09',
               'activity_10', 'activity_11', 'activity_12', 'activity_activity_id_seq',
               'environments', 'environments_env_id_seq', 'instance', 'products',
               'session_definitions', 'session_definitions_definition_id_seq', 'session_users',
               'sessions', 'signing_keys', 'verdict_invalidation']::pg_catalog.name[])
        UNION
        SELECT 'FUNCTION', p.oid::pg_catalog.regprocedure::pg_catalog.text, a.grantee, p.proowner
          FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(
                   coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
         WHERE p.pronamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
           AND pg_catalog.concat(p.proname, '/', p.pronargs) OPERATOR(pg_catalog.<>) ALL (ARRAY[
               'definition_create/16', 'definition_delete/2', 'definition_get/2',
               'definition_list/1', 'definition_update/3', 'env_create/3', 'env_delete/2',
               'instance_reset/0', 'invalidate_verdicts/0', 'jwks/0', 'product_create/2',
               'root_key_rotate/0', 'session_create/7', 'session_define/16', 'session_explain/1',
               'session_extend/2', 'session_info/1', 'session_list/8', 'session_refresh/6',
               'session_register/2', 'session_require/5', 'session_revoke/5',
               'session_revoke_all/5', 'session_start/7', 'session_update_data/2',
               'session_verify/5', 'signing_key_list/0', 'signing_key_revoke/1',
               'signing_key_rotate/2', 'token_introspect/1'])
        UNION
        SELECT 'TYPE', t.oid::pg_catalog.regtype::pg_catalog.text, a.grantee, t.typowner
          FROM pg_catalog.pg_class c
          JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) c.reltype,
               pg_catalog.aclexplode(
                   coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner))) a
         WHERE c.relnamespace OPERATOR(pg_catalog.=) 'dialstack'::pg_catalog.regnamespace
           AND c.relkind OPERATOR(pg_catalog.=) 'c'
           AND c.relname OPERATOR(pg_catalog.<>) 'session_verdict'
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
