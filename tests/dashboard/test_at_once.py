"""Maintenance beside itself, and beside full load."""

import random
import threading
import time
from datetime import datetime, timedelta, timezone

import naive
from history import Writer
from support.service import REPEATABLE_READ, call
from test_exact import check

DAY = timedelta(days=1)
ZONE = naive.Zone("Europe/Berlin", "day")


def test_a_second_maintenance_does_nothing_and_does_not_wait(admin, connect, busy_shop):
    first, second, reader = connect(), connect(), connect(isolation=REPEATABLE_READ)
    for _ in range(3):
        busy_shop.create(admin)
    with first.transaction():
        assert call(first, "maintain").maintain["activity_rolled_up"] >= 3
        began = time.monotonic()
        done = call(second, "maintain").maintain
        assert done["rollup_busy"] and done["activity_rolled_up"] == 0
        assert time.monotonic() - began < 5
        # The one that waits for its commit is not counted twice by who reads meanwhile.
        now = datetime.now(timezone.utc)
        check(reader, busy_shop, None, ZONE, now, now)
    assert call(second, "maintain").maintain["rollup_busy"] is False
    now = datetime.now(timezone.utc)
    check(reader, busy_shop, None, ZONE, now, now)


def test_maintenance_that_is_rolled_back_has_not_been(admin, connect, busy_shop):
    other, reader = connect(), connect(isolation=REPEATABLE_READ)
    busy_shop.create(admin)
    with other.transaction(force_rollback=True):
        assert call(other, "maintain").maintain["activity_rolled_up"] > 0
    now = datetime.now(timezone.utc)
    check(reader, busy_shop, None, ZONE, now, now)
    assert call(admin, "maintain").maintain["activity_rolled_up"] > 0
    check(reader, busy_shop, None, ZONE, now, now)


def test_the_dashboard_is_exact_beside_full_load(connect, busy_shop):
    stop = threading.Event()
    failures = []
    rolled_up = []

    def looping(step):
        def run():
            try:
                while not stop.is_set():
                    step()
            except Exception as error:  # told below, in the test's own thread
                failures.append(error)

        return threading.Thread(target=run)

    writers = [Writer(connect(), busy_shop, f"load{n}", random.Random(n)) for n in range(4)]
    keepers = [connect() for _ in range(2)]

    def maintain(keeper):
        rolled_up.append(call(keeper, "maintain", batch=7).maintain["activity_rolled_up"])

    threads = [looping(writer.step) for writer in writers]
    threads += [looping(lambda keeper=keeper: maintain(keeper)) for keeper in keepers]
    for thread in threads:
        thread.start()
    reader = connect(isolation=REPEATABLE_READ)
    try:
        for _ in range(15):
            now = datetime.now(timezone.utc)
            check(reader, busy_shop, None, ZONE, now - 2 * DAY, now)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    for writer in writers:
        writer.finish()
    now = datetime.now(timezone.utc)
    check(reader, busy_shop, None, ZONE, now - 2 * DAY, now)
    maintain(keepers[0])
    check(reader, busy_shop, None, ZONE, now - 2 * DAY, now)
    # Or it proved nothing.
    assert sum(rolled_up) > 50
