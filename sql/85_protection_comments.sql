-- What \df+ says of the functions of row-level security.

COMMENT ON FUNCTION dialstack.protect_table IS
    'lets sessions see and change only those rows of a table whose column names what they are of';
COMMENT ON FUNCTION dialstack.unprotect_table IS
    'takes the policies of protect_table away again';
COMMENT ON FUNCTION dialstack.policy_lint IS
    'weaknesses of the policies that call the helpers, the worst first; one row each';
COMMENT ON FUNCTION dialstack.revoke_on_change IS
    'trigger function (product, env, tag, identifier column): revokes the sessions of a user whose row is changed or deleted';
COMMENT ON FUNCTION dialstack.uuid_or_null IS
    'the UUID that a text is; null if it is none';
COMMENT ON FUNCTION dialstack.bigint_or_null IS
    'the bigint that a text is, as PostgreSQL writes it; null if it is none';
COMMENT ON FUNCTION dialstack.integer_or_null IS
    'the integer that a text is, as PostgreSQL writes it; null if it is none';
