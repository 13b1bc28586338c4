"""However many callers come with one user_identifier_key at once, there is one living session."""

from uuid import UUID

import pytest
from psycopg import errors
from support.service import (
    READ_COMMITTED,
    REPEATABLE_READ,
    SERIALIZABLE,
    Background,
    await_lock,
    call,
    retrying,
    together,
    value,
    verify,
)

LEVELS = pytest.mark.parametrize(
    "isolation",
    [READ_COMMITTED, REPEATABLE_READ, SERIALIZABLE],
    ids=["read_committed", "repeatable_read", "serializable"],
)
CALLERS = 100


@pytest.fixture
def place(shop):
    return {"product": shop.product, "env": shop.env}


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
    def get_or_create(connection):
        return retrying(
            lambda: call(
                connection, "client_session_get_or_create", user_identifier_key="u", **place
            )
        )

    rows = together([get_or_create] * CALLERS, isolation)

    assert len({row.client_session_id for row in rows}) == 1
    assert len({row.token for row in rows}) == 1
    assert verify(admin, rows[0].token).valid
    assert living(admin, place) == 1


def test_a_hundred_parallel_publishable_keys_make_one_session(admin, place):
    key = call(admin, "api_key_create", kind="publishable", **place).api_key

    def get_or_create(connection):
        connection.execute("SELECT set_config('dialstack_sessions.api_key', %s, false)", [key])
        return call(connection, "client_session_get_or_create", user_identifier_key="u")

    rows = together([get_or_create] * CALLERS)

    assert len({row.token for row in rows}) == 1
    assert living(admin, place) == 1


def test_create_and_get_or_create_of_one_key_make_one_session(place, admin):
    def with_function(name):
        return lambda connection: call(connection, name, user_identifier_key="u", **place)

    works = ["client_session_create", "client_session_get_or_create"] * 20
    rows = together(map(with_function, works))

    assert len({row.client_session_id for row in rows}) == 1
    assert living(admin, place) == 1


def test_callers_who_find_an_expired_session_make_one_new_one(admin, place):
    old = call(admin, "client_session_create", user_identifier_key="u", **place)
    admin.execute(
        "UPDATE dialstack.client_sessions SET expires_at = now() - interval '1 minute' "
        "WHERE session_id = %s",
        [old.client_session_id],
    )

    rows = together(
        [lambda c: call(c, "client_session_get_or_create", user_identifier_key="u", **place)] * 40
    )

    assert {row.client_session_id for row in rows} != {old.client_session_id}
    assert len({row.client_session_id for row in rows}) == 1
    assert living(admin, place) == 1
    assert verify(admin, old.token).reason == "expired"


def test_keys_of_two_environments_do_not_wait_for_each_other(admin, connect, place):
    call(admin, "env_create", product=place["product"], env="staging")
    other = {**place, "env": "staging"}
    first, second = connect(), connect()
    with first.transaction():
        call(first, "client_session_create", user_identifier_key="u", **place)
        second.execute("SET lock_timeout = '1s'")
        assert call(second, "client_session_create", user_identifier_key="u", **other)


def test_who_waits_for_a_creation_that_is_undone_creates(admin, connect, place):
    first, second = connect(), connect()
    with first.transaction(force_rollback=True):
        undone = call(first, "client_session_create", user_identifier_key="u", **place)
        waiting = Background(
            lambda: call(second, "client_session_create", user_identifier_key="u", **place)
        )
        await_lock(admin, second)

    made = waiting.result()
    assert made.client_session_id != undone.client_session_id
    assert living(admin, place) == 1


def test_who_waits_for_a_creation_gets_what_it_made(admin, connect, place):
    first, second = connect(), connect()
    with first.transaction():
        made = call(first, "client_session_create", user_identifier_key="u", **place)
        waiting = Background(
            lambda: call(second, "client_session_get_or_create", user_identifier_key="u", **place)
        )
        await_lock(admin, second)

    assert waiting.result().token == made.token


@pytest.mark.parametrize("ended", ["client_session_revoke", "client_session_delete"])
def test_who_waits_for_the_end_of_a_session_makes_a_new_one(admin, connect, place, ended):
    old = call(admin, "client_session_create", user_identifier_key="u", **place)
    first, second = connect(), connect()
    with first.transaction():
        call(first, ended, client_session_id=old.client_session_id, **place)
        waiting = Background(
            lambda: call(second, "client_session_get_or_create", user_identifier_key="u", **place)
        )
        await_lock(admin, second)

    made = waiting.result()
    assert made.client_session_id != old.client_session_id
    assert verify(admin, made.token).valid
    assert not verify(admin, old.token).valid
    assert living(admin, place) == 1


@LEVELS
def test_parallel_grants_lose_nothing(admin, place, isolation):
    call(admin, "client_session_create", user_identifier_key="u", **place)

    def granting(number):
        def grant(connection):
            return retrying(
                lambda: call(
                    connection,
                    "client_session_grant_access",
                    user_identifier_key="u",
                    connected_account_ids=ids([number, 999]),
                    connect_webview_ids=ids([number]),
                    user_identity_ids=ids([number % 5]),
                    **place,
                )
            )

        return grant

    together(map(granting, range(1, 41)), isolation)

    row = call(admin, "client_session_get", user_identifier_key="u", **place)
    assert sorted(row.connected_account_ids) == ids([*range(1, 41), 999])
    assert sorted(row.connect_webview_ids) == ids(range(1, 41))
    assert sorted(row.user_identity_ids) == ids(range(5))


def test_parallel_grants_keep_the_limit(admin, place):
    call(
        admin,
        "client_session_create",
        user_identifier_key="u",
        connected_account_ids=ids(range(1, 996)),
        **place,
    )

    def granting(number):
        def grant(connection):
            try:
                call(
                    connection,
                    "client_session_grant_access",
                    user_identifier_key="u",
                    connected_account_ids=ids([2000 + number]),
                    **place,
                )
                return True
            except errors.InvalidParameterValue:
                return False

        return grant

    granted = together(map(granting, range(20)))

    assert granted.count(True) == 5
    row = call(admin, "client_session_get", user_identifier_key="u", **place)
    assert len(row.connected_account_ids) == 1000


def test_a_publishable_key_does_not_get_what_was_granted_while_it_waited(admin, connect, place):
    key = call(admin, "api_key_create", kind="publishable", **place).api_key
    browser, backend = connect(), connect()
    browser.execute("SELECT set_config('dialstack_sessions.api_key', %s, false)", [key])
    call(browser, "client_session_create", user_identifier_key="u")
    with backend.transaction():
        call(
            backend,
            "client_session_grant_access",
            user_identifier_key="u",
            connected_account_ids=ids([1]),
            **place,
        )
        waiting = Background(
            lambda: call(browser, "client_session_get_or_create", user_identifier_key="u")
        )
        await_lock(admin, browser)

    with pytest.raises(errors.InsufficientPrivilege, match="^PERMISSION_DENIED"):
        waiting.result()


def test_grants_creations_and_ends_at_once_leave_one_living_session_at_most(admin, place):
    def get_or_create(connection):
        row = call(connection, "client_session_get_or_create", user_identifier_key="u", **place)
        return row.client_session_id

    def grant(connection):
        return call(
            connection,
            "client_session_grant_access",
            user_identifier_key="u",
            connected_account_ids=ids([1]),
            **place,
        ).client_session_id

    def ending(function):
        def end(connection):
            row = call(connection, "client_session_get", user_identifier_key="u", **place)
            call(connection, function, client_session_id=row.client_session_id, **place)

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

    works = [get_or_create, grant, ending("client_session_revoke"), ending("client_session_delete")]
    together([repeatedly(work) for work in works * 5])

    assert living(admin, place) <= 1
    last = call(admin, "client_session_get_or_create", user_identifier_key="u", **place)
    assert verify(admin, last.token).valid
    assert living(admin, place) == 1


def test_many_revocations_of_one_session_are_one(admin, place):
    row = call(admin, "client_session_create", user_identifier_key="u", **place)

    together(
        [lambda c: call(c, "client_session_revoke", client_session_id=row.client_session_id, **place)]
        * 20
    )

    assert verify(admin, row.token).reason == "revoked"
    revocations = value(
        admin,
        "SELECT count(*) FROM dialstack.activity WHERE session_id = %s AND operation = 'revoke'",
        row.client_session_id,
    )
    assert revocations == 1


def test_a_scope_that_is_deleted_while_a_session_is_created_is_gone_from_it(admin, connect, place):
    fax = {"product": place["product"], "scope": "fax"}
    call(admin, "scope_create", **fax, description="")
    components = '{"fax": {"enabled": true}}'
    creator, deleter = connect(), connect()
    deleter.execute("SET lock_timeout = '300ms'")
    with creator.transaction():
        session = call(
            creator, "account_session_create", account="a", components=components, **place
        )
        # It may know of the creation or wait for it, but not miss it.
        try:
            call(deleter, "scope_delete", **fax)
            deleted = True
        except errors.LockNotAvailable:
            deleted = False
    if not deleted:
        call(deleter, "scope_delete", **fax)

    assert verify(admin, session.client_secret, scope="fax").reason == "scope_disabled"
