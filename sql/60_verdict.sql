-- What verifying answers. A named type, whose description the server keeps: a function that RETURNS
-- TABLE describes its columns anew at every call.

CREATE TYPE dialstack.session_verdict AS (
    valid      boolean,
    reason     text,
    kind       text,
    session_id uuid,
    identifier text,
    account    text,
    data       jsonb,
    scopes     text[],
    expires_at timestamptz,
    product    text,
    env        text,
    tag        text
);
COMMENT ON TYPE dialstack.session_verdict IS 'whether a token is good, and whose session it is';
REVOKE ALL ON TYPE dialstack.session_verdict FROM PUBLIC;

CREATE FUNCTION dialstack.session_verify(
    token text, product text DEFAULT NULL, env text DEFAULT NULL, tag text DEFAULT NULL,
    scope text DEFAULT NULL)
RETURNS dialstack.session_verdict
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'session_verify_wrapper';

CREATE FUNCTION dialstack.session_require(
    token text, product text DEFAULT NULL, env text DEFAULT NULL, tag text DEFAULT NULL,
    scope text DEFAULT NULL)
RETURNS dialstack.session_verdict
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'session_require_wrapper';
