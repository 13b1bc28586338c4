"""Roles that are nobody special, who meet policies as real clients do."""

import pytest
from support import service
from support.service import call
from world import World

# Name of the role, and its access level.
ROLES = {"visitor": "client", "backend": "admin"}


@pytest.fixture(scope="session")
def roles(installed):
    """Roles that can log in; none is a superuser, owns anything of ours or bypasses policies."""
    with service.connect() as connection:
        for role, access in ROLES.items():
            connection.execute(f"CREATE ROLE {role} LOGIN")
            call(connection, "grant_access", role=role, access=access)


@pytest.fixture
def world(admin, roles):
    return World(admin, readers=", ".join(ROLES))


@pytest.fixture
def visit(connect, roles):
    """Opens connections of a plain client."""

    def open_one(read_only=False, **options):
        connection = connect(**{"user": "visitor", **options})
        connection.read_only = read_only
        return connection

    return open_one


@pytest.fixture
def visitor(visit):
    return visit()
