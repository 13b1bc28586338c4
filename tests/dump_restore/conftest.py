import itertools

import pytest
from support.cluster import Cluster
from support.service import Shop, call, refresh

_numbers = itertools.count(1)


class Original:
    """A database with everything in it: configuration, living and dead sessions, keys, activity."""

    def __init__(self, cluster, dbname):
        self.cluster, self.dbname = cluster, dbname
        cluster.create_database(dbname)
        self.connection = cluster.connect(dbname)
        self.connection.execute("CREATE EXTENSION dialstack_sessions")
        self.shop = Shop.make(self.connection, max_sessions=9, idle_timeout="1 day")
        call(self.connection, "env_create", product=self.shop.product, env="staging", live=False)
        # Not the scopes that every product begins with.
        call(self.connection, "product_create", product="fax-only", scopes=["fax"])
        call(self.connection, "scope_delete", scope="ai_agent", product=self.shop.product)
        # A number that was given out and is gone must not come again.
        call(self.connection, "env_create", product=self.shop.product, env="gone")
        call(self.connection, "env_delete", product=self.shop.product, env="gone")
        Shop(self.shop.product, tag="gone").define(self.connection)
        call(self.connection, "definition_delete", product=self.shop.product, tag="gone")
        # A role that is there wherever the dump is restored.
        call(self.connection, "grant_access", role="pg_monitor", access="client", product=self.shop.product)
        for alg in ("EdDSA", "HS256"):
            call(self.connection, "signing_key_rotate", alg=alg)
        self.session = self.shop.create(self.connection, "user_of_the_original", note="private")
        self.refreshed = refresh(self.connection, self.session.refresh_token)
        dead = self.shop.create(self.connection, "user_of_the_original")
        self.shop.revoke(self.connection, dead.session_id)
        place = self.shop.home
        key = {"user_identifier_key": "key_of_the_original"}
        self.client = call(self.connection, "client_session_create", **key, **place)

    def secrets(self):
        """All that a dump must not hold, in each way in which a dump could write it."""
        connection, session, refreshed = self.connection, self.session, self.refreshed
        yield "access token", session.token
        yield "refreshed access token", refreshed.token
        yield "refresh token", session.refresh_token
        yield "refreshed refresh token", refreshed.refresh_token
        yield "session id", str(session.session_id)
        yield "user", "user_of_the_original"
        yield "session data", "private"
        row = connection.execute("SELECT * FROM dialstack.instance").fetchone()
        yield "instance id", str(row.instance_id)
        yield "root key", row.root_key.hex()
        yield "fingerprint", row.root_fingerprint.hex()
        for key in connection.execute("SELECT * FROM dialstack.signing_keys"):
            yield "key id", key.kid
            yield "wrapped key", key.wrapped.hex()
        for row in connection.execute("SELECT sealed_data FROM dialstack.sessions"):
            yield "sealed data", row.sealed_data.hex()
        yield "client session token", self.client.token
        yield "user_identifier_key", self.client.user_identifier_key
        for row in connection.execute("SELECT sealed_key FROM dialstack.client_sessions"):
            yield "sealed key", row.sealed_key.hex()


@pytest.fixture(scope="session")
def original():
    original = Original(Cluster.given(), "original")
    yield original
    original.connection.close()


@pytest.fixture(scope="session")
def elsewhere():
    """Another cluster, with nothing in it yet."""
    cluster = Cluster.start("other")
    yield cluster
    cluster.destroy()


@pytest.fixture
def restored(elsewhere):
    """Restores a dump into a new database of the other cluster, and connects to it."""
    opened = []

    def restore(dump):
        dbname = f"copy_{next(_numbers)}"
        elsewhere.create_database(dbname)
        elsewhere.restore(dump, dbname)
        opened.append(elsewhere.connect(dbname))
        return opened[-1]

    yield restore
    for connection in opened:
        connection.close()
