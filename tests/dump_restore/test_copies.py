"""Copies that are no logical dumps: of the files, and of a database as a template."""

import pytest
from psycopg import errors
from support.cluster import Cluster
from support.service import call, refresh, until, value, verify


@pytest.fixture(scope="module")
def copy(original):
    """A physical copy, made with pg_basebackup and still a standby."""
    cluster = Cluster.clone("base", original.cluster)
    yield cluster
    cluster.destroy()


def test_a_physical_copy_carries_everything(original, copy):
    # First a standby, where verifying is all that can be done.
    with copy.connect("original") as connection:
        assert value(connection, "SELECT pg_is_in_recovery()")
        answer = verify(connection, original.refreshed.token)
        assert (answer.valid, answer.data["note"]) == (True, "private")

        # Then a server of its own.
        assert value(connection, "SELECT pg_promote(true, 60)")
        until(lambda: not value(connection, "SELECT pg_is_in_recovery()"), "the promotion")

        for table in ("instance", "signing_keys", "sessions", "session_definitions"):
            query = f"SELECT * FROM dialstack.{table} ORDER BY 1"
            mine, theirs = (c.execute(query).fetchall() for c in (connection, original.connection))
            assert mine == theirs != []
        assert verify(connection, original.refreshed.token).valid
        assert refresh(connection, original.refreshed.refresh_token).ok
        assert verify(connection, original.shop.create(connection).token).valid


@pytest.fixture
def template(original):
    """A copy of the database within its cluster, by CREATE DATABASE … TEMPLATE."""
    original.connection.close()
    with original.cluster.connect() as connection:
        connection.execute("CREATE DATABASE twin TEMPLATE original")
    original.connection = original.cluster.connect("original")
    with original.cluster.connect("twin") as twin:
        yield twin
    with original.cluster.connect() as connection:
        connection.execute("DROP DATABASE twin")


def test_a_copy_by_template_accepts_no_token_until_it_is_reset(original, template):
    for use in (
        lambda: verify(template, original.refreshed.token),
        lambda: refresh(template, original.refreshed.refresh_token),
        lambda: original.shop.create(template),
    ):
        with pytest.raises(errors.ObjectNotInPrerequisiteState) as refused:
            use()
        assert refused.value.diag.message_primary.startswith("JWT_NOT_AVAILABLE")
        assert "instance_reset" in refused.value.diag.message_hint

    call(template, "instance_reset")

    assert verify(template, original.refreshed.token).reason == "invalid"
    assert refresh(template, original.refreshed.refresh_token).reason == "invalid"
    assert verify(template, original.shop.create(template).token).valid
    assert verify(original.connection, original.refreshed.token).valid
