"""Roles of each access level."""

import pytest
from limits import AWAY, HOME, grant, name
from support import service
from support.service import Shop, call

LEVELS = ["client", "server", "monitor", "admin"]
INCLUDED = {
    "client": {"client"},
    "server": {"client", "server"},
    "monitor": {"monitor"},
    "admin": set(LEVELS),
}
ROLES = ["nothing", *LEVELS]


def role(level):
    return f"role_{level}"


@pytest.fixture(scope="session")
def roles(installed):
    """One role a level, and one that has none."""
    with service.connect() as connection:
        for level in ROLES:
            connection.execute(f"CREATE ROLE {role(level)}")
            if level in LEVELS:
                call(connection, "grant_access", role=role(level), access=level)


@pytest.fixture
def act_as(roles, connect):
    """Opens connections that act as the role of a level."""

    def open_one(level, **options):
        connection = connect(**options)
        connection.execute(f"SET ROLE {role(level)}")
        return connection

    return open_one


@pytest.fixture
def place(shop):
    return shop.home


@pytest.fixture(scope="session")
def sessions(installed):
    """In each place a session of each kind, by the names that the calls use."""
    sessions = {}
    with service.connect() as admin:
        for product in ("limits-one", "limits-two"):
            call(admin, "product_create", product=product)
            Shop(product).define(admin, expiry=1, period="hours")
        for place in [HOME, *AWAY]:
            call(admin, "env_create", **place)
            user = Shop(**place).create(admin)
            client = call(admin, "client_session_create", user_identifier_key="user-key", **place)
            sessions[name(place)] = {
                **place,
                "token": user.token,
                "refresh_token": user.refresh_token,
                "session_id": user.session_id,
                "likewise": f"session {user.session_id}",
                "client_secret": call(admin, "account_session_create", account="acct_1", **place).client_secret,
                "client_token": client.token,
                "client_session_id": client.client_session_id,
            }
    return sessions


@pytest.fixture
def new_role(admin):
    """Makes roles that are gone after the test: `new_role(server=[place, …])`; a place that is None is no limit."""
    made = []

    def make(options="", **granted):
        made.append(f"limited_{len(made)}")
        admin.execute(f"CREATE ROLE {made[-1]} {options}")
        for level, places in granted.items():
            for place in places:
                grant(admin, made[-1], level, place)
        return made[-1]

    yield make
    for one in made:
        admin.execute(f"DROP OWNED BY {one}; DROP ROLE {one}")
        call(admin, "access_forget", role_name=one)


@pytest.fixture
def act(connect):
    """Opens a connection that acts as a role."""

    def open_one(name):
        connection = connect()
        connection.execute(f"SET ROLE {name}")
        return connection

    return open_one
