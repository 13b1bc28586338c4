"""Revocations that race whatever makes sessions or keeps them going."""

import threading
import time

import pytest
from psycopg import errors
from support.levels import LEVELS
from support.service import (
    PATIENCE,
    READ_COMMITTED,
    REPEATABLE_READ,
    Background,
    Shop,
    await_lock,
    call,
    refresh,
    retrying,
    revoke_active_key,
    together,
    until,
    value,
    verify,
    waits,
)
from test_waiting import definition_delete, env_delete


class Ledger:
    """Every token that was handed out, and when its client had it."""

    def __init__(self):
        self.entries = []
        self._changed = threading.Condition()

    def note(self, answer):
        with self._changed:
            self.entries.append((time.monotonic(), answer))
            self._changed.notify_all()

    def before(self, moment):
        with self._changed:
            return [answer for at, answer in self.entries if at < moment]

    def await_size(self, size):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.entries) >= size, PATIENCE)


def assert_dead(admin, answers):
    for answer in answers:
        assert (verify(admin, answer.token).valid, refresh(admin, answer.refresh_token).ok) == (
            False,
            False,
        )


def revoke_by_identifier(shop, connection, user):
    return call(connection, "session_revoke", **shop.place, identifier=user)


def revoke_all(shop, connection, user):
    return shop.revoke_all(connection, user)


def creator(shop, ledger, user, count):
    def work(connection):
        for _ in range(count):
            ledger.note(retrying(lambda: shop.create(connection, user)))

    return work


def refresher(session, ledger, count):
    def work(connection):
        token = session.refresh_token
        for _ in range(count):
            answer = retrying(lambda: refresh(connection, token))
            if not answer.ok:
                assert answer.reason == "revoked"
                return
            ledger.note(answer)
            token = answer.refresh_token

    return work


def revoker(revoke, shop, ledger, user, after, moments):
    """Revokes once `after` tokens are out, and notes the moment just before its commit."""

    def work(connection):
        ledger.await_size(after)

        def attempt():
            with connection.transaction():
                revoke(shop, connection, user)
                moments.append(time.monotonic())

        retrying(attempt)

    return work


@LEVELS
@pytest.mark.parametrize("revoke", [revoke_by_identifier, revoke_all])
def test_what_was_handed_out_before_a_users_revocation_commits_is_dead(
    admin, shop, isolation, revoke
):
    for round_number in range(3):
        # Given a user with sessions, more of which are being made while the old ones are refreshed
        user = f"user_{round_number}"
        sessions = [shop.create(admin, user) for _ in range(3)]
        ledger, moments = Ledger(), []
        works = [creator(shop, ledger, user, 8) for _ in range(3)]
        works += [refresher(session, ledger, 12) for session in sessions]

        # When the user is revoked in the middle of it (a deadlock would end the test)
        together([*works, revoker(revoke, shop, ledger, user, 6, moments)], isolation)

        # Then all that was out by then is dead, and what was made later dies of the next one
        early = ledger.before(moments[-1])
        assert len(early) >= 6
        assert_dead(admin, [*sessions, *early])
        revoke(shop, admin, user)
        assert shop.living(admin, user) == set()
        assert_dead(admin, [answer for _, answer in ledger.entries])


@LEVELS
def test_revoking_one_session_races_its_own_refreshes(admin, shop, isolation):
    for _ in range(4):
        session = shop.create(admin)
        ledger = Ledger()

        def revoke(connection):
            ledger.await_size(2)
            assert retrying(lambda: shop.revoke(connection, session.session_id)) == 1

        together([refresher(session, ledger, 50), revoke], isolation)

        assert_dead(admin, [session, *(answer for _, answer in ledger.entries)])


@LEVELS
@pytest.mark.parametrize("revoke", [revoke_by_identifier, revoke_all])
def test_a_revocation_finds_a_session_whose_refresh_outlasts_its_expiry(
    admin, connect, isolation, revoke
):
    # Given a session that was refreshed just in time, by a transaction that is still open
    shop = Shop.make(admin, expiry=1, period="second", refresh_expiry=1, refresh_period="second")
    session = shop.create(admin)
    longer = '{"expiry": 1, "period": "hour", "refresh_expiry": 1, "refresh_period": "hour"}'
    call(admin, "definition_update", product=shop.product, tag=shop.tag, changes=longer)
    refreshing, revoking = connect(), connect(isolation=isolation)
    with refreshing.transaction():
        answer = refresh(refreshing, session.refresh_token)
        assert answer.ok
        expired = (
            "SELECT expires_at < clock_timestamp() FROM dialstack.sessions WHERE session_id = %s"
        )
        until(lambda: value(admin, expired, session.session_id), "the session to expire")
        # When the user is revoked now that it would have expired
        waiting = Background(retrying, lambda: revoke(shop, revoking, "user_456"))
        until(lambda: waiting.done() or waits(admin, revoking), "the revocation to end or wait")

    # Then it does not live on
    waiting.result()
    assert_dead(admin, [answer])
    assert shop.living(admin) == set()


@pytest.mark.parametrize("function", ["session_refresh", "session_extend"])
def test_a_session_that_a_revocation_found_over_does_not_live_on(admin, connect, function):
    # Given a call that came in time to give a session more of it, and is held up
    shop = Shop.make(admin, expiry=2, period="seconds", refresh_expiry=2, refresh_period="seconds")
    session = shop.create(admin)
    longer = '{"expiry": 1, "period": "hour", "refresh_expiry": 1, "refresh_period": "hour"}'
    call(admin, "definition_update", product=shop.product, tag=shop.tag, changes=longer)
    arguments = {
        "session_refresh": {"refresh_token": session.refresh_token},
        "session_extend": {"session_id": session.session_id, "by": "1 hour"},
    }
    holder, late = connect(), connect()
    with holder.transaction():
        holder.execute("LOCK TABLE dialstack.sessions IN SHARE ROW EXCLUSIVE MODE")
        waiting = Background(lambda: call(late, function, **arguments[function]))
        await_lock(admin, late)
        # When the user's sessions are revoked after that one's end
        expired = "SELECT expires_at < clock_timestamp() FROM dialstack.sessions WHERE session_id = %s"
        until(lambda: value(admin, expired, session.session_id), "the session to expire")
        assert shop.revoke_all(holder) == 0

    # Then it is over for good
    with pytest.raises((errors.SerializationFailure, errors.NoDataFound)):
        waiting.result()
    assert shop.living(admin) == set()
    assert refresh(admin, session.refresh_token).reason == "expired"


@pytest.mark.parametrize("on_limit", ["evict_oldest", "deny"])
@pytest.mark.parametrize("isolation, callers", [(READ_COMMITTED, 50), (REPEATABLE_READ, 10)], ids=["50_rc", "10_rr"])
def test_parallel_creates_leave_exactly_the_cap(admin, isolation, callers, on_limit):
    shop = Shop.make(admin, max_sessions=3, on_limit=on_limit)

    def create(connection):
        try:
            return retrying(lambda: shop.create(connection))
        except errors.ConfigurationLimitExceeded as denied:
            assert denied.diag.message_primary.startswith("SESSION_LIMIT_REACHED")
            return None

    made = [session for session in together([create] * callers, isolation) if session]

    assert len(made) == (3 if on_limit == "deny" else callers)
    living = {session.session_id for session in made if verify(admin, session.token).valid}
    assert len(living) == 3
    assert shop.living(admin) == living


DELETIONS = pytest.mark.parametrize("delete", [env_delete, definition_delete])


def unrevoked(admin, answers):
    query = (
        "SELECT count(*) FROM dialstack.sessions WHERE session_id = ANY(%s) AND revoked_at IS NULL"
    )
    return value(admin, query, [answer.session_id for answer in answers])


@LEVELS
@DELETIONS
def test_a_deletion_that_races_creates_and_refreshes_leaves_nothing_living(
    admin, shop, isolation, delete
):
    ledger = Ledger()
    sessions = [shop.create(admin, f"user_{n}") for n in range(3)]

    def create(connection):
        for number in range(40):
            try:
                ledger.note(retrying(lambda: shop.create(connection, f"user_{number % 5}")))
            except errors.UndefinedObject:
                return

    def remove(connection):
        ledger.await_size(15)
        retrying(lambda: delete(connection, shop))

    works = [create] * 3 + [refresher(session, ledger, 60) for session in sessions]
    together([*works, remove], isolation)

    everything = [*sessions, *(answer for _, answer in ledger.entries)]
    assert_dead(admin, everything)
    assert unrevoked(admin, everything) == 0


def test_a_definition_that_replaced_another_while_its_deletion_waited_takes_its_sessions_along(
    admin, behind, shop
):
    def replace(connection):
        definition_delete(connection, shop)
        shop.define(connection)
        return shop.create(connection)

    session, waiting = behind(replace, lambda connection: definition_delete(connection, shop))
    waiting.result()

    assert_dead(admin, [session])
    assert unrevoked(admin, [session]) == 0


def test_a_create_that_waits_for_a_reset_hands_out_a_token_that_is_good(admin, behind, shop):
    reset = lambda connection: call(connection, "instance_reset")
    _, waiting = behind(reset, lambda connection: retrying(lambda: shop.create(connection)))

    assert verify(admin, waiting.result().token).valid


def test_a_create_that_waits_hands_out_a_token_that_is_good(admin, connect, shop):
    # Given a create that waits for another session of the same user
    first, second = connect(), connect()
    with first.transaction():
        shop.create(first)
        waiting = Background(retrying, lambda: shop.create(second))
        await_lock(admin, second)
        # When the key that signed until now is revoked
        revoke_active_key(admin, "jwt")

    assert verify(admin, waiting.result().token).valid


@DELETIONS
def test_two_deletions_of_the_same_thing_do_not_block_each_other_for_good(admin, shop, delete):
    shop.create(admin)

    def remove(connection):
        try:
            delete(connection, shop)
            return "deleted"
        except errors.UndefinedObject:
            return "not found"

    outcomes = together([remove] * 2)

    assert "deleted" in outcomes
