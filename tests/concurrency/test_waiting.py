"""What ends sessions and what creates one wait for each other: whichever commits first, neither misses the other."""

import pytest
from psycopg import errors
from support.levels import LEVELS
from support.service import call, retrying, value, verify


def user_session(connection, shop):
    return shop.create(connection).token


def account_session(connection, shop):
    of = {"account": "acct_1", "identifier": "user_456"}
    return call(connection, "account_session_create", **of, **shop.home).client_secret


def client_session(connection, shop):
    return call(connection, "client_session_create", user_identifier_key="key", **shop.home).token


def revoke_all(connection, shop):
    return shop.revoke_all(connection)


def revoke_account(connection, shop):
    return call(connection, "account_session_revoke", account="acct_1", **shop.home)[0]


def erase(connection, shop):
    return call(connection, "user_erase", product=shop.product, identifier="user_456")[0]["sessions"]


def env_delete(connection, shop):
    call(connection, "env_delete", **shop.home)


def definition_delete(connection, shop):
    call(connection, "definition_delete", product=shop.product, tag=shop.tag)


REVOCATIONS = [(revoke_all, user_session), (revoke_account, account_session)]
ERASURES = [(erase, user_session), (erase, account_session)]
DELETIONS = [(env_delete, create) for create in (user_session, account_session, client_session)]
DELETIONS.append((definition_delete, user_session))


def each(pairs):
    ids = [f"{end.__name__}-{create.__name__}" for end, create in pairs]
    return pytest.mark.parametrize("end, create", pairs, ids=ids)


@LEVELS
@each(REVOCATIONS + ERASURES + DELETIONS)
def test_a_session_that_is_being_created_is_waited_for_and_ends(admin, behind, shop, isolation, end, create):
    """The very first of its user, account or key: nothing but its own transaction knows of it."""

    def make(connection):
        token = create(connection, shop)
        return token, verify(connection, token).session_id

    ending = lambda connection: retrying(lambda: end(connection, shop))
    (token, session_id), waiting = behind(make, ending, isolation)

    assert waiting.result() in (1, None)
    assert verify(admin, token).reason == ("invalid" if end is erase else "revoked")
    # Also in its row: where its environment or definition is gone, the verdict alone would not show it.
    living = (
        "SELECT count(*) FROM (SELECT session_id, revoked_at FROM dialstack.sessions UNION ALL "
        "SELECT session_id, revoked_at FROM dialstack.client_sessions) s WHERE session_id = %s AND revoked_at IS NULL"
    )
    assert value(admin, living, session_id) == 0


@pytest.fixture
def waiting(behind, shop, isolation, end, create):
    """The creation of a session, while an end of it is not committed yet."""
    creating = lambda connection: retrying(lambda: create(connection, shop))
    return lambda: behind(lambda connection: end(connection, shop), creating, isolation)[1]


@LEVELS
@each(REVOCATIONS + ERASURES[:1])
def test_a_session_whose_creation_waits_comes_after_the_end(admin, shop, waiting, end, create):
    if end is erase:
        create(admin, shop)
    assert verify(admin, waiting().result()).valid


@LEVELS
@each(DELETIONS)
def test_a_creation_that_waits_for_a_deletion_fails(waiting):
    with pytest.raises(errors.UndefinedObject, match="_NOT_FOUND"):
        waiting().result()


def test_sessions_of_one_account_are_created_at_once(connect, shop):
    with connect() as first, first.transaction():
        account_session(first, shop)
        account_session(connect(), shop)


def test_who_ends_no_client_session_does_not_wait_for_their_table(admin, connect, shop):
    """That of an account must not be held up by a REINDEX of client sessions."""
    token = account_session(admin, shop)
    with connect() as holder, holder.transaction():
        holder.execute("LOCK TABLE dialstack.client_sessions IN SHARE MODE")
        other = connect()
        other.execute("SET lock_timeout = '1s'")
        assert revoke_account(other, shop) == 1
    assert verify(admin, token).reason == "revoked"
