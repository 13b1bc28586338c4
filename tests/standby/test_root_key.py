"""A standby with the root key in a file needs the file, and nothing else."""

import secrets

import pytest
from psycopg import errors
from support.cluster import ROOT_KEY_FILE, Cluster, configure
from support.service import Shop, call, until, value, verify

from conftest import destroy

@pytest.fixture(scope="module")
def primary(request):
    """A primary of this module's own, with its root key in a file."""
    cluster = Cluster.start("filed")
    request.addfinalizer(cluster.destroy)
    cluster.key = secrets.token_bytes(32)
    path = cluster.write_root_key(cluster.key)
    with cluster.connect() as admin:
        admin.execute("CREATE EXTENSION dialstack_sessions")
        cluster.shop = Shop.make(admin)
        cluster.session = cluster.shop.create(admin)
        configure(admin, ROOT_KEY_FILE, path)
        assert value(admin, "SELECT dialstack.root_key_rotate()") == "file"
        # Each server says itself where its file is: a copy must not find that of the primary.
        cluster.session_after = cluster.shop.create(admin)
        admin.execute(f"ALTER SYSTEM RESET {ROOT_KEY_FILE}")
    return cluster


def test_a_standby_opens_the_ring_with_its_copy_of_the_file(primary, request):
    standby = Cluster.clone("copy", primary)
    request.addfinalizer(lambda: destroy(standby))
    with standby.connect() as connection:
        # Without the file nothing is verified, and the error says what to do.
        with pytest.raises(errors.ObjectNotInPrerequisiteState) as refused:
            verify(connection, primary.session.token)
        assert refused.value.diag.message_primary.startswith("JWT_NOT_AVAILABLE")
        assert refused.value.diag.message_hint

        configure(connection, ROOT_KEY_FILE, standby.write_root_key(primary.key))

        for session in (primary.session, primary.session_after):
            assert verify(connection, session.token).data == {"userId": "user_456"}

        # And it goes on when the primary is gone.
        assert value(connection, "SELECT pg_promote(true, 60)")
        until(lambda: not value(connection, "SELECT pg_is_in_recovery()"), "the promotion")
        assert verify(connection, primary.shop.create(connection).token).valid
        assert call(
            connection, "session_refresh", refresh_token=primary.session.refresh_token
        ).ok
