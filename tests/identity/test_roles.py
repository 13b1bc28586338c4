"""Roles change, settings are reset and others look on: the current session is who presented its token."""

import pytest
from psycopg import errors
from support.service import call, keep_presenting, present, value
from world import NOTHING, error, session_id


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


def test_a_role_without_access_is_refused_not_let_through(world, admin, connect, create_role):
    """Even where it may read the table and present a token."""
    create_role("stranger", "LOGIN")
    admin.execute(f"GRANT USAGE ON SCHEMA {world.schema} TO stranger")
    admin.execute(f"GRANT SELECT ON {world.schema}.of_account TO stranger")
    stranger = connect(user="stranger")
    keep_presenting(stranger, world.token("account"))
    with pytest.raises(errors.InsufficientPrivilege):
        stranger.execute(f"SELECT * FROM {world.schema}.of_account")
    with pytest.raises(errors.InsufficientPrivilege):
        stranger.execute("SELECT dialstack.current_account()")
