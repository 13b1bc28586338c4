"""Protected tables in dumps."""

import pytest
from psycopg import errors
from support.cluster import Cluster
from support.service import Shop, call, keep_presenting

TABLES = ['shop."Or""ders; --"', "shop.calls", "shop.calls_1"]


@pytest.fixture(scope="module")
def original():
    cluster = Cluster.given()
    with cluster.database("protected") as connection:
        connection.execute("CREATE ROLE dumped_app; CREATE ROLE \"dumped \"\"Backend\"")
        call(connection, "grant_access", role="dumped_app", access="client")
        shop = Shop.make(connection)
        connection.execute("CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO dumped_app")
        connection.execute(f"CREATE TABLE {TABLES[0]} (id int, account text)")
        connection.execute("CREATE TABLE shop.calls (id int, account uuid) PARTITION BY LIST (id)")
        connection.execute("CREATE TABLE shop.calls_1 PARTITION OF shop.calls DEFAULT")
        connection.execute("ALTER TABLE shop.calls_1 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        connection.execute(f"INSERT INTO {TABLES[0]} VALUES (1, 'blue'), (2, 'red')")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA shop TO dumped_app")
        role = '"dumped ""Backend"'
        connection.execute(
            "SELECT dialstack.protect_table(%s, 'account', %s, %s, scope => 'call_logs', "
            "open_to => ARRAY[%s::regrole], force => true)",
            [TABLES[0], shop.product, shop.env, role],
        )
        call(connection, "protect_table", relation="shop.calls", column_name="account",
             by="connected_account", device=True, **shop.home)
        yield cluster, connection, shop
    with cluster.connect() as connection:
        connection.execute("DROP OWNED BY dumped_app; DROP ROLE dumped_app, \"dumped \"\"Backend\"")


def policies(connection):
    query = (
        "SELECT schemaname, tablename, policyname, permissive, roles, cmd, qual, with_check "
        "FROM pg_policies WHERE schemaname = 'shop' ORDER BY 1, 2, 3"
    )
    return connection.execute(query).fetchall()


def known(connection):
    """What is known of each protected table and its parts, and what marks tables of devices."""
    query = (
        "SELECT polrelid::regclass::text AS relation, obj_description(p.oid, 'pg_policy') AS comment, "
        "pg_get_triggerdef(t.oid) AS devices FROM pg_policy p LEFT JOIN pg_trigger t ON tgrelid = polrelid "
        "WHERE polname = 'dialstack_sessions_access' ORDER BY 1"
    )
    return connection.execute(query).fetchall()


def secured(connection):
    query = (
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class "
        "WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1"
    )
    return connection.execute(query).fetchall()


@pytest.fixture
def copy(original):
    cluster, _, _ = original
    cluster.create_database("copy")
    cluster.restore(cluster.dump(dbname="protected"), "copy")
    with cluster.connect("copy") as connection:
        yield connection
    with cluster.connect() as connection:
        connection.execute("DROP DATABASE copy WITH (FORCE)")


def test_policies_and_registrations_are_restored(original, copy):
    _, connection, _ = original
    assert policies(copy) == policies(connection) != []
    assert secured(copy) == secured(connection)
    assert known(copy) == known(connection)
    assert [bool(row.devices) for row in known(copy)] == [False, True, False]


def test_the_copy_is_protected_for_its_own_sessions(original, copy):
    _, connection, shop = original
    own = call(copy, "account_session_create", account="blue", **shop.home).client_secret
    theirs = call(connection, "account_session_create", account="blue", **shop.home).client_secret
    call(copy, "grant_access", role="dumped_app", access="client")
    copy.execute("SET ROLE dumped_app")
    for token, ids in ((own, [1]), (theirs, [])):
        keep_presenting(copy, token)
        assert [row.id for row in copy.execute(f"SELECT id FROM {TABLES[0]}")] == ids
    copy.execute("RESET ROLE")


def test_the_copy_unprotects_to_what_was_before(copy):
    for table in (TABLES[0], "shop.calls"):
        call(copy, "unprotect_table", relation=table)
    assert policies(copy) == []
    assert secured(copy) == [('Or"ders; --', False, False), ("calls", False, False), ("calls_1", True, True)]


def test_the_extension_goes_only_with_the_policies_and_leaves_the_tables_closed(original, copy):
    with pytest.raises(errors.DependentObjectsStillExist):
        copy.execute("DROP EXTENSION dialstack_sessions")
    copy.execute("DROP EXTENSION dialstack_sessions CASCADE")
    copy.execute("SET ROLE dumped_app")
    assert copy.execute(f"SELECT id FROM {TABLES[0]}").fetchall() == []
    copy.execute("RESET ROLE")
