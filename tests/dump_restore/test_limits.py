"""A logical dump carries access levels with their limits, by the names of the roles."""

import pytest
from support.cluster import Cluster
from support.service import Shop, call, verify

ROLES = ("dumped_backend", "dumped_orphan")
LIMITS = "SELECT * FROM dialstack.access_of_roles() WHERE role LIKE 'dumped%'"


@pytest.fixture(scope="module")
def limited():
    """A database whose roles are limited: one to an environment, one to an environment that was deleted."""
    cluster = Cluster.given()
    with cluster.database("limited") as connection:
        shop = Shop.make(connection)
        for env in ("staging", "gone"):
            call(connection, "env_create", product=shop.product, env=env)
        for role, env in zip(ROLES, (shop.env, "gone")):
            connection.execute(f"CREATE ROLE {role}")
            call(connection, "grant_access", role=role, access="server", product=shop.product, env=env)
        call(connection, "grant_access", role=ROLES[0], access="client", product=shop.product)
        call(connection, "env_delete", product=shop.product, env="gone")
        yield cluster, connection, shop


def reached(connection, shop, role):
    """The environments whose sessions a role may create."""
    reached = set()
    for env in (shop.env, "staging"):
        session = Shop(shop.product, env).create(connection)
        connection.execute(f"SET ROLE {role}")
        if verify(connection, session.token).valid:
            connection.execute("SELECT * FROM dialstack.session_info(%s)", [session.session_id])
            reached.add(env)
        connection.execute("RESET ROLE")
    return reached


def test_limits_are_in_force_where_the_roles_are(limited, elsewhere, restored):
    cluster, original, shop = limited
    call(original, "revoke_access", role=ROLES[0], access="client")
    listed = original.execute(LIMITS).fetchall()
    dump = cluster.dump(dbname="limited")
    with elsewhere.connect() as connection:
        for role in ROLES:
            connection.execute(f"CREATE ROLE {role}")
    copy = restored(dump)
    assert copy.execute(LIMITS).fetchall() == listed
    assert [row.finding for row in listed] == [None, "reaches nothing: no limit is left"]
    assert [reached(copy, shop, role) for role in ROLES] == [{shop.env}, set()]
    copy.execute(f"DROP OWNED BY {', '.join(ROLES)}; DROP ROLE {', '.join(ROLES)}")


def test_limits_of_a_role_that_is_not_there_are_a_finding_and_no_error(limited, restored):
    cluster, original, shop = limited
    call(original, "grant_access", role=ROLES[0], access="client", product=shop.product)
    # PostgreSQL's own GRANTs would name the roles.
    copy = restored(cluster.dump("--no-privileges", dbname="limited"))
    assert [tuple(row) for row in copy.execute(LIMITS)] == [
        (ROLES[0], "client", True, shop.product, None, "there is no such role"),
        (ROLES[0], "server", True, shop.product, shop.env, "there is no such role"),
    ]
    # A role of that name that is made later has no level, and so nothing but a finding.
    copy.execute(f"CREATE ROLE {ROLES[0]}")
    assert {row.finding for row in copy.execute(LIMITS)} == {"the role does not have the level"}
    call(copy, "grant_access", role=ROLES[0], access="server", product=shop.product, env="staging")
    assert reached(copy, shop, ROLES[0]) == {"staging"}
    copy.execute(f"DROP OWNED BY {ROLES[0]}; DROP ROLE {ROLES[0]}")
    assert call(copy, "access_forget", role_name=ROLES[0])[0] == 2
    assert copy.execute(LIMITS).fetchall() == []
