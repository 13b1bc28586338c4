"""The client as an application uses it: synchronous or asynchronous, directly or behind PgBouncer."""

import asyncio
import inspect
import os
import sys
from pathlib import Path

import pytest
from support import service
from support.service import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "clients/python/src"
sys.path.insert(0, str(SOURCE))

from dialstack_sessions import AsyncClient, Client  # noqa: E402
from psycopg_pool import AsyncConnectionPool, ConnectionPool  # noqa: E402

# The roles of an application: one for logging in, one for all else.
SERVER, CLIENT = "web_server", "web_client"


@pytest.fixture(scope="session")
def roles(installed):
    with service.connect() as connection:
        for role, access in ((SERVER, "server"), (CLIENT, "client")):
            connection.execute(f"CREATE ROLE {role} LOGIN")
            service.call(connection, "grant_access", role=role, access=access)
        connection.execute("CREATE TABLE notes (owner text NOT NULL, body text NOT NULL)")
        connection.execute(f"GRANT ALL ON notes TO {SERVER}, {CLIENT}")


@pytest.fixture(scope="session")
def loop():
    """One event loop for all that is asynchronous."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def wait(loop):
    """Runs what is asynchronous to its end."""
    return lambda coroutine: loop.run_until_complete(asyncio.wait_for(coroutine, PATIENCE))


@pytest.fixture(scope="session")
def pooler(roles):
    """PgBouncer in transaction mode, with two connections to the server for each role."""
    if "DSS_PGBOUNCER" not in os.environ:
        pytest.skip("there is no PgBouncer")
    from support.pooler import Pooler

    pooler = Pooler("client", [SERVER, CLIENT], pool_mode="transaction")
    yield pooler
    pooler.stop()


@pytest.fixture(params=["direct", "pgbouncer"])
def route(request, roles):
    """How connections are made: their parameters."""
    if request.param == "direct":
        return {"host": os.environ["PGHOST"], "port": os.environ["PGPORT"], "dbname": "postgres"}
    pooler = request.getfixturevalue("pooler")
    return {"host": pooler.folder, "port": pooler.port, "dbname": "pooled", "prepare_threshold": None}


@pytest.fixture
def direct(roles):
    return {"host": os.environ["PGHOST"], "port": os.environ["PGPORT"], "dbname": "postgres"}


class Awaited:
    """An asynchronous object whose methods are run to their end, so that a test is written once for both clients."""

    def __init__(self, subject, wait):
        self._subject, self._wait = subject, wait

    def __getattr__(self, name):
        member = getattr(self._subject, name)
        if not callable(member):
            return Awaited(member, self._wait) if hasattr(member, "_client") else member

        def call(*arguments, **named):
            result = member(*arguments, **named)
            if inspect.isawaitable(result):
                return self._wait(result)
            return Awaited(result, self._wait) if isinstance(result, AsyncClient) else result

        return call


@pytest.fixture(params=["sync", "async"])
def make_client(request, wait):
    """Makes clients of either kind, with a pool each, or with the connections that are given."""
    pools = []

    def make_sync(route, user, size, **options):
        pool = ConnectionPool(
            kwargs={**route, "user": user}, min_size=1, max_size=size, open=True, timeout=PATIENCE
        )
        pools.append(pool.close)
        return Client(pool, **options)

    def make_async(route, user, size, **options):
        async def start():
            pool = AsyncConnectionPool(
                kwargs={**route, "user": user}, min_size=1, max_size=size, open=False, timeout=PATIENCE
            )
            await pool.open()
            return pool

        pool = wait(start())
        pools.append(lambda: wait(pool.close()))
        return Awaited(AsyncClient(pool, **options), wait)

    def make(route, user=SERVER, size=2, **options):
        return (make_sync if request.param == "sync" else make_async)(route, user, size, **options)

    make.kind = request.param
    yield make
    for close in pools:
        close()


@pytest.fixture
def client(make_client, route, shop):
    """A client of level `server`, for the shop."""
    return make_client(route, **shop.place)


@pytest.fixture
def as_work(make_client):
    """Makes a query the work of either kind of client: returns its rows."""

    def work(query, *values):
        if make_client.kind == "sync":
            return lambda connection: connection.execute(query, values).fetchall()

        async def asynchronous(connection):
            return await (await connection.execute(query, values)).fetchall()

        return asynchronous

    return work


@pytest.fixture
def notes(admin, shop):
    """A protected table, with a note each of two users."""
    admin.execute("TRUNCATE notes")
    admin.execute("INSERT INTO notes VALUES ('user_1', 'of one'), ('user_2', 'of two')")
    service.call(
        admin, "protect_table", relation="notes", column_name="owner", by="identifier", **shop.place
    )
    yield "notes"
    service.call(admin, "unprotect_table", relation="notes")


@pytest.fixture
def make_app(route, shop, wait):
    """Makes applications that connect as two roles, one of which makes sessions."""
    from web import application

    pools = []

    def make(middleware=None, **options):
        app, opened = wait(application(route, shop, middleware or {}, options))
        pools.extend(opened)
        return app

    yield make
    for pool in pools:
        wait(pool.close())


@pytest.fixture
def browser(make_app, wait):
    from web import Browser

    return Browser(make_app(), wait)
