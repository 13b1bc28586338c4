-- Scopes, API keys, and the tables whose devices client sessions count.

CREATE TABLE dialstack.scopes (
    product_id  uuid        NOT NULL,
    scope       text        NOT NULL COLLATE "C",
    description text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    CONSTRAINT scopes_pkey PRIMARY KEY (product_id, scope),
    CONSTRAINT scopes_product_id_fkey FOREIGN KEY (product_id)
        REFERENCES dialstack.products (product_id) ON DELETE CASCADE,
    CONSTRAINT scopes_scope_check CHECK (scope ~ '^[A-Za-z0-9._-]{1,63}$')
);
COMMENT ON TABLE dialstack.scopes IS 'the named permissions of a product; the components of account sessions are scopes';
COMMENT ON COLUMN dialstack.scopes.product_id IS 'the product it belongs to';
COMMENT ON COLUMN dialstack.scopes.scope IS 'name of the scope';
COMMENT ON COLUMN dialstack.scopes.description IS 'what it permits';
COMMENT ON COLUMN dialstack.scopes.created_at IS 'when it was created';

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

SELECT pg_catalog.pg_extension_config_dump('dialstack.scopes', '');
-- A table that was dropped leaves its row behind: its number would be another table's elsewhere.
SELECT pg_catalog.pg_extension_config_dump('dialstack.protected_tables',
    'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');
SELECT pg_catalog.pg_extension_config_dump('dialstack.row_security_before',
    'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');
