"""session_user_dashboard equals its formulas."""

import random
from collections import Counter
from datetime import datetime, timedelta, timezone

import naive
import pytest
from history import ENVS, Writer, age
from support.service import REPEATABLE_READ, value


def expected(tables, user, zone, first, last):
    periods = zone.all(first, last)
    rows = [r for r in tables.activity if r.subject == user and zone.period(r.at) in set(periods)]
    all_rows = Counter(zone.period(row.at) for row in rows)
    good = Counter(zone.period(row.at) for row in rows if row.status == "success")
    timed = Counter(zone.period(row.at) for row in rows if row.latency_us is not None)
    spent = Counter()
    for row in rows:
        spent[zone.period(row.at)] += row.latency_us or 0
    hours = Counter(zone.local(row.at).hour for row in rows)

    def latency(period):
        mean = naive.ratio(spent[period], timed[period])
        return None if mean is None else naive.rounded(mean / 1000, 3)

    return {
        "totalLogs": len(rows),
        "successRate": naive.percent(sum(good.values()), len(rows)),
        "activityTimeline": [{"date": p, "operations": all_rows[p]} for p in periods],
        "latencyTimeline": [
            {"date": p, "avgLatencyMs": latency(p), "count": timed[p]} for p in periods
        ],
        "outcomeTimeline": [
            {"date": p, "successful": good[p], "failed": all_rows[p] - good[p]} for p in periods
        ],
        "peakHours": [{"hour": hour, "count": hours[hour]} for hour in range(24)],
    }


@pytest.mark.parametrize("seed", range(3))
def test_a_random_history(admin, connect, busy_shop, seed):
    chance = random.Random(seed)
    writer = Writer(connect(), busy_shop, f"user{seed}", chance)
    for _ in range(120):
        writer.step()
    writer.finish()
    seen = value(admin, "SELECT array_agg(DISTINCT subject) FROM dialstack.activity")
    users = [user for user in writer.users if user in seen]
    age(admin, users[0], timedelta(days=chance.randrange(1, 60), seconds=chance.randrange(86400)))
    reader = connect(isolation=REPEATABLE_READ)
    now = datetime.now(timezone.utc)
    for user in users:
        for env in (None, *ENVS):
            group_by = chance.choice(["hour", "day", "week", "month"])
            zone = naive.Zone(chance.choice(["UTC", "America/New_York", "Asia/Kathmandu"]), group_by)
            first = now - timedelta(days=3 if group_by == "hour" else chance.randrange(70))
            with reader.transaction():
                tables = naive.Tables.read(reader, busy_shop, env)
                if not any(known.identifier == user for known in tables.users):
                    continue
                answer = value(
                    reader,
                    "SELECT dialstack.session_user_dashboard(%s, %s, %s, %s, %s, %s, %s, %s)",
                    *(busy_shop.product, busy_shop.tag, user, env, group_by, first, now, zone.name),
                )
            for name in ("activityTimeline", "latencyTimeline", "outcomeTimeline"):
                for row in answer[name]:
                    row["date"] = zone.read(row["date"])
            assert answer == expected(tables, user, zone, first, now)
