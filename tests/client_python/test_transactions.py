"""Who begins and ends a transaction, what is presented in it, and what is tried again."""

import asyncio
import json
import threading

import psycopg
import pytest
from conftest import CLIENT, SERVER
from dialstack_sessions import AsyncClient, Client, SessionError
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from support.service import Background, call, info, until, value

OWN_NOTES = "SELECT body FROM notes"


@pytest.fixture
def token(admin, shop):
    return shop.create(admin, "user_1").token


@pytest.fixture
def web(make_client, route, shop):
    """A client of level `client`: subject to the policies."""
    return make_client(route, user=CLIENT, **shop.place)


def test_with_token_shows_what_the_user_may_see_and_leaves_nobody_there(web, as_work, token, notes, route):
    assert web.with_token(token, as_work(OWN_NOTES)) == [("of one",)]
    # Behind PgBouncer the next client has the same connections to the server.
    with psycopg.connect(**route, user=CLIENT) as connection:
        for _ in range(4):
            assert connection.execute(OWN_NOTES).fetchall() == []
            connection.commit()
    with pytest.raises(SessionError):
        web.with_token("", as_work(OWN_NOTES))


def test_with_token_commits(web, as_work, token, notes, admin):
    web.with_token(token, as_work("INSERT INTO notes VALUES ('user_1', 'new') RETURNING 1"))
    assert value(admin, "SELECT count(*) FROM notes WHERE body = 'new'") == 1


def test_an_error_of_the_work_comes_out_unchanged_and_rolls_back(web, make_client, as_work, token, notes, admin):
    insert = as_work("INSERT INTO notes VALUES ('user_1', 'new') RETURNING 1")

    def fails(connection):
        insert(connection)
        raise LookupError("mine")

    async def fails_later(connection):
        await insert(connection)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        web.with_token(token, fails if make_client.kind == "sync" else fails_later)
    with pytest.raises(psycopg.errors.DivisionByZero):
        web.with_token(token, as_work("SELECT 1 / 0"))
    assert value(admin, "SELECT count(*) FROM notes WHERE body = 'new'") == 0


def test_with_token_refuses_a_bad_token(web, as_work, token, shop, admin):
    call(admin, "session_end", token=token)
    with pytest.raises(SessionError) as caught:
        web.with_token(token, as_work("SELECT 1"))
    assert caught.value.code == "VERIFY_FAILED" and token not in str(vars(caught.value))


def test_with_token_refuses_a_token_from_elsewhere(web, as_work, token):
    for place in ({"product": "other"}, {"env": "other"}, {"tag": "other"}):
        with pytest.raises(SessionError) as caught:
            web.at(**place).with_token(token, as_work("SELECT 1"))
        assert (caught.value.code, caught.value.detail) == ("VERIFY_FAILED", "reason: mismatch")


def test_without_a_token_nobody_is_there(web, as_work, token, notes):
    assert web.with_token(token, as_work(OWN_NOTES)) == [("of one",)]
    assert web.with_token(None, as_work(OWN_NOTES)) == []
    asked = as_work("SELECT dialstack.current_session_id(), dialstack.current_session_error()")
    assert web.with_token(None, asked) == [(None, None)]


def test_sessions_without_a_tag_can_be_presented(web, as_work, client_secret):
    assert web.with_token(client_secret, as_work("SELECT dialstack.current_account()")) == [("acct_1",)]


@pytest.fixture
def client_secret(admin, shop):
    return call(admin, "account_session_create", account="acct_1", **shop.home).client_secret


def test_presenting_is_a_block(route, roles, shop, token, notes):
    with ConnectionPool(kwargs={**route, "user": CLIENT}, min_size=1, open=True) as pool:
        client = Client(pool, **shop.place)
        with client.presenting(token) as connection:
            assert connection.execute(OWN_NOTES).fetchall() == [("of one",)]
        with pool.connection() as the_same:
            assert the_same is connection and the_same.execute(OWN_NOTES).fetchall() == []
        with pytest.raises(LookupError), client.presenting(token) as connection:
            raise LookupError
        with pytest.raises(SessionError), client.presenting("x"):
            raise AssertionError("is not reached")


def test_presenting_is_an_asynchronous_block(route, roles, wait, shop, token, notes):
    async def main():
        lend = lambda: psycopg.AsyncConnection.connect(**route, user=CLIENT)  # noqa: E731
        client = AsyncClient(lend, **shop.place)
        async with client.presenting(token) as connection:
            rows = await (await connection.execute(OWN_NOTES)).fetchall()
        with pytest.raises(SessionError):
            async with client.presenting("x"):
                raise AssertionError("is not reached")
        return rows

    assert wait(main()) == [("of one",)]


def test_a_call_on_a_connection_is_committed(direct, shop, admin):
    with psycopg.connect(**direct, user=SERVER) as connection:
        created = Client(connection, **shop.place).sessions.start(data={"userId": "user_1"})
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert info(admin, created.session_id).active


def test_a_call_in_an_open_transaction_is_a_part_of_it(direct, shop, admin):
    with psycopg.connect(**direct, user=SERVER) as connection:
        client = Client(connection, **shop.place)
        connection.execute("SELECT 1")
        created = client.sessions.start(data={"userId": "user_1"})
        assert client.sessions.verify(created.token).valid
        with pytest.raises(SessionError) as caught:
            client.with_token(created.token, lambda connection: None)
        assert caught.value.code == "TRANSACTION_OPEN"
        connection.rollback()
        assert client.sessions.verify(created.token).reason == "invalid"


def test_on_a_connection_neither_begins_nor_ends(direct, shop, admin, token, notes):
    with psycopg.connect(**direct, user=CLIENT) as connection:
        client = Client(connection, **shop.place).on(connection)
        assert client.present(token).identifier == "user_1"
        assert connection.execute(OWN_NOTES).fetchall() == [("of one",)]
        assert client.sessions.end(token) == 1
        connection.rollback()
        assert client.sessions.verify(token).valid
        with pytest.raises(SessionError):
            client.at(env="other").present(token)
        connection.rollback()
        with pytest.raises(SessionError) as caught:
            Client(connection).present(token)
        assert caught.value.code == "NO_TRANSACTION"
        connection.autocommit = True
        with pytest.raises(SessionError) as caught:
            client.present(token)
        assert caught.value.code == "NO_TRANSACTION"
        with connection.transaction():
            assert client.present(token).valid


# --- what is tried again


def test_a_conflict_is_tried_again(make_client, direct, shop, admin, connect):
    """Under REPEATABLE READ, a refresh that waited for a change of its session fails with 40001."""
    session = shop.create(admin)
    isolation = {"options": r"-c default_transaction_isolation=repeatable\ read"}
    client = make_client({**direct, **isolation}, **shop.place)
    other = connect()
    with other.transaction():
        call(other, "session_extend", session_id=session.session_id, by="1 hour")
        waiting = Background(client.sessions.refresh, session.refresh_token)
        until(lambda: lock_waiters(admin) == 1, "the refresh to wait")
    assert waiting.result().ok


def lock_waiters(admin):
    return value(admin, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = %s", SERVER)


def conflict(times, kind):
    """Work that meets a conflict so many times, and what it counts."""
    calls = []

    def work(connection):
        calls.append(1)
        if len(calls) <= times:
            raise psycopg.errors.SerializationFailure("another was first")
        return "done"

    async def asynchronous(connection):
        return work(connection)

    return (work if kind == "sync" else asynchronous), calls


def test_with_token_repeats_its_work_a_bounded_number_of_times(web, make_client, token):
    work, calls = conflict(2, make_client.kind)
    assert web.with_token(token, work) == "done" and len(calls) == 3
    work, calls = conflict(100, make_client.kind)
    with pytest.raises(psycopg.errors.SerializationFailure, match="another was first"):
        web.with_token(token, work)
    assert len(calls) == 6


def test_nothing_is_repeated_in_a_transaction_that_the_caller_began(direct, shop, admin, connect):
    session = shop.create(admin)
    with psycopg.connect(**direct, user=SERVER) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT 1 FROM notes")
        call(admin, "session_extend", session_id=session.session_id, by="1 hour")
        with pytest.raises(SessionError) as caught:
            Client(connection, **shop.place).sessions.refresh(session.refresh_token)
        assert (caught.value.code, caught.value.sqlstate) == ("CONFLICT", "40001")


# --- one refresh for a token


def test_threads_that_refresh_one_token_make_one_call(direct, shop, admin, connect):
    session = shop.create(admin)
    with ConnectionPool(kwargs={**direct, "user": SERVER}, min_size=4, max_size=4, open=True) as pool:
        client = Client(pool, **shop.place)
        other, answers = connect(), []
        with other.transaction():
            call(other, "session_extend", session_id=session.session_id, by="1 hour")
            threads = [
                threading.Thread(target=lambda: answers.append(client.sessions.refresh(session.refresh_token)))
                for _ in range(8)
            ]
            for thread in threads:
                thread.start()
            until(lambda: lock_waiters(admin) > 0, "the refresh to wait")
            # Another token is another call, so the pool is not what keeps them apart.
            assert not client.at(env=shop.env).sessions.refresh("rt_live_x").ok
            assert lock_waiters(admin) == 1
        for thread in threads:
            thread.join()
    assert len(answers) == 8 and len(set(map(id, answers))) == 1 and answers[0].ok
    assert info(admin, session.session_id).generation == 1


def test_tasks_that_refresh_one_token_make_one_call(wait, direct, shop, admin, connect):
    session = shop.create(admin)

    async def main():
        pool = AsyncConnectionPool(kwargs={**direct, "user": SERVER}, min_size=4, max_size=4, open=False)
        async with pool:
            client = AsyncClient(pool, **shop.place)
            other = connect()
            with other.transaction():
                call(other, "session_extend", session_id=session.session_id, by="1 hour")
                tasks = [asyncio.create_task(client.sessions.refresh(session.refresh_token)) for _ in range(8)]
                while lock_waiters(admin) == 0:
                    await asyncio.sleep(0.01)
                assert not (await client.sessions.refresh("rt_live_x")).ok
                assert lock_waiters(admin) == 1
                # Who gives up does not take the call with it.
                tasks[0].cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    cancelled, *answers = wait(main())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert len(set(map(id, answers))) == 1 and answers[0].ok
    assert info(admin, session.session_id).generation == 1


def test_the_error_of_a_shared_call_reaches_everyone(direct, shop, roles):
    def lend():
        started.wait()
        raise psycopg.OperationalError("no server")

    started, failures = threading.Event(), []
    client = Client(lend, **shop.place)

    def refresh():
        try:
            client.sessions.refresh("rt_live_x")
        except SessionError as error:
            failures.append(error)

    threads = [threading.Thread(target=refresh) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.set()
    for thread in threads:
        thread.join()
    assert [f.code for f in failures] == ["CONNECTION_FAILED"] * 4
    assert len(set(map(id, failures))) == 4


def test_data_is_bound_as_json_whatever_the_connection_does(direct, shop, roles):
    """Django's connections, for one, load jsonb as text."""
    with psycopg.connect(**direct, user=SERVER, cursor_factory=psycopg.ClientCursor) as connection:
        connection.adapters.register_loader("jsonb", psycopg.types.string.TextLoader)
        connection.row_factory = psycopg.rows.namedtuple_row
        client = Client(connection, **shop.place)
        data = {"userId": "user_1", "more": [1, {"a": None}], "text": json.dumps("ü'\\")}
        assert client.sessions.verify(client.sessions.start(data=data).token).data == data
