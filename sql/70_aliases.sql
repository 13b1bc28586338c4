-- Second names of functions: the same C functions, so that there is nothing to keep in step.

CREATE FUNCTION dialstack.session_start(
    product text, env text, tag text, data jsonb,
    ip inet DEFAULT NULL, user_agent text DEFAULT NULL, expires_in interval DEFAULT NULL)
RETURNS TABLE (token text, refresh_token text, expires_at timestamptz, session_id uuid)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'session_create_wrapper';
