"""Changing roles, resetting, hiding and impersonating names: none of it changes the current session."""

import itertools

import pytest
from psycopg import errors, sql
from support.service import call, keep_presenting, present, value
from world import FAMILIES, NOTHING, error, session_id, uuid


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE postgres",
        "SET ROLE backend",
        "SET SESSION AUTHORIZATION postgres",
        "SET LOCAL ROLE postgres",
        "SELECT set_config('role', 'postgres', false)",
        "SELECT set_config('session_authorization', 'postgres', false)",
        "SET row_security = off",
    ],
)
@pytest.mark.parametrize("token", [False, True], ids=["nobody", "tenant"])
def test_changing_the_role_shows_no_more(world, visitor, statement, token):
    shown = NOTHING
    if token:
        keep_presenting(visitor, world.token("account"))
        shown = world.rows_of("account", 1)

    try:
        visitor.execute(statement)
    except errors.Error:
        pass

    try:
        assert world.seen(visitor) == shown
    except errors.InsufficientPrivilege as refused:
        # With row_security off the server refuses the query.
        assert "row_security" in statement, refused


@pytest.mark.parametrize(
    "statement", ["RESET ALL", "DISCARD ALL", "RESET dialstack_sessions.token",
                  "SET dialstack_sessions.token TO DEFAULT", "SET dialstack_sessions.token = ''"]
)  # fmt: skip
def test_resetting_forgets_the_identity(world, visitor, statement):
    keep_presenting(visitor, world.token("account"))
    assert world.seen(visitor) != NOTHING

    visitor.execute(statement)

    assert (world.seen(visitor), error(visitor)) == (NOTHING, None)


@pytest.mark.parametrize("statement", ["RESET ROLE", "RESET SESSION AUTHORIZATION"])
def test_resetting_the_role_keeps_the_identity(world, visitor, statement):
    keep_presenting(visitor, world.token("account"))
    visitor.execute(statement)
    assert world.seen(visitor) == world.rows_of("account", 1)


def test_the_identity_stays_when_the_role_changes(world, connect):
    """As PostgREST does it: one connection, a role and a token a transaction."""
    connection = connect()
    for n in (1, 2):
        with connection.transaction():
            present(connection, world.token("account", n))
            connection.execute("SET LOCAL ROLE visitor")
            assert world.seen(connection) == world.rows_of("account", n)
            connection.execute("SET LOCAL ROLE backend")
            assert world.seen(connection) == world.rows_of("account", n)
            connection.execute("RESET ROLE")
            # A superuser is shown everything.
            assert len(world.seen(connection)) == 24
    connection.execute("SET ROLE visitor")
    assert world.seen(connection) == NOTHING


WAYS_TO_READ = {
    "SHOW": "SHOW dialstack_sessions.token",
    "current_setting": "SELECT current_setting('dialstack_sessions.token')",
    "set_config of another": "SELECT set_config('application_name', "
    "current_setting('dialstack_sessions.token', true), false)",
    "pg_settings": "SELECT coalesce(string_agg(setting || boot_val || reset_val, ''), '') "
    "FROM pg_settings WHERE starts_with(name, 'dialstack')",
    "pg_show_all_settings": "SELECT coalesce(string_agg(concat(a.*), ''), '') "
    "FROM pg_show_all_settings() a",
}


@pytest.mark.parametrize("role", ["visitor", "postgres"])
@pytest.mark.parametrize("way", WAYS_TO_READ)
def test_nobody_reads_the_token_back(world, visit, way, role):
    """Not even who set it: what a trigger or a function of others reads, it could use elsewhere."""
    token = world.token("account")
    connection = visit(user=role)
    call(connection, "session_use", token=token, is_local=False)
    shown = value(connection, WAYS_TO_READ[way])
    assert token not in shown
    assert token[:20] not in shown
    assert session_id(connection) is not None


def test_the_token_is_not_kept_by_set_from_current(world, visitor):
    token = world.token("account")
    keep_presenting(visitor, token)
    assert session_id(visitor) is not None
    visitor.execute(
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql "
        "SET dialstack_sessions.token FROM CURRENT AS 'SELECT 1'"
    )
    kept = value(visitor, "SELECT proconfig::text FROM pg_proc WHERE proname = 'f'")
    assert token not in kept and "********" in kept


def test_other_connections_do_not_learn_the_token(world, visit, connect):
    token = world.token("account")
    visitor = visit()
    keep_presenting(visitor, token)
    pid = visitor.info.backend_pid
    query = value(connect(), "SELECT query FROM pg_stat_activity WHERE pid = %s", pid)
    assert token not in query


@pytest.fixture
def own_schema(admin, visitor):
    """A schema in which the visitor may do as it likes, first in its search path."""
    admin.execute("CREATE SCHEMA mine AUTHORIZATION visitor")
    visitor.execute("SET search_path = mine, pg_temp, dialstack, pg_catalog, public")
    yield "mine"
    admin.execute("DROP SCHEMA mine CASCADE")


HELPERS = (
    "current_account", "current_identifier", "current_connected_accounts",
    "current_user_identities", "has_scope", "current_product", "current_env",
)  # fmt: skip

ANSWERS = {
    "current_account": ("text", "'acct_1'"),
    "current_identifier": ("text", "'user_1'"),
    "current_connected_accounts": ("uuid[]", f"ARRAY['{uuid(1)}'::uuid]"),
    "current_user_identities": ("uuid[]", f"ARRAY['{uuid(1)}'::uuid]"),
    "has_scope": ("boolean", "true"),
    "current_product": ("text", "'shop'"),
    "current_env": ("text", "'production'"),
}


def test_objects_named_like_ours_are_not_asked(world, visitor, own_schema):
    """Functions, operators and temporary tables that would show everything, were they found."""
    world.token("account")
    for schema, helper in itertools.product((own_schema, "pg_temp"), HELPERS):
        type, answer = ANSWERS[helper]
        for arguments in ("", "text", "text, text, text", "text, text, text, text"):
            visitor.execute(
                f"CREATE FUNCTION {schema}.{helper}({arguments}) RETURNS {type} "
                f"LANGUAGE sql AS $$ SELECT {answer} $$"
            )
    for type in ("text", "uuid", "bytea", "int4"):
        visitor.execute(
            f"CREATE FUNCTION {own_schema}.same({type}, {type}) RETURNS boolean "
            "LANGUAGE sql AS 'SELECT true'"
        )
        visitor.execute(
            f"CREATE OPERATOR {own_schema}.= "
            f"(LEFTARG = {type}, RIGHTARG = {type}, FUNCTION = {own_schema}.same)"
        )
    for table in ("sessions", "signing_keys", "instance", "environments", "products",
                  "verdict_invalidation"):  # fmt: skip
        visitor.execute(f"CREATE TEMP TABLE {table} (session_id text, kind text)")
        visitor.execute(f"CREATE TABLE {own_schema}.{table} (session_id text, kind text)")
    # The trap is set...
    assert value(visitor, "SELECT current_account()") == "acct_1"

    # ... and the policies don't step into it: with rubbish, without a token, with a good one.
    for rubbish in ("", "acct_1", str(uuid(1))):
        keep_presenting(visitor, rubbish)
        assert world.seen(visitor) == NOTHING
    for family in FAMILIES:
        keep_presenting(visitor, world.token(family, 2))
        assert world.seen(visitor) == world.rows_of(family, 2)


def test_nothing_can_be_put_into_our_schema(visitor):
    for statement in (
        "CREATE FUNCTION dialstack.current_account(text) RETURNS text LANGUAGE sql AS ''",
        "CREATE TABLE dialstack.mine ()",
        "CREATE OR REPLACE FUNCTION dialstack.current_account() RETURNS text LANGUAGE sql AS ''",
        "ALTER FUNCTION dialstack.current_account() RENAME TO other",
        "ALTER FUNCTION dialstack.current_account() SET dialstack_sessions.token = 'x'",
        "DROP EXTENSION dialstack_sessions CASCADE",
        "DROP SCHEMA dialstack CASCADE",
        "CREATE SCHEMA IF NOT EXISTS dialstack AUTHORIZATION visitor",
    ):
        with pytest.raises((errors.InsufficientPrivilege, errors.DependentObjectsStillExist)):
            visitor.execute(statement)


def test_a_condition_of_the_visitor_is_shown_no_hidden_row(world, visitor):
    """A cheap function that shows what it is given runs after the policy."""
    notices = []
    visitor.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    visitor.execute(
        "CREATE FUNCTION pg_temp.show(anyelement) RETURNS boolean LANGUAGE plpgsql "
        "COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'given %', $1; RETURN true; END $$"
    )
    keep_presenting(visitor, world.token("account", 2))
    for table in ("of_account", "of_account_bare", "of_account_scoped"):
        visitor.execute(f"SELECT * FROM {world.schema}.{table} WHERE pg_temp.show(account)")
    assert set(notices) == {"given acct_2"}


def test_rows_of_others_can_be_neither_written_nor_made(world, visitor):
    keep_presenting(visitor, world.token("account", 1))
    for table in ("of_account", "of_account_bare", "of_account_scoped"):
        name = f"{world.schema}.{table}"
        with pytest.raises(errors.InsufficientPrivilege):
            visitor.execute(f"INSERT INTO {name} VALUES (2, 'acct_2')")
        with pytest.raises(errors.InsufficientPrivilege):
            visitor.execute(f"UPDATE {name} SET account = 'acct_2'")
        assert visitor.execute(f"DELETE FROM {name} WHERE tenant <> 1").rowcount == 0
        assert visitor.execute(f"UPDATE {name} SET tenant = 9 WHERE tenant <> 1").rowcount == 0
        assert visitor.execute(f"UPDATE {name} SET tenant = 1").rowcount == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM dialstack.{}",
        "TRUNCATE dialstack.{}",
        "DELETE FROM dialstack.{}",
        "LOCK TABLE dialstack.{} IN ACCESS SHARE MODE",
        "COPY dialstack.{} TO STDOUT",
        "ALTER TABLE dialstack.{} DISABLE TRIGGER ALL",
        "CREATE TABLE pg_temp.child () INHERITS (dialstack.{})",
        "COMMENT ON TABLE dialstack.{} IS 'mine'",
    ],
)
def test_our_tables_are_closed(visitor, statement):
    for table in ("sessions", "signing_keys", "instance", "verdict_invalidation"):
        with pytest.raises(errors.InsufficientPrivilege), visitor.transaction():
            visitor.execute(sql.SQL(statement).format(sql.Identifier(table)))


def test_a_view_asks_for_who_queries_it(world, admin, visitor):
    """The policies of a view's owner apply, the identity is that of the caller."""
    admin.execute(f"GRANT CREATE ON SCHEMA {world.schema} TO backend")
    admin.execute(
        f"CREATE VIEW {world.schema}.of_backend AS SELECT tenant FROM {world.schema}.of_account"
    )
    admin.execute(f"ALTER VIEW {world.schema}.of_backend OWNER TO backend")
    admin.execute(
        f"CREATE VIEW {world.schema}.of_invoker WITH (security_invoker) AS "
        f"SELECT tenant FROM {world.schema}.of_account"
    )
    admin.execute(
        f"GRANT SELECT ON {world.schema}.of_backend, {world.schema}.of_invoker TO visitor"
    )
    for view in ("of_backend", "of_invoker"):
        query = f"SELECT array_agg(tenant) FROM {world.schema}.{view}"
        assert value(visitor, query) is None
        for n in (1, 2):
            with visitor.transaction():
                present(visitor, world.token("account", n))
                assert value(visitor, query) == [n]


def test_a_security_definer_function_acts_for_the_caller(world, admin, visitor):
    admin.execute(
        f"CREATE FUNCTION {world.schema}.tenants() RETURNS int[] LANGUAGE sql STABLE "
        f"SECURITY DEFINER AS 'SELECT array_agg(tenant) FROM {world.schema}.of_account'"
    )
    admin.execute(f"ALTER FUNCTION {world.schema}.tenants() OWNER TO backend")
    query = f"SELECT {world.schema}.tenants()"
    assert value(visitor, query) is None
    keep_presenting(visitor, world.token("account", 3))
    assert value(visitor, query) == [3]


def test_a_role_without_access_is_refused_not_let_through(world, admin, connect):
    """Even where it may read the table and present a token."""
    admin.execute("CREATE ROLE stranger LOGIN")
    try:
        admin.execute(f"GRANT USAGE ON SCHEMA {world.schema} TO stranger")
        admin.execute(f"GRANT SELECT ON {world.schema}.of_account TO stranger")
        stranger = connect(user="stranger")
        keep_presenting(stranger, world.token("account"))
        with pytest.raises(errors.InsufficientPrivilege):
            stranger.execute(f"SELECT * FROM {world.schema}.of_account")
        with pytest.raises(errors.InsufficientPrivilege):
            stranger.execute("SELECT dialstack.current_account()")
    finally:
        admin.execute("DROP OWNED BY stranger; DROP ROLE stranger")
