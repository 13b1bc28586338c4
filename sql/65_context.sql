-- Who is there. The helpers are STABLE: within a statement the answer is one, and wrapped in a sub-select
-- they are asked once. PARALLEL SAFE: workers get the token with the other settings and verify it
-- themselves. Without a good token they answer NULL or false, so that policies show nothing.

CREATE FUNCTION dialstack.session_use(token text, is_local boolean DEFAULT true)
RETURNS dialstack.session_verdict
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'session_use_wrapper';

CREATE FUNCTION dialstack.session_clear() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'session_clear_wrapper';

CREATE FUNCTION dialstack.session_end() RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'session_end_wrapper';

CREATE FUNCTION dialstack.postgrest_pre_request() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'postgrest_pre_request_wrapper';

CREATE FUNCTION dialstack.current_session_id() RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_session_id_wrapper';

CREATE FUNCTION dialstack.current_session_kind() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_session_kind_wrapper';

CREATE FUNCTION dialstack.current_identifier() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_identifier_wrapper';

CREATE FUNCTION dialstack.current_identifier(product text, env text, tag text DEFAULT NULL) RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_identifier_of_wrapper';

CREATE FUNCTION dialstack.current_account() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_account_wrapper';

CREATE FUNCTION dialstack.current_account(product text, env text, tag text DEFAULT NULL) RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_account_of_wrapper';

CREATE FUNCTION dialstack.current_connected_accounts() RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_connected_accounts_wrapper';

CREATE FUNCTION dialstack.current_connected_accounts(product text, env text, tag text DEFAULT NULL) RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_connected_accounts_of_wrapper';

CREATE FUNCTION dialstack.current_user_identities() RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_user_identities_wrapper';

CREATE FUNCTION dialstack.current_user_identities(product text, env text, tag text DEFAULT NULL) RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_user_identities_of_wrapper';

CREATE FUNCTION dialstack.current_product() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_product_wrapper';

CREATE FUNCTION dialstack.current_env() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_env_wrapper';

CREATE FUNCTION dialstack.current_tag() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_tag_wrapper';

CREATE FUNCTION dialstack.current_scopes() RETURNS text[]
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_scopes_wrapper';

CREATE FUNCTION dialstack.current_data() RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_data_wrapper';

CREATE FUNCTION dialstack.current_session_error() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_session_error_wrapper';

CREATE FUNCTION dialstack.has_scope(scope text) RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'has_scope_wrapper';

CREATE FUNCTION dialstack.has_scope(scope text, product text, env text, tag text DEFAULT NULL)
RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'has_scope_of_wrapper';

CREATE FUNCTION dialstack.require_scope(scope text) RETURNS void
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'require_scope_wrapper';

COMMENT ON FUNCTION dialstack.session_use IS 'presents a good token for the transaction, or with is_local => false for the connection';
COMMENT ON FUNCTION dialstack.session_clear IS 'presents no token any more';
COMMENT ON FUNCTION dialstack.session_end IS 'revokes the session of the presented token: a user''s own log-out';
COMMENT ON FUNCTION dialstack.postgrest_pre_request IS 'for db-pre-request of PostgREST: presents the session token of the request, from the header x-session-token or the bearer token';
COMMENT ON FUNCTION dialstack.current_session_id() IS 'id of the session of the presented token';
COMMENT ON FUNCTION dialstack.current_session_kind() IS 'user, account or client';
COMMENT ON FUNCTION dialstack.current_identifier() IS 'identifier of the user of the user session';
COMMENT ON FUNCTION dialstack.current_identifier(text, text, text) IS 'identifier of the user of the user session, if it belongs there';
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
