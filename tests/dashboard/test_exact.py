"""The dashboard equals its formulas to the row: before, amid and after maintenance."""

import os
import random
from datetime import datetime, timedelta, timezone

import naive
import pytest
from history import ENVS, Writer, age
from support.service import REPEATABLE_READ, call, value

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Chatham",
    "Atlantic/Azores",
    "America/Havana",
)
# As far as the histories reach back.
OLDEST = timedelta(days=75)


def ask(connection, shop, env, zone, first, last):
    answer = value(
        connection,
        "SELECT dialstack.session_dashboard(product => %s, tag => %s, env => %s, group_by => %s, "
        "start_at => %s, end_at => %s, time_zone => %s)",
        *(shop.product, shop.tag, env, zone.group_by, first, last, zone.name),
    )
    return naive.read(answer, zone)


def clock(connection):
    return value(connection, "SELECT clock_timestamp()")


def check(reader, shop, env, zone, first, last):
    """In one snapshot: what is answered, and what the tables say. Time passes while they are asked; where
    that matters, once more."""
    for _ in range(20):
        with reader.transaction():
            tables = naive.Tables.read(reader, shop, env)
            before = clock(reader)
            answer = ask(reader, shop, env, zone, first, last)
            after = clock(reader)
        expected = naive.dashboard(tables, zone, first, last, before)
        if expected == naive.dashboard(tables, zone, first, last, after):
            for name in expected.keys() | answer.keys():
                assert answer[name] == expected[name], (name, env, zone, first, last)
            return
    raise AssertionError("no two moments are alike")


def check_any(reader, shop, chance):
    now = datetime.now(timezone.utc)
    group_by = chance.choice(["hour", "day", "week", "month"])
    zone = naive.Zone(chance.choice(ZONES), group_by)
    reach = timedelta(days=4) if group_by == "hour" else OLDEST
    first = now - chance.random() * reach - (timedelta(0) if group_by != "hour" else chance.choice(
        [timedelta(0), timedelta(days=20), timedelta(days=27), timedelta(days=48)]))
    last = first + chance.random() * (reach + timedelta(days=2))
    check(reader, shop, chance.choice([None, *ENVS]), zone, first, last)


@pytest.mark.parametrize("seed", range(int(os.environ.get("DSS_SEEDS", "4"))))
def test_a_random_history(admin, connect, busy_shop, seed):
    chance = random.Random(seed)
    reader = connect(isolation=REPEATABLE_READ)
    writers = [Writer(connect(), busy_shop, f"s{seed}w{n}", chance) for n in range(4)]
    for _ in range(120):
        chance.choice(writers).step()
    for writer in writers:
        writer.finish()
    for writer in writers:
        for user in writer.users:
            if chance.random() < 0.7:
                age(admin, user, timedelta(seconds=chance.randrange(int(OLDEST.total_seconds()))))
    for _ in range(4):
        check_any(reader, busy_shop, chance)
    for _ in range(150):
        choice = chance.random()
        if choice < 0.1:
            call(admin, "maintain", batch=chance.choice([1, 3, 10, 1000]))
        elif choice < 0.25:
            check_any(reader, busy_shop, chance)
        else:
            chance.choice(writers).step()
    for writer in writers:
        writer.finish()
    check_any(reader, busy_shop, chance)
    call(admin, "maintain")
    for _ in range(6):
        check_any(reader, busy_shop, chance)


def everything(connection, shop):
    return [
        value(
            connection,
            "SELECT dialstack.session_dashboard(%s, %s, env => %s, group_by => %s, "
            "start_at => now() - interval '80 days', time_zone => %s)",
            *(shop.product, shop.tag, env, group_by, zone),
        )
        for env in (None, ENVS[0])
        for group_by in ("hour", "day", "week", "month")
        for zone in ("Australia/Lord_Howe", "America/New_York")
    ]


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_maintenance_changes_nothing_that_is_seen(admin, connect, busy_shop, batch):
    # Given a history whose sessions are all dead, so that time changes nothing either
    chance = random.Random(batch)
    writers = [Writer(connect(), busy_shop, f"m{batch}w{n}", chance) for n in range(3)]
    for _ in range(150):
        chance.choice(writers).step()
    for writer in writers:
        writer.finish()
        for user in writer.users:
            age(admin, user, timedelta(seconds=600_000 + chance.randrange(5_000_000)))
    before = everything(admin, busy_shop)

    done = call(admin, "maintain", batch=batch).maintain

    assert done["activity_rolled_up"] > 0 and not done["more"] and not done["rollup_busy"]
    assert everything(admin, busy_shop) == before
    # And there is nothing left to do.
    assert call(admin, "maintain", batch=batch).maintain["activity_rolled_up"] == 0
    assert everything(admin, busy_shop) == before


def test_a_transaction_that_began_first_and_commits_last_counts_once(admin, connect, busy_shop):
    late, reader = connect(), connect(isolation=REPEATABLE_READ)
    zone = naive.Zone("UTC", "day")
    now = datetime.now(timezone.utc)

    def agree():
        check(reader, busy_shop, None, zone, now - timedelta(days=1), now)

    # Given an old transaction that has written
    late.execute("BEGIN")
    busy_shop.create(late, "late")
    # And younger ones that are over
    for number in range(5):
        busy_shop.create(admin, f"young-{number}")
    agree()
    # When what can be is rolled up, before and after it commits
    call(admin, "maintain")
    agree()
    busy_shop.create(late, "late")
    late.execute("COMMIT")
    agree()
    call(admin, "maintain")
    agree()
    assert ask(admin, busy_shop, None, zone, now, now)["totalSessions"] == 7


def test_what_is_rolled_back_is_not_counted(admin, connect, busy_shop):
    writer, reader = connect(), connect(isolation=REPEATABLE_READ)
    now = datetime.now(timezone.utc)
    with writer.transaction():
        busy_shop.create(writer, "kept")
        with writer.transaction(force_rollback=True):
            busy_shop.create(writer, "undone")
        busy_shop.create(writer, "kept")
    call(admin, "maintain")
    check(reader, busy_shop, None, naive.Zone("UTC", "day"), now, now)
    assert ask(admin, busy_shop, None, naive.Zone("UTC", "day"), now, now)["totalSessions"] == 2


def test_a_transaction_sees_what_it_has_done_itself(connect, busy_shop):
    writer = connect()
    now = datetime.now(timezone.utc)
    with writer.transaction(force_rollback=True):
        busy_shop.create(writer, "own")
        call(writer, "maintain")
        answer = ask(writer, busy_shop, None, naive.Zone("UTC", "day"), now, now)
        assert (answer["totalSessions"], answer["totalUsers"], answer["activeUsers"]) == (1, 1, 1)
