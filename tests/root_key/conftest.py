import base64
import itertools
import os
import secrets

import pytest
from support.cluster import ROOT_KEY_FILE, Cluster, as_server, configure
from support.formats import Ring
from support.service import Shop, call, until, value, verify

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster():
    return Cluster.given()


class KeyFile:
    """The root key file, owned by the server's user, and every key that was ever in it."""

    def __init__(self, cluster):
        self.path = os.path.join(os.path.dirname(cluster.data), "root.key")
        self.texts = []

    def new_key(self):
        key = secrets.token_bytes(32)
        self.texts += [key.hex(), base64.b64encode(key).decode().rstrip("=")]
        self.texts.append(base64.urlsafe_b64encode(key).decode().rstrip("="))
        return key

    def write(self, *lines, mode="600"):
        """Replaces the file; a key may be given as its bytes."""
        text = "".join(f"{line.hex() if isinstance(line, bytes) else line}\n" for line in lines)
        self.write_text(text, mode)

    def write_text(self, text, mode="600"):
        self.remove()
        script = 'umask 077; cat >"$1"; chmod "$2" "$1"'
        as_server("sh", "-c", script, "sh", self.path, mode, text=text)

    def remove(self):
        as_server("rm", "-rf", self.path)


@pytest.fixture
def file(cluster):
    """The file, and the promise that no text of it comes out in the server log."""
    file = KeyFile(cluster)
    yield file
    file.remove()
    log = cluster.log_text()
    assert [text for text in file.texts if text.lower() in log.lower()] == []


@pytest.fixture
def use_file(cluster, file):
    """Sets the path, as an administrator does, and waits until these connections know."""
    with cluster.connect() as admin:
        # The server knows the setting once the library is loaded.
        admin.execute("LOAD 'dialstack_sessions'")

        def set_path(path, *connections):
            configure(admin, ROOT_KEY_FILE, path)
            for connection in connections:
                until(lambda: value(connection, f"SHOW {ROOT_KEY_FILE}") == path, "the new setting")

        yield lambda *connections, path=None: set_path(
            file.path if path is None else path, *connections
        )
        set_path("")


@pytest.fixture(scope="session")
def furnished(cluster):
    """A database to copy, whose extension was created while no file was set; the shop in it."""
    cluster.create_database("house")
    with cluster.connect("house") as connection:
        connection.execute("CREATE EXTENSION dialstack_sessions")
        return Shop.make(connection)


class House:
    """A database of a test's own, with a living session and two open connections."""

    def __init__(self, cluster, name, shop):
        self.cluster, self.name = cluster, name
        with cluster.connect() as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE house")
        self.old = cluster.connect(name)
        # A copy has to become an instance of its own.
        call(self.old, "instance_reset")
        self.shop, self.session = shop, shop.create(self.old)
        self._opened = [self.old]

    def connect(self, **parameters):
        self._opened.append(self.cluster.connect(self.name, **parameters))
        return self._opened[-1]

    @property
    def row(self):
        return self.old.execute("SELECT * FROM dialstack.instance").fetchone()

    @property
    def wrapped(self):
        query = "SELECT kid, wrapped FROM dialstack.signing_keys ORDER BY kid"
        return self.old.execute(query).fetchall()

    def assert_all_is_well(self):
        """In the connection of before and in a new one: old tokens are good, and new ones too."""
        for connection in (self.old, self.connect()):
            assert verify(connection, self.session.token).valid
            new = self.shop.create(connection)
            assert verify(connection, new.token).data == {"userId": "user_456"}
            assert call(connection, "session_refresh", refresh_token=new.refresh_token).ok

    def assert_opens_with(self, root_key):
        assert self.row.root_key is None
        Ring(self.old, root_key)

    def close(self):
        for connection in self._opened:
            connection.close()


@pytest.fixture
def house(cluster, furnished):
    """In row mode."""
    house = House(cluster, f"house_{next(_numbers)}", furnished)
    yield house
    house.close()
