import itertools
import os
import sys
from pathlib import Path

import pytest
from support.cluster import Cluster, as_server
from support.service import value

# before stands beside the tests.
sys.path.insert(0, str(Path(__file__).parent))

from before import Before, answers, figures  # noqa: E402

NEW = "18"
# From where, and how.
WAYS = [("15", "--copy"), ("15", "--link"), ("16", "--copy"), ("16", "--link"), ("17", "--link")]
# pg_upgrade writes into the folder that it is started in.
_RUN_IN = 'cd "$1" && shift && exec "$@"'

_numbers = itertools.count(1)


def pg_config(major):
    path = os.environ.get(f"DSS_PG_CONFIG_{major}")
    if not path:
        pytest.skip(f"PostgreSQL {major} could not be had")
    return path


def pg_upgrade(old, new, mode):
    """Upgrades a stopped cluster into another one, new and stopped. Both keep their folders."""
    # The default of 18, which the older one does not have; both must be alike.
    as_server("pg_checksums", "--disable", "-D", new.data, pg_config=new.pg_config)
    folder = os.path.dirname(new.data)
    as_server(
        *("sh", "-c", _RUN_IN, "sh", folder, f"{new.bindir}/pg_upgrade", mode, "--no-sync"),
        *("-b", old.bindir, "-B", new.bindir, "-d", old.data, "-D", new.data),
        *("-s", new.host, "-U", "postgres"),
        pg_config=new.pg_config,
    )


class Upgrade:
    """A cluster, and a newer one that shall be what it was."""

    def __init__(self, major, mode):
        self.mode, number = mode, next(_numbers)
        old, new = pg_config(major), pg_config(NEW)
        self.old = Cluster.start(f"old{number}", old, fsync="off")
        self.new = Cluster.start(f"new{number}", new, fsync="off")
        self.new.stop()

    def upgrade(self):
        self.old.stop()
        pg_upgrade(self.old, self.new, self.mode)
        self.new.start_again(fsync="off")

    def destroy(self):
        log = self.new.log_text()
        self.old.destroy()
        self.new.destroy()
        assert "PANIC:" not in log and " XX000 " not in log and "terminated by signal" not in log


@pytest.fixture(
    scope="session",
    params=WAYS,
    ids=lambda pair: f"{pair[0]}{pair[1]}",
)
def upgraded(request):
    upgraded = Upgrade(*request.param)
    request.addfinalizer(upgraded.destroy)
    upgraded.before = before = Before(upgraded.old)
    upgraded.upgrade()
    # At once, before a test changes something.
    with upgraded.new.connect("app") as admin:
        upgraded.answers = answers(admin, before.shop)
        upgraded.figures = [figures(admin, before.shop)]
        for _ in range(2):
            value(admin, "SELECT dialstack.maintain()")
            upgraded.figures.append(figures(admin, before.shop))
    return upgraded


@pytest.fixture
def clusters(request):
    """Makes clusters that the test itself fills and upgrades."""

    def make(major, mode):
        made = Upgrade(major, mode)
        request.addfinalizer(made.destroy)
        return made

    return make


@pytest.fixture
def before(upgraded):
    return upgraded.before


@pytest.fixture
def after(upgraded):
    """Connects to the database after the upgrade."""
    opened = []

    def connect(user="postgres", dbname="app"):
        opened.append(upgraded.new.connect(dbname, user=user))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def admin(after):
    return after()
