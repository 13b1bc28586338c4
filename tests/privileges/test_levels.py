"""Five roles, nothing, client, server, monitor and admin, over every function of the catalogue."""

import psycopg
import pytest
from conftest import INCLUDED, LEVELS, ROLES, role
from psycopg import Error, errors
from support.service import call

# Functions that are nobody's to call by their level. Those of limited levels are of no role here; see test_limits.py.
MARKERS = {f"access_{level}/0": level for level in LEVELS}
MARKERS |= {f"access_{level}_limited/0": None for level in ("client", "server")}


def levels(connection):
    """The levels of each function, by the list in the source; for what is nobody's, none."""
    rows = connection.execute(
        "SELECT concat(proname, '/', pronargs) AS exact, access FROM dialstack.access_list() "
        "JOIN pg_proc p ON p.oid = concat('dialstack.', function)::regprocedure"
    )
    return {row.exact: set(row.access.split(", ")) if row.access else set() for row in rows}


def is_allowed(level, listed):
    return bool(INCLUDED.get(level, set()) & listed)


def outcome(connection, statement):
    """What came of a call: nothing, or its error. It leaves nothing behind."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement)
    except Error as error:
        return error
    return None


def is_refused(error):
    """Refused by PostgreSQL, before anything of ours ran."""
    return (
        isinstance(error, errors.InsufficientPrivilege)
        and error.diag.message_primary.startswith("permission denied for")
    )


def calls(connection):
    """A call of every function but triggers, by name and number of arguments. Each argument is NULL; a strict function
    would not even be asked then, and gets a text."""
    return connection.execute("""
        SELECT concat(proname, '/', pronargs) AS function,
               format('SELECT * FROM dialstack.%I(%s)', proname,
                      (SELECT string_agg(CASE WHEN proisstrict THEN '''1''::' ELSE 'NULL::' END || type::regtype, ', ')
                         FROM unnest(proargtypes) AS type)) AS statement
          FROM pg_proc
         WHERE pronamespace = 'dialstack'::regnamespace AND prorettype <> 'trigger'::regtype
         ORDER BY 1""").fetchall()


def is_coded(error):
    code, _, message = error.diag.message_primary.partition(": ")
    return code.isupper() and message and error.sqlstate not in ("XX000", "XX001", "XX002")


@pytest.mark.parametrize("level", ROLES)
def test_a_role_calls_what_its_level_says_and_nothing_else(admin, act_as, level):
    """With NULLs, what is allowed succeeds or fails with a code of its own."""
    connection, listed = act_as(level), levels(admin)
    wrong = {}
    for function, statement in calls(admin):
        if function in MARKERS:
            # Of its own level only: it says which role has which.
            allowed = level == MARKERS[function]
        else:
            assert listed[function], f"{function} is of no level"
            allowed = is_allowed(level, listed[function])
        error = outcome(connection, statement)
        if is_refused(error) == allowed or not (error is None or is_refused(error) or is_coded(error)):
            wrong[function] = error
    assert wrong == {}


@pytest.mark.parametrize("level", LEVELS)
def test_a_role_with_a_level_touches_no_table_itself(admin, act_as, level):
    connection = act_as(level)
    tables = admin.execute(
        "SELECT oid::regclass::text AS name, relkind = 'v' AS is_view FROM pg_class "
        "WHERE relnamespace = 'dialstack'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')"
    ).fetchall()
    assert len(tables) > 10
    for table in tables:
        error = outcome(connection, f"SELECT * FROM {table.name}")
        if table.is_view and (level == "admin" or level == "monitor" and ".stat_" in table.name):
            assert error is None
        else:
            assert is_refused(error), table.name


def test_nobody_changes_anything_through_a_view(admin, act_as):
    connection = act_as("admin")
    views = admin.execute(
        "SELECT oid::regclass::text AS name, (SELECT attname FROM pg_attribute WHERE attrelid = oid AND attnum = 1) AS first "
        "FROM pg_class WHERE relnamespace = 'dialstack'::regnamespace AND relkind = 'v'"
    ).fetchall()
    assert len(views) == 8
    for view in views:
        for statement in (
            f"INSERT INTO {view.name} DEFAULT VALUES",
            f"UPDATE {view.name} SET {view.first} = NULL",
            f"DELETE FROM {view.name}",
        ):
            error = outcome(connection, statement)
            # Joins and computed columns are no targets at all; what could be one is not granted.
            assert isinstance(
                error,
                (errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState, errors.FeatureNotSupported),
            )


@pytest.mark.parametrize("level", ROLES)
def test_a_role_makes_triggers_of_what_its_level_says_and_of_nothing_else(admin, act_as, level):
    ours = admin.execute(
        "SELECT proname AS name, concat(proname, '/', pronargs) AS exact FROM pg_proc "
        "WHERE pronamespace = 'dialstack'::regnamespace AND prorettype = 'trigger'::regtype"
    ).fetchall()
    listed = levels(admin)
    assert {one.name for one in ours if listed[one.exact]} == {"revoke_on_change", "device_table"}
    connection = act_as(level)
    for one in ours:
        allowed = is_allowed(level, listed[one.exact])
        with connection.transaction(force_rollback=True):
            connection.execute("CREATE TEMPORARY TABLE people (name text)")
            error = outcome(
                connection,
                "CREATE TRIGGER mine AFTER DELETE ON people FOR EACH ROW "
                f"EXECUTE FUNCTION dialstack.{one.name}('p', 'e', 't', 'name')",
            )
        assert is_refused(error) == (not allowed), (one.name, error)


def test_nobody_creates_anything_in_the_schema(act_as):
    for level in ROLES:
        for statement in (
            "CREATE TABLE dialstack.mine ()",
            "CREATE FUNCTION dialstack.now() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ):
            assert is_refused(outcome(act_as(level), statement))


def test_neither_pg_monitor_nor_pg_read_all_data_reads_a_view_without_the_level(admin, connect):
    views = admin.execute(
        "SELECT oid::regclass::text AS name FROM pg_class "
        "WHERE relnamespace = 'dialstack'::regnamespace AND relkind = 'v'"
    ).fetchall()
    admin.execute("CREATE ROLE watcher IN ROLE pg_monitor, pg_read_all_data")
    admin.execute("GRANT USAGE ON SCHEMA dialstack TO watcher")
    watcher = connect()
    watcher.execute("SET ROLE watcher")
    for view in views:
        assert is_refused(outcome(watcher, f"SELECT * FROM {view.name}"))
    call(admin, "grant_access", role="watcher", access="admin")
    for view in views:
        assert outcome(watcher, f"SELECT * FROM {view.name}") is None
    call(admin, "revoke_access", role="watcher", access="admin")
    for view in views:
        assert is_refused(outcome(watcher, f"SELECT * FROM {view.name}"))


# What a level decides inside the functions.


def test_a_key_may_stand_in_the_options_of_the_connection(admin, roles, place):
    key = call(admin, "api_key_create", **place).api_key
    options = f"-c dialstack_sessions.api_key={key} -c role={role('client')}"
    with psycopg.connect(autocommit=True, options=options) as connection:
        row = connection.execute("SELECT * FROM dialstack.account_session_create('acct_1')")
        assert row.fetchone()[0].startswith("cs_live_")


def test_a_member_of_client_and_server_has_both(admin, connect, roles, place):
    admin.execute("CREATE ROLE of_both IN ROLE role_client, role_server")
    member = connect()
    member.execute("SET ROLE of_both")
    assert call(member, "account_session_create", account="acct_1", **place)
    admin.execute("REVOKE role_server FROM of_both")
    with pytest.raises(errors.InsufficientPrivilege, match="^PERMISSION_DENIED"):
        call(member, "account_session_create", account="acct_1", **place)
