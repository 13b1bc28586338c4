"""Account sessions that are created while those of their account are revoked."""

from support.levels import LEVELS
from support.service import Background, await_lock, call, retrying, verify


def account_session(connection, shop):
    return call(connection, "account_session_create", account="acct_1", **shop.home)


def revoke_account(connection, shop):
    return call(connection, "account_session_revoke", account="acct_1", **shop.home)[0]


@LEVELS
def test_revoking_an_account_waits_for_a_session_that_is_being_created(admin, connect, shop, isolation):
    creating, revoking = connect(), connect(isolation=isolation)
    with creating.transaction():
        session = account_session(creating, shop)
        waiting = Background(retrying, lambda: revoke_account(revoking, shop))
        await_lock(admin, revoking)

    assert waiting.result() == 1
    assert verify(admin, session.client_secret).reason == "revoked"


@LEVELS
def test_a_session_of_an_account_that_is_being_revoked_comes_after_it(admin, connect, shop, isolation):
    revoking, creating = connect(), connect(isolation=isolation)
    with revoking.transaction():
        assert revoke_account(revoking, shop) == 0
        waiting = Background(retrying, lambda: account_session(creating, shop))
        await_lock(admin, creating)

    assert verify(admin, waiting.result().client_secret).valid


def test_sessions_of_one_account_are_created_at_once(connect, shop):
    with connect() as first, first.transaction():
        account_session(first, shop)
        account_session(connect(), shop)
