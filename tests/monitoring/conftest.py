import pytest
from support.cluster import Cluster
from support.service import call


@pytest.fixture(scope="session")
def cluster():
    return Cluster.given()


@pytest.fixture
def watcher(admin, connect, create_role):
    """Whoever monitors: a member of pg_monitor that holds the level, in read-only transactions alone."""
    create_role("watcher", "LOGIN IN ROLE pg_monitor")
    call(admin, "grant_access", role="watcher", access="monitor")
    connection = connect(user="watcher")
    connection.execute("SET default_transaction_read_only = on")
    return connection


@pytest.fixture
def found(watcher):
    """What health_check() finds of a kind, as the monitoring role sees it: its details."""

    def details(check, connection=watcher):
        rows = connection.execute("SELECT * FROM dialstack.health_check()").fetchall()
        return [row.detail for row in rows if row.check == check]

    return details
