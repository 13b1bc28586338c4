"""A standby with the root key in a file needs the file, and nothing else."""

import os
import secrets

import pytest
from psycopg import errors
from support.cluster import Cluster, as_server
from support.service import Shop, call, until, value, verify

from conftest import destroy

SETTING = "dialstack_sessions.root_key_file"


def write(path, key):
    script = 'umask 077; cat >"$1"'
    as_server("sh", "-c", script, "sh", path, text=f"{key.hex()}\n")


@pytest.fixture(scope="module")
def primary(request):
    """A primary of this module's own, with its root key in a file."""
    cluster = Cluster.start("filed")
    request.addfinalizer(cluster.destroy)
    cluster.key = secrets.token_bytes(32)
    path = os.path.join(os.path.dirname(cluster.data), "root.key")
    write(path, cluster.key)
    with cluster.connect() as admin:
        admin.execute("CREATE EXTENSION dialstack_sessions")
        cluster.shop = Shop.make(admin)
        cluster.session = cluster.shop.create(admin)
        admin.execute(f"ALTER SYSTEM SET {SETTING} = '{path}'")
        admin.execute("SELECT pg_reload_conf()")
        until(lambda: value(admin, f"SHOW {SETTING}") == path, "the setting")
        assert value(admin, "SELECT dialstack.root_key_rotate()") == "file"
        # Each server says itself where its file is: a copy must not find that of the primary.
        cluster.session_after = cluster.shop.create(admin)
        admin.execute(f"ALTER SYSTEM RESET {SETTING}")
    return cluster


def test_a_standby_opens_the_ring_with_its_copy_of_the_file(primary, request):
    standby = Cluster.clone("copy", primary)
    request.addfinalizer(lambda: destroy(standby))
    path = os.path.join(os.path.dirname(standby.data), "root.key")
    with standby.connect() as connection:
        # Without the file nothing is verified, and the error says what to do.
        with pytest.raises(errors.ObjectNotInPrerequisiteState) as refused:
            verify(connection, primary.session.token)
        assert refused.value.diag.message_primary.startswith("JWT_NOT_AVAILABLE")
        assert refused.value.diag.message_hint

        write(path, primary.key)
        connection.execute(f"ALTER SYSTEM SET {SETTING} = '{path}'")
        connection.execute("SELECT pg_reload_conf()")
        until(lambda: value(connection, f"SHOW {SETTING}") == path, "the setting")

        for session in (primary.session, primary.session_after):
            assert verify(connection, session.token).data == {"userId": "user_456"}

        # And it goes on when the primary is gone.
        assert value(connection, "SELECT pg_promote(true, 60)")
        until(lambda: not value(connection, "SELECT pg_is_in_recovery()"), "the promotion")
        assert verify(connection, primary.shop.create(connection).token).valid
        assert call(
            connection, "session_refresh", refresh_token=primary.session.refresh_token
        ).ok
