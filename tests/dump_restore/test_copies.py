"""A dump in a database that has the extension already, as each copy of template1 may have it."""

import pytest
from support.service import call, verify


@pytest.fixture
def copy_of_template1(elsewhere):
    """A new database that has the extension from template1."""
    with elsewhere.connect("template1") as template:
        template.execute("CREATE EXTENSION dialstack_sessions")
    with elsewhere.connect() as admin:
        admin.execute("CREATE DATABASE from_template1")
    with elsewhere.connect("from_template1") as copy:
        yield copy
    with elsewhere.connect() as admin:
        admin.execute("DROP DATABASE from_template1")
    with elsewhere.connect("template1") as template:
        template.execute("DROP EXTENSION dialstack_sessions")


def test_a_dump_is_restored_into_a_copy_of_template1(original, elsewhere, copy_of_template1):
    copy = copy_of_template1
    elsewhere.restore(original.cluster.dump(dbname="original"), "from_template1")
    call(copy, "instance_reset")

    assert verify(copy, original.refreshed.token).reason == "invalid"
    assert verify(copy, original.shop.create(copy).token).valid
