-- Acts in a test's own transaction as somebody with a session, and judges the policies of a schema.
--
-- Every function has its caller's rights alone. Sessions are made, and policies judged, as the session user: so that a
-- test which acts as the application's role can act as the next user.
\echo Use "CREATE EXTENSION dialstack_test" to load this file. \quit

-- Not by the control file: a schema that somebody prepared is refused.
CREATE SCHEMA dialstack_test;

CREATE FUNCTION dialstack_test.leave_role() RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    before text := current_setting('role');
BEGIN
    PERFORM set_config('role', 'none', true);
    RETURN before;
END $$;
COMMENT ON FUNCTION dialstack_test.leave_role() IS
    'Becomes the session user for this transaction; returns the role of before.';

CREATE FUNCTION dialstack_test.find_env(INOUT product text, INOUT env text)
LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    SELECT count(*), min(e.product), min(e.env) INTO found, product, env
    FROM dialstack.env_list(find_env.product) AS e
    WHERE find_env.env IS NULL OR e.env = find_env.env;
    IF found <> 1 THEN
        RAISE '% environments could be meant', found
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give product and env; dialstack.env_list() lists them.';
    END IF;
END $$;
COMMENT ON FUNCTION dialstack_test.find_env(text, text) IS
    'The environment that is meant; what is NULL is the only one that there is.';

CREATE FUNCTION dialstack_test.find_definition(
    INOUT product text, INOUT tag text, OUT selector text, OUT schema jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    SELECT count(*), min(d.tag), min(d.selector), min(d.schema::text) INTO found, tag, selector, schema
    FROM dialstack.definition_list(find_definition.product) AS d
    WHERE find_definition.tag IS NULL OR d.tag = find_definition.tag;
    IF found <> 1 THEN
        RAISE '% definitions of product % could be meant', found, product
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give tag; dialstack.definition_list() lists them.';
    END IF;
END $$;
COMMENT ON FUNCTION dialstack_test.find_definition(text, text) IS
    'The definition that is meant; a tag that is NULL is the only one of the product.';

CREATE FUNCTION dialstack_test.with_identifier(data jsonb, identifier text, selector text, schema jsonb)
RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    -- $Session{details}{email}
    path text[] := string_to_array(trim(TRAILING '}' FROM substr(selector, length('$Session{') + 1)), '}{');
BEGIN
    IF data #>> path = identifier THEN
        RETURN data;
    END IF;
    FOR depth IN 1 .. cardinality(path) LOOP
        IF depth < cardinality(path) AND data #> path[:depth] IS NULL THEN
            data := jsonb_set(data, path[:depth], '{}');
        END IF;
        schema := schema -> 'properties' -> path[depth];
    END LOOP;
    RETURN jsonb_set(data, path, CASE
        WHEN schema ->> 'type' IN ('integer', 'number', 'boolean') THEN identifier::jsonb
        ELSE to_jsonb(identifier)
    END);
END $$;
COMMENT ON FUNCTION dialstack_test.with_identifier(jsonb, text, text, jsonb) IS
    'The data with the identifier where the selector takes it from, of the type that the schema names.';

CREATE FUNCTION dialstack_test.act(token text, role name, OUT session_id uuid)
LANGUAGE plpgsql AS $$
BEGIN
    -- A statement that stands alone begins with its transaction.
    IF now() = statement_timestamp() THEN
        RAISE WARNING 'without a transaction block the session is for this statement alone, and is not rolled back'
            USING ERRCODE = 'no_active_sql_transaction', HINT = 'Call it after BEGIN.';
    END IF;
    SELECT used.session_id INTO session_id FROM dialstack.session_use(token) AS used;
    PERFORM set_config('role', role, true);
END $$;
COMMENT ON FUNCTION dialstack_test.act(text, name) IS
    'Acts in the session of this token, as this role, until the transaction ends; returns the session''s id.';

CREATE FUNCTION dialstack_test.as_user(
    identifier text, product text DEFAULT NULL, env text DEFAULT NULL, tag text DEFAULT NULL,
    data jsonb DEFAULT '{}', role name DEFAULT NULL, OUT session_id uuid)
LANGUAGE plpgsql AS $$
DECLARE
    before text := dialstack_test.leave_role();
    place record := dialstack_test.find_env(product, env);
    definition record := dialstack_test.find_definition(place.product, tag);
    session record;
BEGIN
    SELECT * INTO session FROM dialstack.session_create(place.product, place.env, definition.tag,
        dialstack_test.with_identifier(data, identifier, definition.selector, definition.schema));
    session_id := dialstack_test.act(session.token, coalesce(role, before));
END $$;
COMMENT ON FUNCTION dialstack_test.as_user(text, text, text, text, jsonb, name) IS
    'Acts as this user until the transaction ends, and as this role if one is given; returns the session''s id.';

CREATE FUNCTION dialstack_test.as_account(
    account text, scopes text[] DEFAULT NULL, product text DEFAULT NULL, env text DEFAULT NULL,
    role name DEFAULT NULL, OUT session_id uuid)
LANGUAGE plpgsql AS $$
DECLARE
    before text := dialstack_test.leave_role();
    place record := dialstack_test.find_env(product, env);
    components jsonb;
    session record;
BEGIN
    -- Without components the session has every scope; with an empty object, which is refused, none.
    IF scopes IS NOT NULL THEN
        SELECT coalesce(jsonb_object_agg(scope, '{"enabled": true}'::jsonb), '{}') INTO components
        FROM unnest(scopes) AS scope;
    END IF;
    SELECT * INTO session
    FROM dialstack.account_session_create(account, components, place.product, place.env);
    session_id := dialstack_test.act(session.client_secret, coalesce(role, before));
END $$;
COMMENT ON FUNCTION dialstack_test.as_account(text, text[], text, text, name) IS
    'Acts as this account, with these scopes (NULL: every one), until the transaction ends; returns the session''s id.';

CREATE FUNCTION dialstack_test.as_client(
    connected_account_ids uuid[] DEFAULT '{}', user_identity_ids uuid[] DEFAULT '{}',
    product text DEFAULT NULL, env text DEFAULT NULL, role name DEFAULT NULL, OUT session_id uuid)
LANGUAGE plpgsql AS $$
DECLARE
    before text := dialstack_test.leave_role();
    place record := dialstack_test.find_env(product, env);
    session record;
BEGIN
    SELECT * INTO session FROM dialstack.client_session_create(
        connected_account_ids => connected_account_ids, user_identity_ids => user_identity_ids,
        product => place.product, env => place.env);
    session_id := dialstack_test.act(session.token, coalesce(role, before));
END $$;
COMMENT ON FUNCTION dialstack_test.as_client(uuid[], uuid[], text, text, name) IS
    'Acts as a client session that reaches these until the transaction ends; returns the session''s id.';

CREATE FUNCTION dialstack_test.as_nobody(role name DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('dialstack_sessions.token', '', true);
    IF role IS NOT NULL THEN
        PERFORM set_config('role', role, true);
    END IF;
END $$;
COMMENT ON FUNCTION dialstack_test.as_nobody(name) IS
    'Acts without a session until the transaction ends, and as this role if one is given.';

-- ok() and diag() are those of pgTAP, in whichever schema of the search path it is.
CREATE FUNCTION dialstack_test.policies_are_sound(
    schema name, severity text DEFAULT 'warning', description text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    before text;
    counted text[] := ARRAY['error', 'warning', 'info'];
    findings text[];
BEGIN
    counted := counted[:array_position(counted, severity)];
    IF counted IS NULL THEN
        RAISE 'severity must be error, warning or info'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    before := dialstack_test.leave_role();
    SELECT array_agg(concat(l.severity, ' ', l.relation, ', policy ' || l.policy, ': ', l.weakness, E'\n    ', l.detail, ' ', l.hint))
    INTO findings
    FROM dialstack.policy_lint() AS l
    JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = schema AND l.severity = ANY (counted);
    -- Nothing to find fault with is no sign of soundness.
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_policy AS p
        JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = schema
    ) THEN
        findings := findings || format('There is no policy in schema %I.', schema);
    END IF;
    PERFORM set_config('role', before, true);
    RETURN concat_ws(E'\n',
        ok(findings IS NULL, coalesce(description, format('The policies of schema %I should be sound', schema))),
        diag(array_to_string(findings, E'\n')));
END $$;
COMMENT ON FUNCTION dialstack_test.policies_are_sound(name, text, text) IS
    'An assertion for pgTAP: policy_lint() finds nothing as severe as this, or more, in the tables of a schema.';

-- The roles as which a test acts call these functions too.
GRANT USAGE ON SCHEMA dialstack_test TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA dialstack_test TO PUBLIC;
