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
COMMENT ON COLUMN dialstack.session_verdict.valid IS 'whether the token is good';
COMMENT ON COLUMN dialstack.session_verdict.reason IS 'why it is not; null for a good one';
COMMENT ON COLUMN dialstack.session_verdict.kind IS 'user, account or client';
COMMENT ON COLUMN dialstack.session_verdict.session_id IS 'id of the session';
COMMENT ON COLUMN dialstack.session_verdict.identifier IS 'identifier of the user, also for whom an account session was made, or user_identifier_key of a client session';
COMMENT ON COLUMN dialstack.session_verdict.account IS 'account of an account session';
COMMENT ON COLUMN dialstack.session_verdict.data IS 'data of a user session, as it is now';
COMMENT ON COLUMN dialstack.session_verdict.scopes IS 'scopes that the session holds';
COMMENT ON COLUMN dialstack.session_verdict.expires_at IS 'when the access token or the session ends, whichever is first';
COMMENT ON COLUMN dialstack.session_verdict.product IS 'product of the session';
COMMENT ON COLUMN dialstack.session_verdict.env IS 'environment of the session';
COMMENT ON COLUMN dialstack.session_verdict.tag IS 'definition of a user session';
