"""Roles of each access level, and the functions of the catalogue."""

import pytest
from support import service
from support.service import call

LEVELS = ["client", "server", "admin"]
ROLES = ["nothing", *LEVELS]


def role(level):
    return f"role_{level}"


def functions():
    """Every function of the extension: its name, and a call of it with NULL for each argument."""
    with service.connect() as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS dialstack_sessions")
        query = """
            SELECT concat(proname, '/', pronargs) AS name,
                   format('SELECT * FROM dialstack.%I(%s)', proname,
                          (SELECT string_agg('NULL::' || type::regtype, ', ')
                             FROM unnest(proargtypes) AS type)) AS call
              FROM pg_proc
             WHERE pronamespace = 'dialstack'::regnamespace AND prorettype <> 'trigger'::regtype
             ORDER BY 1"""
        return connection.execute(query).fetchall()


def pytest_generate_tests(metafunc):
    if "function" in metafunc.fixturenames:
        every = functions()
        metafunc.parametrize("function", every, ids=[function.name for function in every])


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
