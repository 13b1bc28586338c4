"""Refreshing one session from many places at once."""

from support.cluster import Cluster
from support.levels import OLD_SNAPSHOTS
from support.service import (
    Background,
    Shop,
    await_lock,
    call,
    info,
    refresh,
    retrying,
    revoke_active_key,
    together,
    until,
    value,
    verify,
)

TABS = 100


def assert_one_step(admin, session, answers):
    """Exactly one rotation happened, and everybody has what it led to."""
    assert {(answer.ok, answer.reason) for answer in answers} == {(True, None)}
    assert {answer.session_id for answer in answers} == {session.session_id}
    assert info(admin, session.session_id).generation == 1
    current = {answer.refresh_token for answer in answers}
    assert len(current) == 1
    assert all(verify(admin, answer.token).valid for answer in answers)
    # It is the current one: the next step follows from it.
    assert refresh(admin, current.pop()).ok
    assert info(admin, session.session_id).generation == 2


def until_the_interval_has_passed(admin, waiting):
    """Returns when the connection has waited longer than a reuse interval of a second."""
    until(
        lambda: value(
            admin,
            "SELECT clock_timestamp() - query_start > '1.1 seconds' FROM pg_stat_activity "
            "WHERE pid = %s",
            waiting.info.backend_pid,
        ),
        "the reuse interval to pass",
    )


def test_a_hundred_connections_that_refresh_one_token_all_get_the_same_next_one(admin, shop):
    session = shop.create(admin)

    answers = together([lambda tab: refresh(tab, session.refresh_token)] * TABS)

    assert_one_step(admin, session, answers)


@OLD_SNAPSHOTS
def test_callers_at_stricter_levels_who_retry_all_get_the_same_next_one(admin, shop, isolation):
    session = shop.create(admin)

    answers = together(
        [lambda tab: retrying(lambda: refresh(tab, session.refresh_token))] * 20, isolation
    )

    assert_one_step(admin, session, answers)


def test_without_a_reuse_interval_the_second_of_two_callers_ends_the_session(admin):
    shop = Shop.make(admin, reuse_interval="0 seconds")
    session = shop.create(admin)

    answers = together([lambda tab: refresh(tab, session.refresh_token)] * 2)

    assert sorted((answer.ok, answer.reason) for answer in answers) == [
        (False, "reused"),
        (True, None),
    ]
    assert verify(admin, session.token).reason == "reused"


def test_callers_are_judged_by_when_they_came_and_not_by_how_long_they_waited(admin, connect):
    # Given a reuse interval that passes while the second caller waits for the first one's commit
    shop = Shop.make(admin, reuse_interval="1 second")
    session = shop.create(admin)
    first, second = connect(), connect()

    with first.transaction():
        one = refresh(first, session.refresh_token)
        waiting = Background(refresh, second, session.refresh_token)
        await_lock(admin, second)
        until_the_interval_has_passed(admin, second)

    two = waiting.result()
    assert (two.ok, two.refresh_token) == (True, one.refresh_token)


def stolen(admin, session):
    """Uses the session's first refresh token up: two rotations ago."""
    second = refresh(admin, session.refresh_token)
    return refresh(admin, second.refresh_token)


def test_many_thieves_at_once_raise_one_alarm(admin, shop):
    session = shop.create(admin)
    stolen(admin, session)

    answers = together([lambda thief: refresh(thief, session.refresh_token)] * 20)

    assert {(answer.ok, answer.reason) for answer in answers} == {(False, "reused")}
    alarms = value(
        admin,
        "SELECT count(*) FROM dialstack.activity WHERE session_id = %s AND operation = 'reuse'",
        session.session_id,
    )
    assert alarms == 1


def test_updates_of_data_and_refreshes_lose_nothing_of_each_other(admin, shop):
    session = shop.create(admin, visits=0)
    rounds = 60

    def update(connection):
        for visit in range(1, rounds + 1):
            data = f'{{"userId": "user_456", "visits": {visit}}}'
            call(connection, "session_update_data", session_id=session.session_id, data=data)
            assert verify(connection, session.token).data["visits"] == visit

    def turn(connection):
        token = session.refresh_token
        for _ in range(rounds):
            answer = refresh(connection, token)
            assert answer.ok
            token = answer.refresh_token

    together([update, turn])

    assert info(admin, session.session_id).generation == rounds
    assert verify(admin, session.token).data["visits"] == rounds


def test_a_refresh_that_waits_for_an_extension_keeps_it(admin, behind, shop):
    session = shop.create(admin)

    extend = lambda connection: call(connection, "session_extend", session_id=session.session_id, by="90 days")
    extended, waiting = behind(extend, lambda connection: refresh(connection, session.refresh_token))

    assert waiting.result().ok
    assert info(admin, session.session_id).end_at >= extended.expires_at


def test_a_refresh_that_waits_for_data_sealed_with_a_newer_key_succeeds(admin, connect, shop):
    # Given a refresh that waits behind another one, with the key ring of before in its hands
    session = shop.create(admin)
    first, second = connect(), connect()
    with first.transaction():
        one = refresh(first, session.refresh_token)
        waiting = Background(refresh, second, session.refresh_token)
        await_lock(admin, second)
        # When the data that it will find was sealed with a key it has not heard of
        call(admin, "signing_key_rotate", purpose="seal")
        call(
            first,
            "session_update_data",
            session_id=session.session_id,
            data='{"userId": "user_456", "sealed": "anew"}',
        )

    two = waiting.result()
    assert (two.ok, two.reason, two.refresh_token) == (True, None, one.refresh_token)


def test_a_refresh_that_waits_hands_out_a_token_that_is_good(admin, connect, shop):
    session = shop.create(admin)
    first, second = connect(), connect()
    with first.transaction():
        refresh(first, session.refresh_token)
        waiting = Background(refresh, second, session.refresh_token)
        await_lock(admin, second)
        revoke_active_key(admin, "jwt")

    assert verify(admin, waiting.result().token).valid


def test_two_callers_who_waited_longer_than_the_reuse_interval_are_no_thieves(admin, connect):
    shop = Shop.make(admin, reuse_interval="1 second")
    session = shop.create(admin)
    holder, first, second = connect(), connect(), connect()

    with holder.transaction():
        call(holder, "session_extend", session_id=session.session_id, by="1 day")
        one = Background(refresh, first, session.refresh_token)
        await_lock(admin, first)
        # The second comes later than the first by more than the interval.
        until_the_interval_has_passed(admin, first)
        two = Background(refresh, second, session.refresh_token)
        await_lock(admin, second)

    one, two = one.result(), two.result()
    assert one.ok and two.ok
    assert one.refresh_token == two.refresh_token


def test_the_reuse_interval_begins_when_the_step_is_taken(admin, connect):
    shop = Shop.make(admin, reuse_interval="1 second")
    session = shop.create(admin)
    holder, waiting = connect(), connect()
    with holder.transaction():
        call(holder, "session_extend", session_id=session.session_id, by="1 day")
        step = Background(refresh, waiting, session.refresh_token)
        await_lock(admin, waiting)
        until_the_interval_has_passed(admin, waiting)
    assert step.result().ok

    # Another tab comes just after it.
    assert refresh(admin, session.refresh_token).refresh_token == step.result().refresh_token


def test_who_waits_for_others_leaves_nothing_of_the_statement_in_the_log(admin, shop):
    user = "user_who_is_in_no_log"
    shop.create(admin, user)

    def create(connection):
        for _ in range(40):
            # As text: parameters are in the log only if somebody wants them there.
            connection.execute(
                f"SELECT 1 FROM dialstack.session_create('{shop.product}', '{shop.env}', '{shop.tag}', "
                f"""'{{"userId": "{user}"}}')"""
            )

    together([create] * 6)

    assert user not in Cluster.given().log_text()
