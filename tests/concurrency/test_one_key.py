"""However many callers come with one user_identifier_key at once, there is one living session."""

from uuid import UUID

import pytest
from psycopg import errors
from support.levels import LEVELS
from support.service import Background, await_lock, call, retrying, together, use_key, value, verify

CALLERS = 100


def _by_key(function):
    return lambda connection, **more: call(
        connection, function, **{"user_identifier_key": "u", **more}
    )


create = _by_key("client_session_create")
get_or_create = _by_key("client_session_get_or_create")
get = _by_key("client_session_get")
grant = _by_key("client_session_grant_access")


def living(admin, place):
    return value(
        admin,
        "SELECT count(*) FROM dialstack.client_sessions s JOIN dialstack.environments e USING (env_id) "
        "JOIN dialstack.products p USING (product_id) WHERE p.product = %s AND e.env = %s "
        "AND revoked_at IS NULL AND expires_at > now()",
        place["product"],
        place["env"],
    )


def ids(numbers):
    return [UUID(int=number) for number in numbers]


@LEVELS
def test_a_hundred_parallel_get_or_create_make_one_session(admin, place, isolation):
    rows = together([lambda c: retrying(lambda: get_or_create(c, **place))] * CALLERS, isolation)

    assert len({row.client_session_id for row in rows}) == 1
    assert len({row.token for row in rows}) == 1
    assert verify(admin, rows[0].token).valid
    assert living(admin, place) == 1


def test_create_and_get_or_create_of_one_key_make_one_session(place, admin):
    works = [lambda c: create(c, **place), lambda c: get_or_create(c, **place)]
    rows = together(works * 20)

    assert len({row.client_session_id for row in rows}) == 1
    assert living(admin, place) == 1


def test_callers_who_find_an_expired_session_make_one_new_one(admin, place):
    old = create(admin, **place)
    admin.execute(
        "UPDATE dialstack.client_sessions SET expires_at = now() - interval '1 minute' "
        "WHERE session_id = %s",
        [old.client_session_id],
    )

    rows = together([lambda c: get_or_create(c, **place)] * 40)

    assert {row.client_session_id for row in rows} != {old.client_session_id}
    assert len({row.client_session_id for row in rows}) == 1
    assert living(admin, place) == 1
    assert verify(admin, old.token).reason == "expired"


def test_keys_of_two_environments_do_not_wait_for_each_other(admin, connect, place):
    call(admin, "env_create", product=place["product"], env="staging")
    first, second = connect(), connect()
    with first.transaction():
        create(first, **place)
        second.execute("SET lock_timeout = '1s'")
        assert create(second, **{**place, "env": "staging"})


def test_a_caller_that_waits_for_a_creation_that_is_undone_creates(admin, behind, place):
    creating = lambda connection: create(connection, **place)
    undone, waiting = behind(creating, creating, undone=True)

    assert waiting.result().client_session_id != undone.client_session_id
    assert living(admin, place) == 1


def test_a_caller_that_waits_for_a_creation_gets_what_it_made(behind, place):
    made, waiting = behind(lambda c: create(c, **place), lambda c: get_or_create(c, **place))

    assert waiting.result().token == made.token


@pytest.mark.parametrize("ended", ["client_session_revoke", "client_session_delete"])
def test_a_caller_that_waits_for_the_end_of_a_session_makes_a_new_one(admin, behind, place, ended):
    old = create(admin, **place)
    end = lambda connection: call(connection, ended, client_session_id=old.client_session_id, **place)
    _, waiting = behind(end, lambda connection: get_or_create(connection, **place))

    made = waiting.result()
    assert made.client_session_id != old.client_session_id
    assert verify(admin, made.token).valid
    assert not verify(admin, old.token).valid
    assert living(admin, place) == 1


@LEVELS
def test_parallel_grants_lose_nothing(admin, place, isolation):
    create(admin, **place)

    def granting(number):
        more = {
            "connected_account_ids": ids([number, 999]),
            "connect_webview_ids": ids([number]),
            "user_identity_ids": ids([number % 5]),
        }
        return lambda connection: retrying(lambda: grant(connection, **more, **place))

    together(map(granting, range(1, 41)), isolation)

    row = get(admin, **place)
    assert sorted(row.connected_account_ids) == ids([*range(1, 41), 999])
    assert sorted(row.connect_webview_ids) == ids(range(1, 41))
    assert sorted(row.user_identity_ids) == ids(range(5))


def test_parallel_grants_keep_the_limit(admin, place):
    create(admin, connected_account_ids=ids(range(1, 996)), **place)

    def granting(number):
        def attempt(connection):
            try:
                grant(connection, connected_account_ids=ids([2000 + number]), **place)
                return True
            except errors.InvalidParameterValue:
                return False

        return attempt

    granted = together(map(granting, range(20)))

    assert granted.count(True) == 5
    assert len(get(admin, **place).connected_account_ids) == 1000


def test_a_publishable_key_does_not_get_what_was_granted_while_it_waited(admin, connect, place):
    key = call(admin, "api_key_create", kind="publishable", **place).api_key
    browser, backend = connect(), connect()
    use_key(browser, key)
    create(browser)
    with backend.transaction():
        grant(backend, connected_account_ids=ids([1]), **place)
        waiting = Background(get_or_create, browser)
        await_lock(admin, browser)

    with pytest.raises(errors.InsufficientPrivilege, match="^PERMISSION_DENIED"):
        waiting.result()


def test_grants_creations_and_ends_at_once_leave_one_living_session_at_most(admin, place):
    def ending(function):
        def end(connection):
            session_id = get(connection, **place).client_session_id
            call(connection, function, client_session_id=session_id, **place)

        return end

    # The session of the key may just be gone: nothing else may go wrong, and no deadlock least.
    def repeatedly(work):
        def run(connection):
            for _ in range(10):
                try:
                    work(connection)
                except errors.NoDataFound:
                    pass

        return run

    works = [
        lambda c: get_or_create(c, **place),
        lambda c: grant(c, connected_account_ids=ids([1]), **place),
        ending("client_session_revoke"),
        ending("client_session_delete"),
    ]
    together([repeatedly(work) for work in works * 5])

    assert living(admin, place) <= 1
    assert verify(admin, get_or_create(admin, **place).token).valid
    assert living(admin, place) == 1


def test_many_revocations_of_one_session_are_one(admin, place):
    row = create(admin, **place)
    session_id = row.client_session_id

    together([lambda c: call(c, "client_session_revoke", client_session_id=session_id, **place)] * 20)

    assert verify(admin, row.token).reason == "revoked"
    revocations = "SELECT count(*) FROM dialstack.activity WHERE session_id = %s AND operation = 'revoke'"
    assert value(admin, revocations, session_id) == 1
