"""The session service as a client sees it: connections, calls, and callers who race."""

import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg
from psycopg import errors
from psycopg.rows import namedtuple_row

READ_COMMITTED = psycopg.IsolationLevel.READ_COMMITTED
REPEATABLE_READ = psycopg.IsolationLevel.REPEATABLE_READ
SERIALIZABLE = psycopg.IsolationLevel.SERIALIZABLE

# No test may hang: what waits this long fails.
PATIENCE = 60

_numbers = itertools.count(1)


def connect(isolation=READ_COMMITTED, **parameters):
    """A connection in autocommit mode; its transactions run at this isolation level."""
    level = isolation.name.lower().replace("_", r"\ ")
    connection = psycopg.connect(
        autocommit=True,
        row_factory=namedtuple_row,
        options=f"-c statement_timeout={PATIENCE}s -c default_transaction_isolation={level}",
        **parameters,
    )
    # Each call is planned anew, so that no test depends on how often it asked before.
    connection.prepare_threshold = None
    return connection


def force_parallel(connection, on=True):
    """Has statements planned for workers wherever they may be. PostgreSQL 16 renamed the setting."""
    renamed = connection.info.server_version >= 160000
    name = "debug_parallel_query" if renamed else "force_parallel_mode"
    connection.execute(f"SET {name} = {'on' if on else 'off'}")


def call(connection, function, **arguments):
    """The one row of a function that returns one, called with named notation."""
    named = ", ".join(f"{name} => %({name})s" for name in arguments)
    return connection.execute(f"SELECT * FROM dialstack.{function}({named})", arguments).fetchone()


def value(connection, query, *arguments):
    """The one value of a query."""
    return connection.execute(query, arguments).fetchone()[0]


def verify(connection, token, **expected):
    return call(connection, "session_verify", token=token, **expected)


def refresh(connection, refresh_token, **expected):
    return call(connection, "session_refresh", refresh_token=refresh_token, **expected)


def info(connection, session_id):
    return call(connection, "session_info", session_id=session_id)


def present(connection, token):
    """Presents a token until the transaction ends, as an application does: verified only where it is used."""
    connection.execute("SELECT set_config('dialstack_sessions.token', %s, true)", [token])


def keep_presenting(connection, token):
    """Presents a token for the whole connection."""
    connection.execute("SELECT set_config('dialstack_sessions.token', %s, false)", [token])


def use_key(connection, api_key):
    """Presents an API key for the whole connection; an empty one takes it back."""
    connection.execute("SELECT set_config('dialstack_sessions.api_key', %s, false)", [api_key])


def active_key(connection, purpose):
    """The kid of the key that signs or seals new things."""
    query = "SELECT kid FROM dialstack.signing_key_list() WHERE purpose = %s AND state = 'active'"
    return value(connection, query, purpose)


def revoke_active_key(connection, purpose):
    call(connection, "signing_key_revoke", kid=active_key(connection, purpose))


@dataclass(frozen=True)
class Shop:
    """A product with one environment and one definition, whose users are `{"userId": …}`."""

    product: str
    env: str = "production"
    tag: str = "web"

    @classmethod
    def make(cls, connection, live=True, **options):
        shop = cls(f"shop-{next(_numbers)}")
        call(connection, "product_create", product=shop.product)
        call(connection, "env_create", product=shop.product, env=shop.env, live=live)
        shop.define(connection, **options)
        return shop

    def define(self, connection, **options):
        return call(
            connection,
            "definition_create",
            product=self.product,
            tag=self.tag,
            name="Web",
            description="somebody who logged in",
            schema='{"userId": {"type": "string", "required": true}}',
            selector="$Session{userId}",
            **{"expiry": 15, "period": "minutes", **options},
        )

    @property
    def place(self):
        """The arguments that say where."""
        return {**self.home, "tag": self.tag}

    @property
    def home(self):
        """The same for what has no tag: its product and environment."""
        return {"product": self.product, "env": self.env}

    def create(self, connection, user="user_456", **more):
        """Creates a session; `more` goes into its data."""
        data = json.dumps({"userId": user, **more})
        return call(connection, "session_create", **self.place, data=data)

    def revoke(self, connection, session_id):
        return value_of(call(connection, "session_revoke", **self.place, session_id=session_id))

    def revoke_all(self, connection, user="user_456"):
        return value_of(call(connection, "session_revoke_all", **self.place, identifier=user))

    def living(self, connection, user="user_456"):
        """The ids of the user's living sessions."""
        rows = connection.execute(
            "SELECT session_id FROM dialstack.session_list("
            "product => %(product)s, env => %(env)s, tag => %(tag)s, identifier => %(user)s, "
            "per_page => 1000)",
            {**self.place, "user": user},
        )
        return {row.session_id for row in rows}


def value_of(row):
    return row[0]


def retrying(work):
    """Does what the documentation asks for where 40001 is raised: try the same again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return work()
        except errors.SerializationFailure:
            if time.monotonic() > deadline:
                raise


def waits(observer, connection):
    """Whether a connection waits for a lock."""
    query = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
    return bool(value(observer, query, connection.info.backend_pid))


def await_lock(observer, connection):
    """Returns once the connection waits for a lock."""
    until(lambda: waits(observer, connection), "the call to wait for a lock")


def until(condition, what):
    """Asks again and again, for things that the server does in its own time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


class Background:
    """A call that runs in a thread, because it is going to wait."""

    def __init__(self, work, *arguments):
        self._executor = ThreadPoolExecutor(1)
        self._future = self._executor.submit(work, *arguments)

    def done(self):
        return self._future.done()

    def result(self):
        try:
            return self._future.result(PATIENCE)
        finally:
            self._executor.shutdown()


def together(works, isolation=READ_COMMITTED):
    """Calls each of `works` in a thread, with a connection of its own, all starting at once.

    Returns their results in order. The first error ends the test.
    """
    works = list(works)
    # One that can't start must not leave the others waiting.
    start = threading.Barrier(len(works), timeout=PATIENCE)
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(isolation)) for _ in works]

        def run(work, connection):
            start.wait()
            return work(connection)

        with ThreadPoolExecutor(len(works)) as executor:
            futures = [executor.submit(run, *pair) for pair in zip(works, connections, strict=True)]
        return [future.result() for future in futures]
