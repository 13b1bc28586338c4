-- What hands out tokens: one row each.

CREATE FUNCTION dialstack.session_create(
    product text, env text, tag text, data jsonb, ip inet DEFAULT NULL, user_agent text DEFAULT NULL,
    expires_in interval DEFAULT NULL)
RETURNS TABLE (token text, refresh_token text, expires_at timestamptz, session_id uuid)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'session_create_wrapper';

CREATE FUNCTION dialstack.session_refresh(
    refresh_token text, product text DEFAULT NULL, env text DEFAULT NULL, tag text DEFAULT NULL,
    ip inet DEFAULT NULL, user_agent text DEFAULT NULL)
RETURNS TABLE (
    ok boolean, reason text, token text, refresh_token text, expires_at timestamptz, session_id uuid)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'session_refresh_wrapper';

CREATE FUNCTION dialstack.account_session_create(
    account text, components jsonb DEFAULT NULL, product text DEFAULT NULL, env text DEFAULT NULL,
    expires_in interval DEFAULT '1 hour')
RETURNS TABLE (client_secret text, expires_at timestamptz, account_id text, components jsonb)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'account_session_create_wrapper';

-- Its deprecated name.
CREATE FUNCTION dialstack.session_create(account text, components jsonb DEFAULT NULL)
RETURNS TABLE (client_secret text, expires_at timestamptz, account_id text, components jsonb)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'session_create_deprecated_wrapper';

-- A second name: the same C function, so that there is nothing to keep in step.
CREATE FUNCTION dialstack.session_start(
    product text, env text, tag text, data jsonb, ip inet DEFAULT NULL, user_agent text DEFAULT NULL,
    expires_in interval DEFAULT NULL)
RETURNS TABLE (token text, refresh_token text, expires_at timestamptz, session_id uuid)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'session_create_wrapper';
