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

SELECT pg_catalog.pg_extension_config_dump('dialstack.scopes', '');
