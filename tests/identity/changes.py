"""All that ends a session, or takes it away from its tenant."""

import pytest
from support.service import (
    call,
    keep_presenting,
    present,
    refresh,
    revoke_active_key,
    value,
    value_of,
)
from world import KINDS_OF_TRANSACTION


def _kinds(*names):
    kinds = [KINDS_OF_TRANSACTION[name] for name in names]
    return pytest.mark.parametrize("kind", kinds, ids=names)


KINDS = _kinds(*KINDS_OF_TRANSACTION)
# The least and the most that a transaction binds itself to.
EXTREMES = _kinds("read_committed", "serializable_read_only")


class Tenant:
    """A session of the first tenant, of one family, and what ends it."""

    def __init__(self, world, family, n=1):
        self.world, self.family, self.n = world, family, n
        self.table = "dialstack.client_sessions" if family == "client" else "dialstack.sessions"
        self.session = {
            "account": world.account_session,
            "client": world.client_session,
            "user": world.user_session,
        }[family](n)
        self.token = self.session.client_secret if family == "account" else self.session.token
        self.rows = world.rows_of(family, n)
        self.id = call(world.admin, "session_verify", token=self.token).session_id


def session_revoke(admin, tenant):
    assert tenant.world.shop.revoke(admin, tenant.id) == 1
    return "revoked"


def session_revoke_by_identifier(admin, tenant):
    place = tenant.world.shop.place
    assert value_of(call(admin, "session_revoke", **place, identifier="user_1")) == 1
    return "revoked"


def session_revoke_all(admin, tenant):
    assert tenant.world.shop.revoke_all(admin, "user_1") == 1
    return "revoked"


def user_erase(admin, tenant):
    call(admin, "user_erase", **tenant.world.place, identifier="user_1")
    return "invalid"


def session_end(admin, tenant):
    with admin.transaction():
        present(admin, tenant.token)
        assert value(admin, "SELECT dialstack.session_end()") == 1
    return "revoked"


def session_end_without_transaction(admin, tenant):
    keep_presenting(admin, tenant.token)
    assert value(admin, "SELECT dialstack.session_end()") == 1
    return "revoked"


def refresh_reuse(admin, tenant):
    second = refresh(admin, tenant.session.refresh_token)
    refresh(admin, second.refresh_token)
    assert refresh(admin, tenant.session.refresh_token).reason == "reused"
    return "reused"


def eviction(admin, tenant):
    call(
        admin,
        "definition_update",
        product=tenant.world.product,
        tag=tenant.world.shop.tag,
        changes='{"max_sessions": 1}',
    )
    tenant.world.user_session(tenant.n, connection=admin)
    return "revoked"


def client_session_revoke(admin, tenant):
    call(admin, "client_session_revoke", client_session_id=tenant.id, **tenant.world.place)
    return "revoked"


def client_session_delete(admin, tenant):
    call(admin, "client_session_delete", client_session_id=tenant.id, **tenant.world.place)
    return "invalid"


def env_delete(admin, tenant):
    call(admin, "env_delete", **tenant.world.place)
    return "revoked"


def env_delete_and_create(admin, tenant):
    """A new environment of the same name is not that of the old tokens."""
    with admin.transaction():
        call(admin, "env_delete", **tenant.world.place)
        call(admin, "env_create", **tenant.world.place)
    return "revoked"


def definition_delete(admin, tenant):
    call(admin, "definition_delete", product=tenant.world.product, tag=tenant.world.shop.tag)
    return "revoked"


def signing_key_revoke(admin, tenant):
    revoke_active_key(admin, "jwt" if tenant.family == "user" else "token")
    return "invalid"


def instance_reset(admin, tenant):
    call(admin, "instance_reset")
    return "invalid"


def prepared_transaction(admin, tenant):
    """Revoked by a transaction that is prepared first, and committed by anybody."""
    with admin.transaction():
        reason = DIRECT["update_revoked"](admin, tenant)
        admin.execute("PREPARE TRANSACTION 'revocation'")
    admin.execute("COMMIT PREPARED 'revocation'")
    return reason


def where_ordinary_triggers_are_off(admin, tenant):
    with admin.transaction():
        admin.execute("SET LOCAL session_replication_role = replica")
        reason = DIRECT["update_revoked"](admin, tenant)
        admin.execute("SET LOCAL session_replication_role = origin")
    return reason


def direct(statement, reason):
    """A direct write of an administrator, in psql."""

    def change(admin, tenant):
        arguments = {**tenant.world.shop.place, "id": tenant.id}
        there = statement.replace("dialstack.sessions", tenant.table)
        assert admin.execute(there, arguments).rowcount != 0
        return reason

    return change


DIRECT = {
    "update_revoked": direct(
        "UPDATE dialstack.sessions SET revoked_at = now(), revoke_reason = 'fraud' "
        "WHERE session_id = %(id)s",
        "revoked",
    ),
    "update_expired": direct(
        "UPDATE dialstack.sessions SET expires_at = now() WHERE session_id = %(id)s", "expired"
    ),
    "delete": direct("DELETE FROM dialstack.sessions WHERE session_id = %(id)s", "invalid"),
    "delete_env": direct(
        "DELETE FROM dialstack.environments e USING dialstack.products p WHERE p.product = %(product)s "
        "AND p.product_id = e.product_id AND e.env = %(env)s",
        "revoked",
    ),
    "delete_definition": direct(
        "DELETE FROM dialstack.session_definitions d USING dialstack.products p WHERE d.tag = %(tag)s "
        "AND p.product_id = d.product_id AND p.product = %(product)s",
        "revoked",
    ),
    "delete_product": direct(
        "DELETE FROM dialstack.products WHERE product = %(product)s", "revoked"
    ),
}

# Only a user's session has a definition.
OF_ANY_SESSION = [change for name, change in DIRECT.items() if name != "delete_definition"]

CHANGES = {
    "user": [
        session_revoke,
        session_revoke_by_identifier,
        session_revoke_all,
        user_erase,
        session_end,
        session_end_without_transaction,
        refresh_reuse,
        eviction,
        env_delete,
        env_delete_and_create,
        definition_delete,
        signing_key_revoke,
        instance_reset,
        prepared_transaction,
        where_ordinary_triggers_are_off,
        *DIRECT.values(),
    ],
    "client": [
        client_session_revoke,
        client_session_delete,
        session_end,
        env_delete,
        signing_key_revoke,
        instance_reset,
        where_ordinary_triggers_are_off,
        *OF_ANY_SESSION,
    ],
    "account": [session_end, env_delete, signing_key_revoke, instance_reset, *OF_ANY_SESSION],
}

_names = {change: name for name, change in DIRECT.items()}

ALL_CASES = {
    (family, change): f"{family}-{_names.get(change, change.__name__)}"
    for family, changes in CHANGES.items()
    for change in changes
}

def _cases(but=()):
    cases = {case: name for case, name in ALL_CASES.items() if case[1] not in but}
    return pytest.mark.parametrize("family, change", cases, ids=cases.values())


CASES = _cases()
# Without the one that commits by itself.
UNDOABLE = _cases(but=(prepared_transaction,))
