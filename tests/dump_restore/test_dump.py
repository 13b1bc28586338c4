"""A logical dump carries the configuration and nothing that lives."""

import pytest
from support.cluster import as_server
from support.service import Shop, call, refresh, value, verify

CONFIGURATION = ["products", "environments", "session_definitions", "scopes", "signing_algorithm", "access_limits"]
STATE = ["instance", "signing_keys", "sessions", "session_users", "activity"]


def rows(connection, table):
    return connection.execute(f"SELECT * FROM dialstack.{table} ORDER BY 1, 2").fetchall()


def configured(connection):
    return {table: rows(connection, table) for table in CONFIGURATION}


@pytest.fixture(scope="module")
def copy(original, elsewhere):
    """The dump, restored."""
    elsewhere.create_database("first_copy")
    elsewhere.restore(original.cluster.dump(dbname="original"), "first_copy")
    with elsewhere.connect("first_copy") as connection:
        yield connection


def test_the_configuration_is_restored_as_it_was_and_no_state(original, copy):
    assert configured(copy) == configured(original.connection)
    assert all(configured(copy).values())
    for table in ("sessions", "session_users", "activity"):
        assert rows(copy, table) == []
    # The copy has an identity and keys of its own.
    for table, column in (("instance", "instance_id"), ("signing_keys", "kid")):
        query = f"SELECT {column} FROM dialstack.{table}"
        mine, theirs = (
            {row[0] for row in connection.execute(query)}
            for connection in (copy, original.connection)
        )
        assert mine and theirs and not mine & theirs


def test_a_dump_of_a_restored_database_restores_as_well(original, copy, restored, elsewhere):
    second = restored(elsewhere.dump(dbname="first_copy"))

    assert configured(second) == configured(copy)
    assert verify(second, original.shop.create(second).token).valid


@pytest.mark.parametrize("options", [[], ["--inserts"]])
def test_a_copy_signs_with_the_algorithm_of_the_original(original, restored, options):
    chosen = "SELECT * FROM dialstack.signing_key_rotate('jwt', 'ES256')"
    original.connection.execute(chosen)
    copy = restored(original.cluster.dump(*options, dbname="original"))

    query = "SELECT alg FROM dialstack.signing_key_list() WHERE purpose = 'jwt' AND state = 'active'"
    assert value(copy, query) == "ES256"
    original_keys, keys = (
        {key["kid"] for key in value(connection, "SELECT dialstack.jwks()")["keys"]}
        for connection in (original.connection, copy)
    )
    assert keys and original_keys and not keys & original_keys
    session = original.shop.create(copy)
    assert verify(copy, session.token).valid


@pytest.mark.parametrize("options", [[], ["--data-only"], ["--inserts"], ["--schema-only"]])
def test_no_form_of_a_dump_holds_a_secret(original, options):
    dump = original.cluster.dump(*options, dbname="original")

    assert "dialstack" in dump
    assert [what for what, secret in original.secrets() if secret in dump] == []


def test_a_compressed_dump_holds_no_secret_either(original):
    path = f"{original.cluster.data}/../custom.dump"
    uri = original.cluster.uri("original")
    as_server("pg_dump", "-Fc", "-f", path, "-d", uri)
    listing = as_server("pg_restore", "--list", path).stdout
    text = as_server("pg_restore", "-f", "-", path).stdout
    as_server("rm", path)

    assert all(f"TABLE DATA dialstack {table} " in listing for table in CONFIGURATION)
    assert not any(f"TABLE DATA dialstack {table}" in listing for table in STATE)
    assert [what for what, secret in original.secrets() if secret in text] == []


def test_naming_a_state_table_does_not_dump_it(original):
    named = [word for table in STATE for word in ("-t", f"dialstack.{table}")]
    dumped = original.cluster.dump(*named, dbname="original")
    assert "COPY" not in dumped
    assert [what for what, secret in original.secrets() if secret in dumped] == []


def test_old_tokens_are_refused_and_new_sessions_work(original, copy):
    for old in (original.session, original.refreshed):
        assert verify(copy, old.token).reason == "invalid"
        assert refresh(copy, old.refresh_token).reason == "invalid"

    new = original.shop.create(copy, "user_of_the_copy")
    assert verify(copy, new.token, **original.shop.place).identifier == "user_of_the_copy"
    assert refresh(copy, new.refresh_token).ok
    # And the other way round.
    assert verify(original.connection, new.token).reason == "invalid"
    assert verify(original.connection, original.refreshed.token).valid


def test_numbers_go_on_where_they_were(original, copy):
    highest = [
        value(original.connection, f"SELECT last_value FROM dialstack.{sequence}")
        for sequence in ("environments_env_id_seq", "session_definitions_definition_id_seq")
    ]

    call(copy, "env_create", product=original.shop.product, env="fresh")
    Shop(original.shop.product, tag="fresh").define(copy)

    query = "SELECT env_id FROM dialstack.environments WHERE env = 'fresh'"
    assert value(copy, query) > highest[0]
    query = "SELECT definition_id FROM dialstack.session_definitions WHERE tag = 'fresh'"
    assert value(copy, query) > highest[1]


def test_a_schema_only_dump_makes_an_empty_service(original, restored):
    copy = restored(original.cluster.dump("--schema-only", dbname="original"))

    assert not any(configured(copy).values())
    shop = Shop.make(copy)
    assert verify(copy, shop.create(copy).token).valid


def test_a_data_only_dump_fills_a_new_installation(original, elsewhere):
    with elsewhere.database("data_only") as copy:
        elsewhere.restore(original.cluster.dump("--data-only", dbname="original"), "data_only")

        # The connection that is open already takes it in.
        assert configured(copy) == configured(original.connection)
        assert verify(copy, original.shop.create(copy).token).valid
        assert verify(copy, original.refreshed.token).reason == "invalid"


def test_the_invalidation_triggers_are_there_after_a_restore(original, copy, elsewhere):
    token = original.shop.create(copy).token
    assert verify(copy, token).valid

    with elsewhere.connect("first_copy") as admin, admin.transaction():
        admin.execute("DELETE FROM dialstack.environments")

    assert verify(copy, token).reason == "revoked"


@pytest.fixture
def reader(original):
    """Somebody who may read all data, and is nothing more."""
    original.connection.execute("CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader")
    connection = original.cluster.connect("original", user="reader")
    yield connection
    connection.close()
    original.connection.execute("DROP ROLE reader")


def test_who_may_read_all_data_dumps_what_is_not_ours(original, reader, restored):
    # An error, rather than a dump that lacks the configuration.
    with pytest.raises(RuntimeError, match="row-level security policy for table"):
        original.cluster.dump(dbname="original", user="reader")

    dump = original.cluster.dump("--exclude-table-data=dialstack.*", dbname="original", user="reader")

    assert [what for what, secret in original.secrets() if secret in dump] == []
    copy = restored(dump)
    assert verify(copy, Shop.make(copy).create(copy).token).valid
