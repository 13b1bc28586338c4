-- Configuration: what an administrator sets up. Dumped and restored with the database.
-- Names are compared byte by byte (collation "C"), so that no two collations disagree about them.

CREATE TABLE dialstack.products (
    product_id uuid        NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
    product    text        NOT NULL COLLATE "C",
    name       text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    CONSTRAINT products_pkey PRIMARY KEY (product_id),
    CONSTRAINT products_product_key UNIQUE (product),
    CONSTRAINT products_product_check CHECK (product ~ '^[A-Za-z0-9._-]{1,63}$')
);
COMMENT ON TABLE dialstack.products IS 'the tenants of the service';
COMMENT ON COLUMN dialstack.products.product_id IS 'id of the product; client sessions call it workspace_id';
COMMENT ON COLUMN dialstack.products.product IS 'name of the product in every call';
COMMENT ON COLUMN dialstack.products.name IS 'display name';
COMMENT ON COLUMN dialstack.products.created_at IS 'when it was created';

CREATE TABLE dialstack.environments (
    env_id       integer     NOT NULL GENERATED ALWAYS AS IDENTITY,
    product_id   uuid        NOT NULL,
    env          text        NOT NULL COLLATE "C",
    live         boolean     NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT pg_catalog.now(),
    former_names text[]      NOT NULL DEFAULT '{}',
    CONSTRAINT environments_pkey PRIMARY KEY (env_id),
    CONSTRAINT environments_product_id_env_key UNIQUE (product_id, env),
    CONSTRAINT environments_product_id_fkey FOREIGN KEY (product_id)
        REFERENCES dialstack.products (product_id) ON DELETE CASCADE,
    CONSTRAINT environments_env_check CHECK (env ~ '^[A-Za-z0-9._-]{1,63}$')
);
COMMENT ON TABLE dialstack.environments IS 'the environments of a product: production, staging, and others';
COMMENT ON COLUMN dialstack.environments.env_id IS 'number of the environment, never used twice';
COMMENT ON COLUMN dialstack.environments.product_id IS 'the product it belongs to';
COMMENT ON COLUMN dialstack.environments.env IS 'name of the environment in every call';
COMMENT ON COLUMN dialstack.environments.live IS 'live or test: token prefixes follow it';
COMMENT ON COLUMN dialstack.environments.created_at IS 'when it was created';
COMMENT ON COLUMN dialstack.environments.former_names IS 'names that it had before, which access tokens of then claim';
COMMENT ON SEQUENCE dialstack.environments_env_id_seq IS 'counts environments';

CREATE TABLE dialstack.session_definitions (
    definition_id  integer     NOT NULL GENERATED ALWAYS AS IDENTITY,
    product_id     uuid        NOT NULL,
    tag            text        NOT NULL COLLATE "C",
    name           text        NOT NULL,
    description    text        NOT NULL,
    schema         jsonb       NOT NULL,
    selector       text        NOT NULL,
    expiry         integer     NOT NULL,
    period         text        NOT NULL,
    refresh_expiry integer     NOT NULL,
    refresh_period text        NOT NULL,
    idle_timeout   interval,
    max_lifetime   interval,
    max_sessions   integer,
    on_limit       text        NOT NULL,
    reuse_interval interval    NOT NULL,
    log_verify     boolean     NOT NULL,
    public_claims  text[]      NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at     timestamptz NOT NULL DEFAULT pg_catalog.now(),
    CONSTRAINT session_definitions_pkey PRIMARY KEY (definition_id),
    CONSTRAINT session_definitions_product_id_tag_key UNIQUE (product_id, tag),
    CONSTRAINT session_definitions_product_id_fkey FOREIGN KEY (product_id)
        REFERENCES dialstack.products (product_id) ON DELETE CASCADE,
    CONSTRAINT session_definitions_tag_check CHECK (tag ~ '^[A-Za-z0-9._-]{1,63}$'),
    CONSTRAINT session_definitions_expiry_check CHECK (expiry > 0 AND refresh_expiry > 0),
    CONSTRAINT session_definitions_on_limit_check CHECK (on_limit IN ('evict_oldest', 'deny'))
);
COMMENT ON TABLE dialstack.session_definitions IS 'the kinds of user session of a product, one a tag';
COMMENT ON COLUMN dialstack.session_definitions.definition_id IS 'number of the definition, never used twice';
COMMENT ON COLUMN dialstack.session_definitions.product_id IS 'the product it belongs to';
COMMENT ON COLUMN dialstack.session_definitions.tag IS 'name of the definition in every call';
COMMENT ON COLUMN dialstack.session_definitions.name IS 'display name';
COMMENT ON COLUMN dialstack.session_definitions.description IS 'what sessions of this kind are for';
COMMENT ON COLUMN dialstack.session_definitions.schema IS 'JSON Schema that session data must satisfy';
COMMENT ON COLUMN dialstack.session_definitions.selector IS 'where the user''s identifier lies in the data, e.g. $Session{userId}';
COMMENT ON COLUMN dialstack.session_definitions.expiry IS 'life of an access token, in units of period';
COMMENT ON COLUMN dialstack.session_definitions.period IS 'unit of expiry';
COMMENT ON COLUMN dialstack.session_definitions.refresh_expiry IS 'life of a session without a refresh, in units of refresh_period';
COMMENT ON COLUMN dialstack.session_definitions.refresh_period IS 'unit of refresh_expiry';
COMMENT ON COLUMN dialstack.session_definitions.idle_timeout IS 'a session dies this long after its last refresh, whatever refresh_expiry says';
COMMENT ON COLUMN dialstack.session_definitions.max_lifetime IS 'a session dies this long after its creation, whatever else says';
COMMENT ON COLUMN dialstack.session_definitions.max_sessions IS 'how many living sessions one user may have; null: any number';
COMMENT ON COLUMN dialstack.session_definitions.on_limit IS 'at max_sessions: evict_oldest or deny';
COMMENT ON COLUMN dialstack.session_definitions.reuse_interval IS 'how long a refresh token that was just rotated still answers with the current one';
COMMENT ON COLUMN dialstack.session_definitions.log_verify IS 'whether each verification adds an activity row';
COMMENT ON COLUMN dialstack.session_definitions.public_claims IS 'paths of the session data that access tokens carry in the clear';
COMMENT ON COLUMN dialstack.session_definitions.created_at IS 'when it was registered first';
COMMENT ON COLUMN dialstack.session_definitions.updated_at IS 'when it was changed last';
COMMENT ON SEQUENCE dialstack.session_definitions_definition_id_seq IS 'counts definitions';

CREATE TABLE dialstack.signing_algorithm (
    singleton boolean NOT NULL DEFAULT true,
    alg       text    NOT NULL,
    CONSTRAINT signing_algorithm_pkey PRIMARY KEY (singleton),
    CONSTRAINT signing_algorithm_singleton_check CHECK (singleton),
    CONSTRAINT signing_algorithm_alg_check CHECK (alg IN ('HS256', 'EdDSA', 'ES256'))
);
COMMENT ON TABLE dialstack.signing_algorithm IS 'with which algorithm access tokens are signed: without a row with HS256. Keys are never dumped; a restored database makes its own of this algorithm';
COMMENT ON COLUMN dialstack.signing_algorithm.singleton IS 'always true: there is at most one row';
COMMENT ON COLUMN dialstack.signing_algorithm.alg IS 'HS256, EdDSA or ES256';

-- Names of roles, never their object ids: those are not the same where a dump is restored.
CREATE TABLE dialstack.access_limits (
    role_name  text NOT NULL COLLATE "C",
    level      text NOT NULL,
    product_id uuid,
    env_id     integer,
    CONSTRAINT access_limits_key UNIQUE NULLS NOT DISTINCT (role_name, level, product_id, env_id),
    CONSTRAINT access_limits_product_id_fkey FOREIGN KEY (product_id)
        REFERENCES dialstack.products (product_id) ON DELETE CASCADE,
    CONSTRAINT access_limits_env_id_fkey FOREIGN KEY (env_id)
        REFERENCES dialstack.environments (env_id) ON DELETE CASCADE,
    CONSTRAINT access_limits_level_check CHECK (level IN ('server', 'client')),
    CONSTRAINT access_limits_check CHECK (pg_catalog.num_nonnulls(product_id, env_id) = 1)
);
COMMENT ON TABLE dialstack.access_limits IS 'what access levels that were granted within limits are limited to: a product or an environment a row. Of a limited grant without a row nothing is reached';
COMMENT ON COLUMN dialstack.access_limits.role_name IS 'name of the role; one that does not exist is a finding of access_of_roles()';
COMMENT ON COLUMN dialstack.access_limits.level IS 'the level: server or client';
COMMENT ON COLUMN dialstack.access_limits.product_id IS 'the product: all of its environments; null: one environment only';
COMMENT ON COLUMN dialstack.access_limits.env_id IS 'the environment; null: all of the product';

-- Nothing in it is unique and never null: a publication of all tables takes whole rows.
ALTER TABLE dialstack.access_limits REPLICA IDENTITY FULL;

-- The numbers go with the rows, so that a restored database never gives one out again.
SELECT pg_catalog.pg_extension_config_dump('dialstack.products', '');
SELECT pg_catalog.pg_extension_config_dump('dialstack.environments', '');
SELECT pg_catalog.pg_extension_config_dump('dialstack.environments_env_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('dialstack.signing_algorithm', '');
SELECT pg_catalog.pg_extension_config_dump('dialstack.session_definitions', '');
SELECT pg_catalog.pg_extension_config_dump('dialstack.session_definitions_definition_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('dialstack.access_limits', '');
