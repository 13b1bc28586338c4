"""maintain() beside others: it waits for nobody, loses nothing, and two share the work."""

import threading
import time

import pytest
from conftest import maintain
from psycopg import errors
from support.service import REPEATABLE_READ, Background, Shop, await_lock, call, refresh, value, verify

# Far longer than a run needs that waits only for a moment, far shorter than a wait for somebody.
SOON = 10


@pytest.fixture(autouse=True)
def from_nothing(clean):
    pass


def test_two_runs_beside_full_load_purge_each_dead_session_once_and_no_living_one(
    admin, connect, shop, past
):
    # Given some thousand dead sessions
    dead = past.dead(6000)
    stop, failures = threading.Event(), []
    living, purged = [], []

    def repeat(work):
        connection = connect()

        def run():
            try:
                while not stop.is_set():
                    work(connection)
            except Exception as error:
                failures.append(error)

        return threading.Thread(target=run)

    def log_in_and_refresh(connection):
        session = shop.create(connection, user=f"user-{time.monotonic_ns()}")
        living.append(refresh(connection, session.refresh_token))

    def log_in_and_out(connection):
        session = shop.create(connection, user="comes-and-goes")
        assert shop.revoke(connection, session.session_id) == 1

    def log_in_as_one_of_the_dead(connection):
        living.append(shop.create(connection, user="long-gone1"))

    # When two runs at once go on beside clients
    works = [log_in_and_refresh, log_in_and_out, log_in_as_one_of_the_dead]
    works += [lambda connection: purged.append(maintain(connection, batch=50))] * 2
    threads = [repeat(work) for work in works]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while past.left(dead) and time.monotonic() < deadline and not failures:
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()

    # Then
    assert failures == []
    assert past.left(dead) == set()
    assert sum(run["sessions_purged"] for run in purged) == len(dead)
    assert len(living) > 20
    for session in living:
        assert verify(admin, session.token).valid


def test_a_row_that_somebody_has_locked_is_left_for_the_next_time(admin, connect, past):
    dead, other = past.dead(20), connect()
    (held, *_) = dead
    with other.transaction():
        other.execute("SELECT FROM dialstack.sessions WHERE session_id = %s FOR UPDATE", [held])
        began = time.monotonic()
        done = maintain(admin)
        assert time.monotonic() - began < SOON
        assert (done["sessions_purged"], done["more"]) == (19, True)
        assert past.left(dead) == {held}

    done = maintain(admin)
    assert (done["sessions_purged"], done["more"]) == (1, False)


def test_what_a_session_alone_knows_of_its_user_is_not_lost(admin, connect, shop, past):
    # Given a user who was seen last by refreshing a session that is dead by now
    session = shop.create(admin, user="refreshed1")
    admin.execute("DELETE FROM dialstack.sessions WHERE session_id = %s", [session.session_id])
    admin.execute(
        "UPDATE dialstack.session_users SET last_seen = now() - interval '1 year'"
        " WHERE identifier = 'refreshed1'"
    )
    dead = past.dead(20, user="refreshed")

    # When the user's row is locked: the session stays, those of others go
    other = connect()
    with other.transaction(force_rollback=True):
        shop.create(other, user="refreshed1")
        done = maintain(admin)
        assert (done["sessions_purged"], done["more"]) == (19, True)
    (held,) = past.left(dead)
    seen = call(admin, "session_info", session_id=held).last_seen_at

    # Then, when it is free, it goes, and what it knew stays
    assert maintain(admin)["sessions_purged"] == 1
    assert seen == value(
        admin, "SELECT last_seen FROM dialstack.session_users WHERE identifier = 'refreshed1'"
    )


def test_a_user_of_what_was_deleted_is_left_while_locked_and_the_others_go(admin, connect):
    shop = Shop.make(admin)
    for user in ("ann", "bob", "eve"):
        shop.create(admin, user=user)
    call(admin, "env_delete", **shop.home)
    admin.execute(
        "DELETE FROM dialstack.sessions s"
        " WHERE NOT EXISTS (SELECT FROM dialstack.environments e WHERE e.env_id = s.env_id)"
    )

    other = connect()
    with other.transaction():
        other.execute("SELECT FROM dialstack.session_users WHERE identifier = 'bob' FOR UPDATE")
        assert maintain(admin)["users_purged"] == 2

    assert maintain(admin)["users_purged"] == 1


def test_a_user_can_log_in_while_sessions_of_others_are_purged(admin, connect, shop, past):
    past.dead(10)
    with admin.transaction():
        maintain(admin)
        assert shop.create(connect(), user="somebody").token
        assert shop.revoke_all(connect(), "somebody") == 1


def test_a_month_in_use_is_skipped_and_the_others_are_emptied(admin, connect, past):
    busy, idle = past.activity(months=6), past.activity(months=5)
    reader = connect()
    with reader.transaction():
        reader.execute(f"SELECT count(*) FROM dialstack.activity_{busy[-2:]}")
        began = time.monotonic()
        done = maintain(admin)
        assert time.monotonic() - began < SOON
    assert done["activity_skipped"] == [busy]
    assert done["activity_months"] == [idle]
    assert done["more"] is True

    done = maintain(admin)
    assert (done["activity_months"], done["activity_skipped"]) == ([busy], [])
    assert done["more"] is False


def test_who_reads_activity_does_not_queue_up_behind_a_run(admin, connect, shop, past):
    busy = past.activity(months=6)
    holder = connect()
    with holder.transaction():
        holder.execute(f"SELECT count(*) FROM dialstack.activity_{busy[-2:]}")
        run = Background(maintain, connect())
        began = time.monotonic()
        call(admin, "session_activity_logs", product=shop.product)
        assert time.monotonic() - began < SOON
        assert run.result()["activity_skipped"] == [busy]


def test_the_deletion_of_an_environment_is_not_waited_for(admin, connect, shop, past):
    past.dead(5)
    month = past.activity(months=6)
    other = connect()
    with other.transaction(force_rollback=True):
        call(other, "env_delete", **shop.home)
        began = time.monotonic()
        done = maintain(admin)
        assert time.monotonic() - began < SOON
        # What needs no lock of it is done.
        assert (done["sessions_purged"], done["activity_months"]) == (0, [month])
        assert done["more"] is True
    assert maintain(admin)["sessions_purged"] == 5


def cancel_waiting(observer, connection):
    """Cancels what the connection runs, while it waits for a lock."""
    await_lock(observer, connection)
    observer.execute("SELECT pg_cancel_backend(%s)", [connection.info.backend_pid])


def test_a_run_that_is_cancelled_leaves_everything_as_it_was(admin, connect, past):
    dead = past.dead(5)
    busy = past.activity(months=6)
    holder = connect()
    admin.execute("SET lock_timeout = '9s'")
    with holder.transaction():
        holder.execute(f"SELECT count(*) FROM dialstack.activity_{busy[-2:]}")
        run = Background(maintain, admin)
        cancel_waiting(connect(), admin)
        with pytest.raises(errors.QueryCanceled):
            run.result()
    assert past.left(dead) == dead
    row = admin.execute(
        "SELECT current_user AS who, current_setting('lock_timeout') AS waits,"
        " current_setting('search_path') AS path"
    ).fetchone()
    assert (row.who, row.waits, row.path) == ("postgres", "9s", '"$user", public')
    assert maintain(admin)["sessions_purged"] == 5


def test_under_repeatable_read_it_works_or_asks_for_another_try(connect, past):
    past.dead(3)
    assert maintain(connect(isolation=REPEATABLE_READ))["sessions_purged"] == 3


def test_a_purge_is_felt_in_other_connections(admin, connect, shop):
    # Given a connection that remembers why a session is dead
    session, reader = shop.create(admin), connect()
    shop.revoke(admin, session.session_id)
    assert verify(reader, session.token).reason == "revoked"

    # When its row is purged
    admin.execute(
        "UPDATE dialstack.sessions SET revoked_at = now() - interval '40 days',"
        " purge_after = current_date - 40 WHERE session_id = %s",
        [session.session_id],
    )
    assert maintain(admin)["sessions_purged"] == 1

    # Then the token is one of nobody
    assert verify(reader, session.token).reason == "invalid"


def test_a_month_is_not_emptied_of_what_an_old_snapshot_does_not_show(admin, connect, shop):
    # Given two sessions whose revocation is activity of a month that is over
    def revoked():
        figures = call(admin, "session_dashboard", product=shop.product, tag="web")[0]
        return figures["revokedSessions"], figures["activeSessions"]

    def revoke_long_ago(session):
        shop.revoke(admin, session.session_id)
        admin.execute(
            "UPDATE dialstack.activity SET at = at - interval '4 months',"
            " month = extract(month FROM (at - interval '4 months') AT TIME ZONE 'UTC')"
            " WHERE session_id = %s AND operation = 'revoke'",
            [session.session_id],
        )

    first, second = (shop.create(admin, user=user) for user in ("first", "second"))
    revoke_long_ago(first)

    # When maintenance runs in a transaction that began before the second
    other = connect(isolation=REPEATABLE_READ)
    with other.transaction():
        other.execute("SELECT count(*) FROM dialstack.activity")
        revoke_long_ago(second)
        assert maintain(other)["activity_rolled_up"] > 0

    # Then both are counted, before the next run and after it
    assert revoked() == (2, 0)
    maintain(admin)
    assert revoked() == (2, 0)


RECORD = """
    INSERT INTO dialstack.administration (at, session_role, acting_role, function, target, effect)
    SELECT now() - make_interval(days => %s, hours => 1), 'old', 'old', 'env_create', '{}', '{}'
      FROM generate_series(1, %s) RETURNING administration_id
"""


def recorded(connection):
    query = "SELECT count(*) FROM dialstack.administration WHERE session_role = 'old'"
    return value(connection, query)


def test_the_record_of_administration_goes_after_its_own_retention_and_by_batches(admin, connect):
    # Given rows of before and of after the retention, one of which somebody has locked
    admin.execute("DELETE FROM dialstack.administration WHERE session_role = 'old'")
    first = admin.execute(RECORD, [400, 25]).fetchone()
    admin.execute(RECORD, [398, 7])
    other = connect()
    with other.transaction():
        other.execute(
            "SELECT FROM dialstack.administration WHERE administration_id = %s FOR UPDATE",
            [first.administration_id],
        )
        done = maintain(admin, batch=10)
        assert (done["administration_purged"], done["more"]) == (24, False)
    # Then only the older ones go, the one that was locked at the next time, and each run is recorded itself
    assert maintain(admin)["administration_purged"] == 1
    assert maintain(admin)["administration_purged"] == 0
    assert recorded(admin) == 7
    effect = (
        "SELECT effect #>> '{done,administration_purged}' FROM dialstack.administration"
        " WHERE function = 'maintain' ORDER BY administration_id DESC LIMIT 3"
    )
    assert [row[0] for row in admin.execute(effect)] == [None, "1", "24"]

    # A superuser may have it shorter, by days
    admin.execute("SET dialstack_sessions.administration_retention = '398d'")
    assert maintain(admin)["administration_purged"] == 7
    admin.execute("RESET dialstack_sessions.administration_retention")
    assert recorded(admin) == 0
