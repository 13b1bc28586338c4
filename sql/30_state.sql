-- State: what the service makes. Never in a logical dump, so that a restored copy carries no living
-- session and no key. Physical backups, standbys and pg_upgrade carry everything.
-- No foreign key to configuration: it would lock hot parent rows at every create.

CREATE TABLE dialstack.instance (
    singleton        boolean     NOT NULL DEFAULT true,
    instance_id      uuid        NOT NULL,
    database_oid     oid         NOT NULL,
    root_key         bytea,
    root_fingerprint bytea       NOT NULL,
    CONSTRAINT instance_pkey PRIMARY KEY (singleton),
    CONSTRAINT instance_singleton_check CHECK (singleton)
);
COMMENT ON TABLE dialstack.instance IS 'the identity of this database as an issuer of tokens; one row';
COMMENT ON COLUMN dialstack.instance.singleton IS 'always true: there is one row';
COMMENT ON COLUMN dialstack.instance.instance_id IS 'issuer of every token; another database has another';
COMMENT ON COLUMN dialstack.instance.database_oid IS 'the database it was made in; in a copy made with TEMPLATE tokens are refused until instance_reset()';
COMMENT ON COLUMN dialstack.instance.root_key IS 'the root key, unless it lies in the file dialstack_sessions.root_key_file';
COMMENT ON COLUMN dialstack.instance.root_fingerprint IS 'identifies the root key that wraps the ring, without revealing it';

CREATE TABLE dialstack.signing_keys (
    kid        text        NOT NULL COLLATE "C",
    key_number integer     NOT NULL,
    purpose    text        NOT NULL,
    alg        text,
    state      text        NOT NULL,
    wrapped    bytea       NOT NULL,
    public_jwk jsonb,
    created_at timestamptz NOT NULL,
    active_at  timestamptz NOT NULL,
    retired_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT signing_keys_pkey PRIMARY KEY (kid),
    CONSTRAINT signing_keys_key_number_key UNIQUE (key_number),
    CONSTRAINT signing_keys_purpose_check CHECK (purpose IN ('jwt', 'seal', 'token')),
    CONSTRAINT signing_keys_alg_check CHECK ((purpose = 'jwt') = (alg IS NOT NULL)),
    CONSTRAINT signing_keys_state_check CHECK (state IN ('pending', 'active', 'retired', 'revoked'))
);
CREATE UNIQUE INDEX signing_keys_active ON dialstack.signing_keys (purpose) WHERE state = 'active';
COMMENT ON INDEX dialstack.signing_keys_active IS 'at most one active key a purpose';
COMMENT ON TABLE dialstack.signing_keys IS 'the key ring, each key wrapped by the root key';
COMMENT ON COLUMN dialstack.signing_keys.kid IS 'key id, as in the header of a token';
COMMENT ON COLUMN dialstack.signing_keys.key_number IS 'number of the key, as in opaque tokens and sealed data';
COMMENT ON COLUMN dialstack.signing_keys.purpose IS 'jwt: signs access tokens; seal: encrypts session data and user_identifier_keys; token: makes refresh tokens, client secrets and client session tokens';
COMMENT ON COLUMN dialstack.signing_keys.alg IS 'HS256, EdDSA or ES256; only for purpose jwt';
COMMENT ON COLUMN dialstack.signing_keys.state IS 'pending: checks, and takes over at active_at; active: makes and checks; retired: only checks; revoked: neither';
COMMENT ON COLUMN dialstack.signing_keys.wrapped IS 'the key, encrypted with the root key';
COMMENT ON COLUMN dialstack.signing_keys.public_jwk IS 'public part as a JSON Web Key; null for HS256';
COMMENT ON COLUMN dialstack.signing_keys.created_at IS 'when it was made';
COMMENT ON COLUMN dialstack.signing_keys.active_at IS 'from when on it makes tokens';
COMMENT ON COLUMN dialstack.signing_keys.retired_at IS 'when a newer key took over';
COMMENT ON COLUMN dialstack.signing_keys.revoked_at IS 'when it was revoked';

-- No CHECK here or on activity: the server parses each anew at every statement, a fifth of what a
-- refresh costs. Only our own code writes these tables.
-- Fixed-width columns first, widest first: no padding. Fillfactor: a refresh changes no indexed
-- column, and with room on the page it is a heap-only update.
CREATE TABLE dialstack.sessions (
    session_id       uuid        NOT NULL,
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    last_seen_at     timestamptz NOT NULL,
    rotated_at       timestamptz,
    revoked_at       timestamptz,
    authenticated_at timestamptz,
    env_id           integer     NOT NULL,
    definition_id    integer,
    generation       integer     NOT NULL DEFAULT 0,
    key_number       integer     NOT NULL,
    purge_after      date        NOT NULL,
    subject          text        NOT NULL COLLATE "C",
    revoke_reason    text,
    scopes           text[],
    sealed_data      bytea,
    ip               inet,
    user_agent       text,
    api_key_id       uuid,
    expires_in       interval,
    identifier       text COLLATE "C",
    CONSTRAINT sessions_pkey PRIMARY KEY (session_id)
) WITH (fillfactor = 85);
CREATE INDEX sessions_subject ON dialstack.sessions (env_id, definition_id, subject, created_at);
-- A date, moved at most once a day: an indexed expiry would make every refresh write indexes.
CREATE INDEX sessions_purge_after ON dialstack.sessions (purge_after);
COMMENT ON INDEX dialstack.sessions_subject IS 'the sessions of one user: list, cap, revoke-all';
COMMENT ON INDEX dialstack.sessions_purge_after IS 'finds what maintain() may delete';
-- Sealed data does not compress: don't try.
ALTER TABLE dialstack.sessions ALTER COLUMN sealed_data SET STORAGE EXTERNAL;
COMMENT ON TABLE dialstack.sessions IS 'one row a user session or account session';
COMMENT ON COLUMN dialstack.sessions.session_id IS 'id of the session, stable over refreshes';
COMMENT ON COLUMN dialstack.sessions.created_at IS 'when it was created';
COMMENT ON COLUMN dialstack.sessions.expires_at IS 'when the session ends unless it is refreshed';
COMMENT ON COLUMN dialstack.sessions.last_seen_at IS 'creation or last refresh';
COMMENT ON COLUMN dialstack.sessions.rotated_at IS 'last rotation of the refresh token';
COMMENT ON COLUMN dialstack.sessions.authenticated_at IS 'when the user proved again who they are; null: at creation';
COMMENT ON COLUMN dialstack.sessions.revoked_at IS 'when it was revoked';
COMMENT ON COLUMN dialstack.sessions.env_id IS 'its environment';
COMMENT ON COLUMN dialstack.sessions.definition_id IS 'its definition; null: an account session';
COMMENT ON COLUMN dialstack.sessions.generation IS 'how often the refresh token has rotated';
COMMENT ON COLUMN dialstack.sessions.key_number IS 'key that sealed the data (user sessions) or made the token (account sessions)';
COMMENT ON COLUMN dialstack.sessions.purge_after IS 'the last day of the session (UTC): once session_retention has passed since, the row may be deleted';
COMMENT ON COLUMN dialstack.sessions.subject IS 'identifier of the user, or account';
COMMENT ON COLUMN dialstack.sessions.revoke_reason IS 'why: revoked, reused, evicted, env_deleted, and others';
COMMENT ON COLUMN dialstack.sessions.scopes IS 'scopes that the session holds';
COMMENT ON COLUMN dialstack.sessions.sealed_data IS 'session data, encrypted with a key of this session';
COMMENT ON COLUMN dialstack.sessions.ip IS 'address of the user at creation or last refresh';
COMMENT ON COLUMN dialstack.sessions.user_agent IS 'user agent at creation or last refresh';
COMMENT ON COLUMN dialstack.sessions.api_key_id IS 'API key that created the session';
COMMENT ON COLUMN dialstack.sessions.expires_in IS 'how long this session lives without a refresh, where its definition is not to say that';
COMMENT ON COLUMN dialstack.sessions.identifier IS 'for whom an account session was made, if that was said';

CREATE TABLE dialstack.client_sessions (
    session_id            uuid        NOT NULL,
    created_at            timestamptz NOT NULL,
    expires_at            timestamptz NOT NULL,
    revoked_at            timestamptz,
    env_id                integer     NOT NULL,
    key_number            integer     NOT NULL,
    purge_after           date        NOT NULL,
    revoke_reason         text,
    sealed_key            bytea,
    connected_account_ids uuid[]      NOT NULL,
    connect_webview_ids   uuid[]      NOT NULL,
    user_identity_ids     uuid[]      NOT NULL,
    api_key_id            uuid,
    CONSTRAINT client_sessions_pkey PRIMARY KEY (session_id)
);
-- Creating is race-free by this index.
CREATE UNIQUE INDEX client_sessions_key ON dialstack.client_sessions (env_id, sealed_key)
    WHERE revoked_at IS NULL AND sealed_key IS NOT NULL;
CREATE INDEX client_sessions_env ON dialstack.client_sessions (env_id, created_at);
CREATE INDEX client_sessions_webviews ON dialstack.client_sessions USING gin (connect_webview_ids);
CREATE INDEX client_sessions_identities ON dialstack.client_sessions USING gin (user_identity_ids);
CREATE INDEX client_sessions_purge_after ON dialstack.client_sessions (purge_after);
COMMENT ON INDEX dialstack.client_sessions_key IS 'one unrevoked client session a user_identifier_key';
COMMENT ON INDEX dialstack.client_sessions_env IS 'the client sessions of an environment, newest first';
COMMENT ON INDEX dialstack.client_sessions_webviews IS 'the client sessions that hold a webview';
COMMENT ON INDEX dialstack.client_sessions_identities IS 'the client sessions that hold a user identity';
COMMENT ON INDEX dialstack.client_sessions_purge_after IS 'finds what maintain() may delete';
COMMENT ON TABLE dialstack.client_sessions IS 'one row a client session';
COMMENT ON COLUMN dialstack.client_sessions.session_id IS 'id of the session';
COMMENT ON COLUMN dialstack.client_sessions.created_at IS 'when it was created';
COMMENT ON COLUMN dialstack.client_sessions.expires_at IS 'when it ends';
COMMENT ON COLUMN dialstack.client_sessions.revoked_at IS 'when it was revoked';
COMMENT ON COLUMN dialstack.client_sessions.env_id IS 'its environment';
COMMENT ON COLUMN dialstack.client_sessions.key_number IS 'key that made the token';
COMMENT ON COLUMN dialstack.client_sessions.purge_after IS 'the last day of the session (UTC): once session_retention has passed since, the row may be deleted';
COMMENT ON COLUMN dialstack.client_sessions.revoke_reason IS 'why: revoked, expired, key_revoked, env_deleted, and others';
COMMENT ON COLUMN dialstack.client_sessions.sealed_key IS 'user_identifier_key, encrypted: the number of a seal key in 4 bytes, and the ciphertext, which is the same for the same key';
COMMENT ON COLUMN dialstack.client_sessions.connected_account_ids IS 'connected accounts that it reaches';
COMMENT ON COLUMN dialstack.client_sessions.connect_webview_ids IS 'connect webviews that it holds';
COMMENT ON COLUMN dialstack.client_sessions.user_identity_ids IS 'user identities that it holds';
COMMENT ON COLUMN dialstack.client_sessions.api_key_id IS 'API key that created it';

CREATE TABLE dialstack.session_users (
    env_id         integer     NOT NULL,
    definition_id  integer     NOT NULL,
    identifier     text        NOT NULL COLLATE "C",
    first_seen     timestamptz NOT NULL,
    last_seen      timestamptz NOT NULL,
    total_sessions bigint      NOT NULL,
    CONSTRAINT session_users_pkey PRIMARY KEY (env_id, definition_id, identifier)
) WITH (fillfactor = 85);
-- When a user was first seen never changes, so that counting one more session stays a heap-only update; last_seen would
-- make it write an index.
CREATE INDEX session_users_first_seen ON dialstack.session_users
    (env_id, definition_id, first_seen, identifier);
COMMENT ON INDEX dialstack.session_users_first_seen IS 'the list of users, newest first';
COMMENT ON TABLE dialstack.session_users IS 'one row an identifier of a user session; create and revoke-all lock it first';
COMMENT ON COLUMN dialstack.session_users.env_id IS 'environment';
COMMENT ON COLUMN dialstack.session_users.definition_id IS 'definition';
COMMENT ON COLUMN dialstack.session_users.identifier IS 'identifier of the user';
COMMENT ON COLUMN dialstack.session_users.first_seen IS 'creation of the first session';
COMMENT ON COLUMN dialstack.session_users.last_seen IS 'creation of the latest session, or the last refresh of one that was purged';
COMMENT ON COLUMN dialstack.session_users.total_sessions IS 'sessions ever created';

-- Who did what as an administrator. No identifier, address or user agent of a user is in it, so that nothing of a
-- person outlasts user_erase().
CREATE TABLE dialstack.administration (
    administration_id bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    at                timestamptz NOT NULL,
    session_role      text        NOT NULL COLLATE "C",
    acting_role       text        NOT NULL COLLATE "C",
    function          text        NOT NULL COLLATE "C",
    target            jsonb       NOT NULL,
    effect            jsonb       NOT NULL,
    client_addr       inet,
    CONSTRAINT administration_pkey PRIMARY KEY (administration_id)
);
CREATE INDEX administration_at ON dialstack.administration (at);
CREATE INDEX administration_product ON dialstack.administration
    ((target OPERATOR(pg_catalog.->>) 'product') COLLATE "C", at);
CREATE INDEX administration_function ON dialstack.administration (function, at);
CREATE INDEX administration_session_role ON dialstack.administration (session_role, at);
CREATE INDEX administration_acting_role ON dialstack.administration (acting_role, at);
COMMENT ON INDEX dialstack.administration_at IS 'the newest rows, and what maintain() may delete';
COMMENT ON INDEX dialstack.administration_product IS 'the calls that named a product';
COMMENT ON INDEX dialstack.administration_function IS 'the calls of a function';
COMMENT ON INDEX dialstack.administration_session_role IS 'the calls of who logged in as a role';
COMMENT ON INDEX dialstack.administration_acting_role IS 'the calls of who acted as a role';
COMMENT ON TABLE dialstack.administration IS 'one row a call of an administrator''s function';
COMMENT ON COLUMN dialstack.administration.administration_id IS 'number of the row';
COMMENT ON COLUMN dialstack.administration.at IS 'when the call ended';
COMMENT ON COLUMN dialstack.administration.session_role IS 'session_user: the role that logged in';
COMMENT ON COLUMN dialstack.administration.acting_role IS 'current_user: the role that called, by SET ROLE or as the owner of a SECURITY DEFINER function';
COMMENT ON COLUMN dialstack.administration.function IS 'the function that was called';
COMMENT ON COLUMN dialstack.administration.target IS 'the arguments that name what was meant; withheld: those that were given but name a person, without their values';
COMMENT ON COLUMN dialstack.administration.effect IS 'what came of it: ids that were made, counts';
COMMENT ON COLUMN dialstack.administration.client_addr IS 'address of the connection; null: a Unix socket';
COMMENT ON SEQUENCE dialstack.administration_administration_id_seq IS 'counts the rows of administration';

-- Exists to be invalidated: its relation cache entry carries the message that something that backends
-- remember has changed. Always empty, read by nobody, so no plan depends on it.
CREATE TABLE dialstack.verdict_invalidation ();
COMMENT ON TABLE dialstack.verdict_invalidation IS 'always empty; its invalidation makes backends forget what they remember';
