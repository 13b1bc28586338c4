"""With dialstack_sessions.notify_revocations, who listens is told each revoked session."""

from uuid import UUID

import pytest
from support.service import call, refresh, revoke_active_key


@pytest.fixture
def teller(connect):
    """A connection whose revocations are told."""
    teller = connect()
    teller.execute("LOAD 'dialstack_sessions'; SET dialstack_sessions.notify_revocations = on")
    return teller


@pytest.fixture
def heard(connect):
    """What a listening connection has heard since it was asked last, in order."""
    listener = connect()
    listener.execute("LISTEN dialstack_sessions")

    def heard():
        # A round trip brings what was sent before it.
        listener.execute("SELECT 1")
        return [n.payload for n in listener.notifies(timeout=0)]

    return heard


def ids(*sessions):
    return sorted(str(session.session_id) for session in sessions)


def test_nobody_is_told_twice(teller, heard, shop):
    session = shop.create(teller)
    assert heard() == []
    shop.revoke(teller, session.session_id)
    shop.revoke(teller, session.session_id)
    shop.revoke_all(teller)

    assert heard() == ids(session)


def test_all_of_a_user(teller, heard, shop):
    sessions = [shop.create(teller) for _ in range(3)]
    other = shop.create(teller, user="other")

    shop.revoke_all(teller)

    assert sorted(heard()) == ids(*sessions)
    assert str(other.session_id) not in heard()


def test_a_stolen_refresh_token(teller, heard, shop):
    session = shop.create(teller)
    second = refresh(teller, session.refresh_token)
    refresh(teller, second.refresh_token)
    assert heard() == []

    assert refresh(teller, session.refresh_token).reason == "reused"

    assert heard() == ids(session)


def test_an_eviction(teller, heard, shop):
    shop.define(teller, max_sessions=1)
    first = shop.create(teller)

    shop.create(teller)

    assert heard() == ids(first)


def test_client_and_account_sessions(teller, heard, shop):
    revoked, deleted, dead = (
        call(teller, "client_session_create", **shop.home).client_session_id for _ in range(3)
    )
    call(teller, "client_session_revoke", client_session_id=dead, **shop.home)
    assert heard() == [str(dead)]

    call(teller, "client_session_revoke", client_session_id=revoked, **shop.home)
    call(teller, "client_session_delete", client_session_id=deleted, **shop.home)
    # Its token was dead already.
    call(teller, "client_session_delete", client_session_id=dead, **shop.home)

    assert heard() == [str(revoked), str(deleted)]


@pytest.mark.parametrize("what", ["environment", "definition", "key", "instance"])
def test_whatever_else_revokes(teller, heard, shop, what):
    session = shop.create(teller)
    client = call(teller, "client_session_create", **shop.home).client_session_id
    told = {str(session.session_id), str(client)}
    if what == "environment":
        call(teller, "env_delete", **shop.home)
    elif what == "definition":
        call(teller, "definition_delete", product=shop.product, tag=shop.tag)
        told = {str(session.session_id)}
    elif what == "key":
        revoke_active_key(teller, "token")
        told = {str(client)}
    else:
        call(teller, "instance_reset")

    # Beside those there may be sessions of other tests.
    payloads = heard()
    assert told <= set(payloads)
    assert len(payloads) == len(set(payloads))
    for payload in payloads:
        assert str(UUID(payload)) == payload


def test_it_is_sent_when_the_transaction_commits_and_not_when_it_is_undone(teller, heard, shop):
    kept, undone, back = (shop.create(teller, user=f"user-{n}") for n in range(3))
    with teller.transaction():
        shop.revoke(teller, kept.session_id)
        with teller.transaction(force_rollback=True):
            shop.revoke(teller, back.session_id)
        assert heard() == []
    assert heard() == ids(kept)

    with teller.transaction(force_rollback=True):
        shop.revoke(teller, undone.session_id)
    assert heard() == []


@pytest.mark.parametrize("count, told", [(1000, 1000), (1001, 1)])
def test_more_than_a_thousand_at_once_are_told_by_one_empty_notification(
    teller, heard, shop, past, count, told
):
    ids = past.dead(count, days=1)
    teller.execute(
        "UPDATE dialstack.sessions SET expires_at = now() + interval '1 day', subject = 'user_456'"
        " WHERE session_id = ANY (%s)",
        [list(ids)],
    )

    assert shop.revoke_all(teller) == count

    payloads = heard()
    assert len(payloads) == told
    assert set(payloads) == ({str(id) for id in ids} if told > 1 else {""})


def test_what_is_purged_is_told_to_nobody(teller, heard, past):
    past.dead(5)
    assert call(teller, "maintain")[0]["sessions_purged"] >= 5
    assert heard() == []


def test_nobody_is_told_unless_an_administrator_wants_it(admin, heard, shop):
    shop.revoke(admin, shop.create(admin).session_id)
    assert heard() == []
