import itertools

import pytest
from support import service
from support.cluster import Cluster
from support.tenants import Tenants

_numbers = itertools.count(1)


def destroy(cluster):
    """The end of a standby, where nothing may have gone wrong inside."""
    bad = [
        line
        for line in cluster.log_text().splitlines()
        if " XX000 " in line or "PANIC:" in line or "terminated by signal" in line
    ]
    cluster.destroy()
    assert bad == []


class Pair:
    """A primary and a hot standby of it, and one of their databases."""

    def __init__(self, primary, standby, dbname="postgres"):
        self.primary, self.standby, self.dbname = primary, standby, dbname
        self._opened = []
        self.admin = self._keep(primary.connect(dbname))
        self._observer = self._keep(standby.connect())

    def _keep(self, connection):
        self._opened.append(connection)
        return connection

    def connect(self, **parameters):
        """A connection to the standby."""
        return self._keep(self.standby.connect(self.dbname, **parameters))

    def catch_up(self):
        self.standby.catch_up(self._observer, self.admin)

    def close(self):
        for connection in self._opened:
            connection.close()


@pytest.fixture(scope="session")
def tenants(installed):
    with service.connect() as connection:
        return Tenants(connection, 3)


@pytest.fixture(scope="session")
def standby(tenants):
    """A standby that stays one."""
    # A reader's old snapshot must not stand in the way of the replay.
    standby = Cluster.clone("standby", Cluster.given(), hot_standby_feedback="on", fsync="off")
    yield standby
    destroy(standby)


@pytest.fixture
def pair(standby):
    pair = Pair(Cluster.given(), standby)
    pair.catch_up()
    yield pair
    pair.close()


@pytest.fixture
def apart(standby):
    """The pair in a database of the test's own, for what changes its keys."""
    primary, dbname = Cluster.given(), f"apart_{next(_numbers)}"
    primary.create_database(dbname)
    pair = Pair(primary, standby, dbname)
    pair.admin.execute("CREATE EXTENSION dialstack_sessions")
    pair.catch_up()
    yield pair
    pair.close()
    with primary.connect() as admin:
        admin.execute(f"DROP DATABASE {dbname}")


@pytest.fixture
def clone(tenants):
    """A pair with a standby of its own, to be promoted."""
    standby = Cluster.clone(f"promoted{next(_numbers)}", Cluster.given(), fsync="off")
    pair = Pair(Cluster.given(), standby)
    pair.catch_up()
    yield pair
    pair.close()
    destroy(standby)
