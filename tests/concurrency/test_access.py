"""Levels that are granted and taken away at once."""

import threading

import pytest
from psycopg import errors
from support.levels import LEVELS
from support.service import PATIENCE, Shop, call, together, value, verify

ROLES = [f"newcomer_{number}" for number in range(20)]


@pytest.fixture
def roles(create_role):
    for role in ROLES:
        create_role(role)
    return ROLES


def holders(admin):
    return value(
        admin,
        "SELECT count(*) FROM pg_proc p, aclexplode(p.proacl) a JOIN pg_roles r ON r.oid = a.grantee "
        "WHERE p.oid = 'dialstack.access_client()'::regprocedure AND r.rolname LIKE 'newcomer%%'",
    )


def test_levels_granted_to_and_taken_from_many_roles_at_once_are_all_there_and_gone(admin, roles):
    for function, left in (("grant_access", len(roles)), ("revoke_access", 0)):
        together([lambda c, role=role: call(c, function, role=role, access="client") for role in roles])
        assert holders(admin) == left


def test_one_level_granted_many_times_at_once_is_granted(admin, roles):
    together([lambda c: call(c, "grant_access", role=roles[0], access="admin")] * 20)

    assert value(admin, f"SELECT has_function_privilege('{roles[0]}', 'dialstack.jwks()', 'EXECUTE')")


@pytest.mark.parametrize("deleted", ["product", "env"])
def test_a_level_is_not_limited_to_what_a_colleague_deletes_meanwhile(behind, shop, roles, deleted):
    place = {"product": shop.product}
    if deleted == "env":
        place["env"] = shop.env
    grant = lambda connection: call(connection, "grant_access", role=roles[0], access="server", **place)
    _, waiting = behind(lambda connection: call(connection, f"{deleted}_delete", **place), grant)
    with pytest.raises(errors.UndefinedObject, match=f"^{deleted.upper()}_NOT_FOUND: "):
        waiting.result()


def test_two_who_made_an_environment_both_grant_it(admin, shop, roles):
    """As migrations do that run at once: neither waits for what the other has made."""
    made = threading.Barrier(2, timeout=PATIENCE)

    def migrate(env, role):
        def work(connection):
            with connection.transaction():
                call(connection, "env_create", product=shop.product, env=env)
                made.wait()
                call(connection, "grant_access", role=role, access="server", product=shop.product, env=env)

        return work

    together([migrate("one", roles[0]), migrate("two", roles[1])])

    limits = "SELECT count(*) FROM dialstack.access_limits WHERE role_name = ANY (%s) AND env_id IS NOT NULL"
    assert value(admin, limits, roles[:2]) == 2


TAKEN = {
    "membership": lambda admin, group, role: admin.execute(f"REVOKE {group} FROM {role}"),
    "level": lambda admin, group, role: call(admin, "revoke_access", role=group, access="server"),
}


@LEVELS
@pytest.mark.parametrize("taken", TAKEN)
def test_a_role_that_loses_a_limited_level_within_a_transaction_reaches_nothing(
    admin, connect, shop, roles, isolation, taken
):
    """The server itself learns of it only with the next lock or transaction."""
    group, role = roles[:2]
    call(admin, "grant_access", role=group, access="server", product=shop.product)
    admin.execute(f"ALTER ROLE {role} LOGIN; GRANT {group} TO {role}")
    other = Shop.make(admin)
    session = other.create(admin)
    pooled = connect(user=role, isolation=isolation)
    for act in (lambda: other.create(pooled), lambda: shop.create(pooled), lambda: verify(pooled, session.token)):
        with pooled.transaction(force_rollback=True):
            shop.create(pooled)
            TAKEN[taken](admin, group, role)
            try:
                answer = act()
            except errors.InsufficientPrivilege:
                answer = None
            assert answer is None or answer.reason == "mismatch"
        call(admin, "grant_access", role=group, access="server", product=shop.product)
        admin.execute(f"GRANT {group} TO {role}")
    pooled.close()
