"""Copies of a database as a template."""

import pytest
from psycopg import errors
from support.service import Shop, call, verify


@pytest.fixture
def from_template1(elsewhere):
    """Makes databases as copies of template1, where the extension is."""

    def in_template1(statement):
        with elsewhere.connect("template1") as connection:
            connection.execute(statement)

    in_template1("CREATE EXTENSION dialstack_sessions")
    opened = {}

    def make(name):
        with elsewhere.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        opened[name] = elsewhere.connect(name)
        return opened[name]

    yield make
    for connection in opened.values():
        connection.close()
    with elsewhere.connect() as connection:
        for name in opened:
            connection.execute(f"DROP DATABASE {name}")
    in_template1("DROP EXTENSION dialstack_sessions")


def test_databases_with_the_extension_from_template1_are_strangers(from_template1):
    first, second = from_template1("first"), from_template1("second")
    tokens = {}
    for connection in (first, second):
        shop = Shop.make(connection)
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="^JWT_NOT_AVAILABLE"):
            shop.create(connection)
        call(connection, "instance_reset")
        tokens[connection] = shop.create(connection).token
    for connection in (first, second):
        assert [verify(connection, token).valid for token in tokens.values()] == [
            connection is issuer for issuer in tokens
        ]


def test_a_dump_is_restored_into_a_copy_of_template1(original, elsewhere, from_template1):
    copy = from_template1("restored")
    elsewhere.restore(original.cluster.dump(dbname="original"), "restored")
    call(copy, "instance_reset")

    assert verify(copy, original.refreshed.token).reason == "invalid"
    assert verify(copy, original.shop.create(copy).token).valid
