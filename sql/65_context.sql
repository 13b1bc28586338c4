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
