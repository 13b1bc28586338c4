"""Bad input and bad luck: typed errors, and no token in any text."""

import os
import subprocess
import sys
import traceback

import psycopg
import pytest
from conftest import SERVER, SOURCE
from dialstack_sessions import AsyncClient, Client, SessionError
from dialstack_sessions.values import address
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from support.cluster import Cluster, run
from support.service import Shop, call

TOKEN, PASSWORD = "an-unlikely-token", "an-unlikely-password"


def written(error):
    """Text that a log would have of an error."""
    assert error.__context__ is None and error.__cause__ is None
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


def test_without_a_driver_the_import_says_what_to_install(tmp_path):
    (tmp_path / "psycopg.py").write_text("raise ImportError('no pq wrapper available')\n")
    script = """
try:
    import dialstack_sessions
except ImportError as error:
    print(type(error).__name__, error.code, error.hint)
"""
    path = os.pathsep.join([str(tmp_path), str(SOURCE)])
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout == 'DriverMissing DRIVER_MISSING pip install "psycopg[binary]"\n'


def test_connections_of_the_other_kind_are_a_typed_error(direct, roles, wait):
    async def asynchronous():
        return AsyncConnectionPool(open=False), await psycopg.AsyncConnection.connect(**direct, user=SERVER)

    pool, connection = wait(asynchronous())
    for source in (pool, connection):
        with pytest.raises(SessionError, match="connections are for AsyncClient"):
            Client(source)
    wait(connection.close())
    with psycopg.connect(**direct, user=SERVER) as connection:
        for source in (ConnectionPool(open=False), connection):
            with pytest.raises(SessionError, match="connections are for Client"):
                AsyncClient(source)


def test_an_exhausted_pool_is_a_typed_error(direct, shop, roles):
    kwargs = {**direct, "user": SERVER}
    with ConnectionPool(kwargs=kwargs, min_size=1, max_size=1, timeout=0.1, max_waiting=1, open=True) as pool:
        client = Client(pool, **shop.place)
        with pool.connection(timeout=10), pytest.raises(SessionError) as caught:
            client.sessions.verify(TOKEN)
        assert caught.value.code == "CONNECTION_TIMEOUT" and TOKEN not in written(caught.value)
        assert client.sessions.verify(TOKEN).reason == "invalid"


def test_an_exhausted_asynchronous_pool_is_a_typed_error(wait, direct, shop, roles):
    async def main():
        kwargs = {**direct, "user": SERVER}
        pool = AsyncConnectionPool(kwargs=kwargs, min_size=1, max_size=1, timeout=0.1, open=False)
        async with pool, pool.connection(timeout=10):
            await AsyncClient(pool, **shop.place).sessions.verify(TOKEN)

    with pytest.raises(SessionError) as caught:
        wait(main())
    assert caught.value.code == "CONNECTION_TIMEOUT"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_what_lends_no_connection_is_a_typed_error(kind):
    with pytest.raises(SessionError) as caught:
        kind("user=my_backend")
    assert caught.value.code == "INVALID_ARGUMENT" and "psycopg.connect" in caught.value.hint


def test_a_time_that_is_none_is_a_typed_error(direct, shop, roles):
    client = Client(lambda: psycopg.connect(**direct, user=SERVER), **shop.place)
    with pytest.raises(SessionError) as caught:
        client.sessions.start(data={"userId": "user_1"}, expires_in="15 of them")
    assert caught.value.code == "INVALID_ARGUMENT" and "8 hours" in caught.value.hint
    assert "of them" not in str(vars(caught.value))


def test_a_pool_that_is_not_open_is_a_typed_error(direct, shop):
    pool = ConnectionPool(kwargs={**direct, "user": SERVER}, open=False)
    with pytest.raises(SessionError) as caught:
        Client(pool, **shop.place).sessions.verify(TOKEN)
    assert caught.value.code == "CONNECTION_FAILED" and "with pool" in caught.value.hint


def test_a_server_that_is_not_there_is_a_typed_error(shop):
    nowhere = {"host": "/nowhere", "user": SERVER, "password": PASSWORD}
    with pytest.raises(SessionError) as caught:
        Client(lambda: psycopg.connect(**nowhere)).sessions.verify(TOKEN)
    assert caught.value.code == "CONNECTION_FAILED" and "/nowhere" in caught.value.detail
    assert caught.value.hint is None, "nothing was committed"
    assert TOKEN not in written(caught.value) and PASSWORD not in written(caught.value)


def test_a_database_without_the_extension_is_a_typed_error(direct, roles):
    with pytest.raises(SessionError) as caught:
        Client(lambda: psycopg.connect(**{**direct, "dbname": "template1"}, user=SERVER)).sessions.verify("x")
    assert (caught.value.code, caught.value.sqlstate) == ("NOT_INSTALLED", "3F000")
    assert "CREATE EXTENSION" in caught.value.hint


@pytest.fixture(scope="module")
def restarting():
    cluster = Cluster.start("client", fsync="off")
    with cluster.connect() as connection:
        connection.execute("CREATE EXTENSION dialstack_sessions")
        shop = Shop.make(connection)
        token = shop.create(connection).token
    yield cluster, shop, token
    cluster.destroy()


def restart(cluster):
    script = os.environ["DSS_CLUSTER"]
    run(script, "stop", cluster.name, "immediate")
    run(script, "start", cluster.name)


def test_a_restart_between_begin_and_commit_is_a_typed_error(restarting):
    cluster, shop, token = restarting
    kwargs = {"host": cluster.host, "port": cluster.port, "user": "postgres", "dbname": "postgres"}
    with ConnectionPool(kwargs=kwargs, min_size=1, max_size=2, open=True) as pool:
        client = Client(pool, **shop.place)
        called = []

        def work(connection):
            called.append(1)
            connection.execute("CREATE TABLE written ()")
            restart(cluster)

        with pytest.raises(SessionError) as caught:
            client.with_token(token, work)
        assert caught.value.code == "CONNECTION_FAILED" and "COMMIT" in caught.value.hint + caught.value.message
        assert token not in written(caught.value)
        assert len(called) == 1, "a COMMIT of unknown result must not be repeated"
        # The pool finds new connections.
        for _ in range(3):
            try:
                assert client.sessions.verify(token).valid
                break
            except SessionError as error:
                assert error.code == "CONNECTION_FAILED"
        else:
            raise AssertionError("the pool has no good connection")


def test_an_asynchronous_restart_is_a_typed_error(restarting, wait):
    cluster, shop, token = restarting
    kwargs = {"host": cluster.host, "port": cluster.port, "user": "postgres", "dbname": "postgres"}

    async def work(connection):
        restart(cluster)

    async def main():
        async with AsyncConnectionPool(kwargs=kwargs, min_size=1, max_size=2, open=False) as pool:
            await AsyncClient(pool, **shop.place).with_token(token, work)

    with pytest.raises(SessionError) as caught:
        wait(main())
    assert caught.value.code == "CONNECTION_FAILED" and token not in written(caught.value)


def test_no_error_shows_what_was_bound(direct, shop, admin):
    """Where the server is told to, its errors have the bound values in their context, and psycopg shows that."""
    session = shop.create(admin)
    call(admin, "session_end", token=session.token)
    with psycopg.connect(**direct, user="postgres", autocommit=True) as connection:
        connection.execute("SET log_parameter_max_length_on_error = -1")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("SELECT dialstack.session_require(%s)", [session.token])
        assert session.token[:40] in str(caught.value), "what this test is about does not happen any more"

        client = Client(connection, **shop.place)
        with pytest.raises(SessionError) as caught:
            client.sessions.require(session.token)
        assert session.token[:40] not in written(caught.value)
        with pytest.raises(SessionError) as caught:
            client.with_token(session.token, lambda connection: None)
        assert session.token[:40] not in written(caught.value)
        with pytest.raises(SessionError) as caught, client.presenting(session.token):
            raise AssertionError("is not reached")
        assert session.token[:40] not in written(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"session_id": "eyToken"},
        {"session_id": 5},
        {"identifier": "eyToken\0"},
        {"identifier": "eyToken\ud800"},
        {"identifier": b"eyToken"},
        {"identifier": "user_1", "reason": 5},
    ],
)
def test_a_value_of_the_wrong_kind_is_a_typed_error_that_does_not_show_it(client, arguments):
    with pytest.raises(SessionError) as caught:
        client.sessions.revoke(**arguments)
    assert caught.value.code == "INVALID_ARGUMENT" and "eyToken" not in written(caught.value)


@pytest.mark.parametrize(
    "name, value",
    [
        ("data", {"userId": float("nan")}),
        ("data", {"userId": object()}),
        ("data", {"userId": "a\0b"}),
        ("data", {"userId": "\ud800"}),
        ("expires_in", object()),
        ("expires_in", "eyToken"),
        ("expires_in", 1e300),
        ("expires_in", float("nan")),
    ],
)
def test_what_postgresql_refuses_is_a_typed_error(client, name, value):
    arguments = {"data": {"userId": "user_1"}, name: value}
    with pytest.raises(SessionError) as caught:
        client.sessions.start(**arguments)
    assert caught.value.code in ("INVALID_ARGUMENT", "CREATE_FAILED") and "eyToken" not in written(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [{"page": 10**12}, {"page": "1"}, {"page": True}, {"limit": 0}, {"active_only": 1}, {"page": -1}],
)
def test_bad_pages_are_typed_errors(client, arguments):
    with pytest.raises(SessionError) as caught:
        client.sessions.list(**arguments)
    assert caught.value.code in ("INVALID_ARGUMENT", "LIST_FAILED")


def test_moments_need_a_time_zone(client):
    from datetime import datetime

    with pytest.raises(SessionError, match="time zone"):
        client.sessions.fetch_activity_logs(start=datetime(2026, 1, 1))
    with pytest.raises(SessionError, match="not a list"):
        client.client_sessions.create(connected_account_ids="3ea0b67f-649f-4131-bfe3-f2035e77a3f9")


ADDRESSES = {
    "10.1.2.3": "10.1.2.3",
    " 10.1.2.3 ": "10.1.2.3",
    "10.1.2.3:5678": "10.1.2.3",
    "[2001:db8::1]:443": "2001:db8::1",
    "[2001:db8::1]": "2001:db8::1",
    "2001:db8::1": "2001:db8::1",
    "fe80::1%eth0": "fe80::1",
    "[fe80::1%25eth0]:80": "fe80::1",
    "unknown": None,
    "_hidden": None,
    "": None,
    "10.1.2": None,
    "10.1.2.3\0": None,
    "ey:Token": None,
}


def test_addresses_are_made_such_that_inet_takes_them(client, caplog):
    for given, stored in ADDRESSES.items():
        caplog.clear()
        session = client.sessions.start(data={"userId": "user_1"}, ip=given, user_agent="a\0b\ud800")
        info = client.sessions.get_info(session.session_id)
        assert (info.ip, info.user_agent) == (stored, "ab?")
        assert address(given) == stored
        assert bool(caplog.records) == (stored is None) and "Token" not in caplog.text
