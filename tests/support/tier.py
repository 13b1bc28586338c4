"""The pytest plugin of every tier in Python: its fixtures, and its last line of output."""

import os

import pytest

from support import service
from support.cluster import Cluster

_counts = {"passed": 0, "failed": 0, "skipped": 0}


def pytest_runtest_logreport(report):
    # A test passes in its call; one that fails in its set-up or tear-down failed as well.
    if report.failed:
        _counts["failed"] += 1
    elif report.skipped:
        _counts["skipped"] += 1
    elif report.when == "call":
        _counts["passed"] += 1


def pytest_collectreport(report):
    if report.failed:
        _counts["failed"] += 1


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    line = "tier {}: {passed} passed, {failed} failed".format(os.environ["DSS_TIER"], **_counts)
    if _counts["skipped"]:
        line += ", {skipped} skipped".format(**_counts)
    print(line, flush=True)


@pytest.fixture(scope="session")
def installed():
    """The extension is in the cluster's database."""
    with service.connect() as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS dialstack_sessions")


@pytest.fixture
def connect(installed):
    """Opens connections, and closes them after the test. See service.connect."""
    opened = []

    def open_one(**options):
        opened.append(service.connect(**options))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()


@pytest.fixture
def admin(connect):
    """A connection that sets up and looks after: READ COMMITTED, each statement on its own."""
    return connect()


@pytest.fixture
def behind(admin, connect):
    """Lets a call wait for the transaction of another, each in a connection of its own. Returns what the first returned,
    and the second, which goes on as the first is committed, or rolled back."""

    def behind(first, second, isolation=service.READ_COMMITTED, undone=False):
        holder, caller = connect(), connect(isolation=isolation)
        with holder.transaction(force_rollback=undone):
            made = first(holder)
            waiting = service.Background(second, caller)
            service.await_lock(admin, caller)
        return made, waiting

    return behind


@pytest.fixture
def elsewhere(installed):
    """A connection to another database of the cluster, which has the extension."""
    with Cluster.given().database("elsewhere") as connection:
        yield connection


@pytest.fixture
def create_role(admin):
    """Makes roles that are gone after the test, with what is granted to them."""
    made = []

    def create(name, options=""):
        admin.execute(f"CREATE ROLE {name} {options}")
        made.append(name)

    yield create
    for role in made:
        admin.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


@pytest.fixture
def shop(admin):
    """A product of this test's own, with an environment and a definition."""
    return service.Shop.make(admin)
