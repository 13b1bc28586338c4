"""Calls for emergencies end soon, whoever is idle, and keep nobody from logging in meanwhile."""

import pytest
from psycopg import errors
from support.service import Background, call, refresh, value, verify

EMERGENCIES = {
    "instance_reset": lambda shop: {},
    "env_delete": lambda shop: shop.home,
    "definition_delete": lambda shop: {"product": shop.product, "tag": shop.tag},
}


def check_gives_up(admin, connect, shop, holder, function, arguments):
    """Calls a function while `holder` holds what it needs, and others log in."""
    caller, client = connect(), connect()
    waiting = Background(lambda: call(caller, function, **arguments))
    logged_in = []
    while not waiting.done():
        logged_in.append(shop.create(client, user=f"user-{len(logged_in)}"))

    with pytest.raises(errors.LockNotAvailable, match="^LOCK_NOT_AVAILABLE: ") as refused:
        waiting.result()

    assert f"process {holder.info.backend_pid} (idle in transaction" in refused.value.diag.message_hint
    assert len(logged_in) > 3
    assert all(verify(admin, session.token).valid for session in logged_in)


@pytest.mark.parametrize("function", EMERGENCIES)
def test_an_idle_client_that_has_refreshed_is_named(admin, connect, shop, function):
    session, holder = shop.create(admin), connect()
    arguments = EMERGENCIES[function](shop)
    with holder.transaction(force_rollback=True):
        assert refresh(holder, session.refresh_token).ok
        check_gives_up(admin, connect, shop, holder, function, arguments)

    call(admin, function, **arguments)
    assert not verify(admin, session.token).valid


def test_an_idle_client_that_has_logged_in_is_named(admin, connect, shop):
    holder = connect()
    arguments = EMERGENCIES["env_delete"](shop)
    with holder.transaction():
        session = shop.create(holder)
        check_gives_up(admin, connect, shop, holder, "env_delete", arguments)

    call(admin, "env_delete", **arguments)
    assert verify(admin, session.token).reason == "revoked"


def test_a_prepared_transaction_is_named(admin, connect, shop):
    # Given one that locks what is needed, with a subtransaction
    holder = connect()
    holder.execute("BEGIN")
    shop.create(holder)
    holder.execute("SAVEPOINT within")
    shop.create(holder)
    holder.execute("PREPARE TRANSACTION 'forgotten'")

    with pytest.raises(errors.LockNotAvailable, match="^LOCK_NOT_AVAILABLE: ") as refused:
        call(admin, "env_delete", **shop.home)

    assert refused.value.diag.message_hint.endswith(": prepared transaction 'forgotten'.")
    admin.execute("ROLLBACK PREPARED 'forgotten'")
    call(admin, "env_delete", **shop.home)


def test_what_waits_for_a_moment_is_done(admin, connect, shop):
    holder, caller = connect(), connect()
    with holder.transaction():
        session = shop.create(holder)
        waiting = Background(
            lambda: call(caller, "env_delete", **shop.home)
        )
        holder.execute("SELECT pg_sleep(1)")
    waiting.result()
    assert verify(admin, session.token).reason == "revoked"


def test_deleting_a_scope_waits_for_a_session_that_is_being_created_but_not_for_ever(admin, connect, shop):
    holder = connect()
    with holder.transaction():
        session = call(holder, "account_session_create", account="acct_1", **shop.home)
        with pytest.raises(errors.LockNotAvailable, match="^LOCK_NOT_AVAILABLE: ") as refused:
            call(admin, "scope_delete", scope="call_logs", product=shop.product)
    assert f"process {holder.info.backend_pid} " in refused.value.diag.message_hint
    call(admin, "scope_delete", scope="call_logs", product=shop.product)
    assert verify(admin, session.client_secret, scope="call_logs").reason == "scope_disabled"
    left = "SELECT count(*) FROM dialstack.scope_list(%s) WHERE scope = 'call_logs'"
    assert value(admin, left, shop.product) == 0
