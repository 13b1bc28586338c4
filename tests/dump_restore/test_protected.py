"""Protected tables where not all is restored of what they were protected with."""

import os
from uuid import UUID

import pytest
from support.cluster import Cluster, as_server
from support.service import Shop, call, verify

ACCOUNT = UUID(int=1)
TABLES = {"locks": 3, "cameras": 5, "sensors": 7}


@pytest.fixture(scope="module")
def guarded():
    """A database with protected tables of devices, one of which is open to a role."""
    cluster = Cluster.given()
    with cluster.database("guarded") as connection:
        connection.execute("CREATE ROLE only_here")
        shop = Shop.make(connection)
        for table, devices in TABLES.items():
            connection.execute(f"CREATE TABLE {table} (id int, account uuid)")
            connection.execute(
                f"INSERT INTO {table} SELECT n, %s FROM generate_series(1, %s) n", [ACCOUNT, devices]
            )
            open_to = "ARRAY['only_here'::regrole]" if table == "cameras" else "'{}'"
            connection.execute(
                f"SELECT dialstack.protect_table('{table}', 'account', %s, %s, 'connected_account', "
                f"device => true, open_to => {open_to})",
                [shop.product, shop.env],
            )
        yield cluster, connection, shop


@pytest.fixture
def role(elsewhere):
    """The role that a table is open to."""
    with elsewhere.connect() as connection:
        connection.execute("CREATE ROLE only_here")


@pytest.fixture
def copy(guarded, elsewhere):
    """Dumps the database and restores it in the other cluster, with these options."""
    cluster, _, _ = guarded
    archive = os.path.join(os.path.dirname(cluster.data), "guarded.dump")
    elsewhere.create_database("guarded_copy")

    def restore(dump=(), restore=(), fails=False):
        as_server("pg_dump", "-Fc", "-f", archive, *dump, "-d", cluster.uri("guarded"))
        to = ["-d", elsewhere.uri("guarded_copy"), archive]
        as_server("pg_restore", *restore, *to, check=not fails)
        connection = elsewhere.connect("guarded_copy")
        opened.append(connection)
        return connection

    opened = []
    yield restore
    for connection in opened:
        connection.close()
    with elsewhere.connect() as connection:
        connection.execute("DROP DATABASE guarded_copy WITH (FORCE)")
        connection.execute("DROP ROLE IF EXISTS only_here")


def known(connection):
    """What is known of each protected table."""
    query = (
        "SELECT polrelid::regclass::text AS name, obj_description(oid, 'pg_policy') AS comment "
        "FROM pg_policy WHERE polname = 'dialstack_sessions_access'"
    )
    return {row.name: row.comment for row in connection.execute(query)}


def devices(connection, shop):
    created = call(connection, "client_session_create", connected_account_ids=[ACCOUNT], **shop.home)
    return created.device_count


def weaknesses(connection):
    query = "SELECT relation::text, weakness FROM dialstack.policy_lint() WHERE severity <> 'warning'"
    found = {(row.relation, row.weakness) for row in connection.execute(query)}
    return {one for one in found if one[1] != "not_forced"}


def test_where_a_role_is_missing_every_table_is_still_known(guarded, copy):
    _, original, shop = guarded
    restored = copy(fails=True)

    assert known(restored) == known(original)
    assert devices(restored, shop) == sum(TABLES.values())
    assert weaknesses(restored) == {("cameras", "role_gone")}


@pytest.mark.parametrize("missing", TABLES)
def test_where_a_table_is_missing_the_others_are_still_known(guarded, role, copy, missing):
    _, original, shop = guarded
    restored = copy(dump=["-T", missing], restore=["-1"])

    assert known(restored) == {table: of for table, of in known(original).items() if table != missing}
    assert devices(restored, shop) == sum(TABLES.values()) - TABLES[missing]
    assert weaknesses(restored) == set()


def test_a_table_that_is_renamed_keeps_what_is_known_of_it(guarded, role, copy):
    _, original, shop = guarded
    restored = copy()
    restored.execute("CREATE SCHEMA things; ALTER TABLE locks RENAME TO bolts; ALTER TABLE bolts SET SCHEMA things")

    assert known(restored)["things.bolts"] == known(original)["locks"]
    assert devices(restored, shop) == sum(TABLES.values())
    call(restored, "unprotect_table", relation="things.bolts")
    assert devices(restored, shop) == sum(TABLES.values()) - TABLES["locks"]


def restored_as_it_was(guarded, restored):
    _, original, shop = guarded
    return (
        known(restored) == known(original)
        and devices(restored, shop) == sum(TABLES.values())
        and weaknesses(restored) == set()
    )


def test_restored_a_section_at_a_time(guarded, role, copy):
    for section in ("pre-data", "data", "post-data"):
        restored = copy(restore=[f"--section={section}"])
    assert restored_as_it_was(guarded, restored)


@pytest.mark.parametrize("more", [[], ["-1"]], ids=["each", "at_once"])
def test_restored_over_what_is_there(guarded, role, copy, more):
    _, _, shop = guarded
    before = copy()
    token = shop.create(before).token
    assert verify(before, token).valid

    restored = copy(restore=["--clean", "--if-exists", *more])

    assert restored_as_it_was(guarded, restored)
    # Another identity, which connections of before know too.
    for connection in (before, restored):
        assert verify(connection, token).reason == "invalid"
        assert verify(connection, shop.create(restored).token).valid
