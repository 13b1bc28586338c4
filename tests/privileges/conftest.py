"""Roles of each access level."""

import pytest
from support import service
from support.service import call

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
    return {"product": shop.product, "env": shop.env}
