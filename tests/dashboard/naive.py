"""The dashboard by its formulas, from the rows of the tables alone: slow, plain, without rollups."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

UTC = timezone.utc
DAY = timedelta(days=1)
QUARTER = timedelta(minutes=15)
OPERATIONS = ("create", "verify", "refresh", "extend", "revoke", "reuse", "evict")


def rounded(number, digits):
    if number is None:
        return None
    return float(Decimal(number).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def ratio(part, whole):
    return None if not whole else Decimal(part) / Decimal(whole)


def percent(part, whole):
    share = ratio(part, whole)
    return None if share is None else rounded(100 * share, 2)


def growth(current, previous):
    change = percent(current - previous, previous)
    return {"current": current, "previous": previous, "change": change}


def seconds(span):
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000


@dataclass(frozen=True)
class Zone:
    """Periods as calendars in a time zone name them."""

    name: str
    group_by: str

    def local(self, moment):
        return moment.astimezone(ZoneInfo(self.name))

    def shift(self, moment):
        return self.local(moment).utcoffset()

    def period(self, moment):
        """An hour by the moment it begins, the others by their first day."""
        local = self.local(moment)
        if self.group_by == "hour":
            into = timedelta(
                minutes=local.minute % 15, seconds=local.second, microseconds=local.microsecond
            )
            begins = moment.astimezone(UTC) - into
            # As far back as the full hour, or the change of the clocks.
            while self.local(begins).minute and self.shift(begins - QUARTER) == self.shift(begins):
                begins -= QUARTER
            return begins
        day = local.date()
        if self.group_by == "week":
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self.group_by == "month" else day

    def all(self, first, last):
        """The periods from the one of `first` to the one of `last`."""
        found, moment = set(), first
        while moment < last:
            found.add(self.period(moment))
            moment += QUARTER
        return sorted(found | {self.period(last)})

    def read(self, label):
        moment = datetime.fromisoformat(label)
        return moment.astimezone(UTC) if self.group_by == "hour" else moment.date()


@dataclass
class Tables:
    """What there is of a definition in some environments, at one moment."""

    envs: dict
    sessions: list
    users: list
    activity: list

    @classmethod
    def read(cls, connection, shop, env=None):
        envs = dict(
            connection.execute(
                "SELECT env_id, env FROM dialstack.environments e "
                "JOIN dialstack.products p USING (product_id) "
                "WHERE p.product = %s AND (%s::text IS NULL OR env = %s)",
                [shop.product, env, env],
            ).fetchall()
        )

        def rows(table):
            return connection.execute(
                f"SELECT t.* FROM dialstack.{table} t "
                "JOIN dialstack.session_definitions d USING (definition_id) "
                "JOIN dialstack.products p USING (product_id) "
                "WHERE p.product = %s AND d.tag = %s AND t.env_id = ANY (%s)",
                [shop.product, shop.tag, list(envs)],
            ).fetchall()

        return cls(envs, rows("sessions"), rows("session_users"), rows("activity"))


def dashboard(tables, zone, first, last, now):
    """What session_dashboard has to answer at the moment `now`."""
    answer = _users(tables, zone, now)
    answer.update(_active_users(tables, now))
    answer.update(_sessions(tables, zone, first, last, now))
    answer.update(_operations(tables, zone, first, last, now))
    return answer


def _living(session, now):
    return session.revoked_at is None and session.expires_at > now


def _users(tables, zone, now):
    living, seen = set(), {}
    for session in tables.sessions:
        user = (session.env_id, session.subject)
        if _living(session, now):
            living.add(user)
        seen[user] = max(seen.get(user, session.last_seen_at), session.last_seen_at)
    active = inactive = expired = today = this_week = 0
    midnight = zone.local(now).date()
    monday = midnight - timedelta(days=midnight.weekday())
    users = [user for user in tables.users if user.total_sessions > 0]
    for user in users:
        key = (user.env_id, user.identifier)
        last_seen = max(user.last_seen, seen.get(key, user.last_seen))
        if last_seen.microsecond:
            last_seen = last_seen.replace(microsecond=0) + timedelta(seconds=1)
        if key in living:
            active += 1
        elif last_seen + 30 * DAY > now:
            inactive += 1
        else:
            expired += 1
        first_day = zone.local(user.first_seen).date()
        today += first_day >= midnight
        this_week += first_day >= monday
    return {
        "totalUsers": len(users),
        "activeUsers": active,
        "inactiveUsers": inactive,
        "expiredUsers": expired,
        "newUsersToday": today,
        "newUsersThisWeek": this_week,
        "averageSessionsPerUser": rounded(ratio(len(tables.sessions), len(users)), 2),
    }


def _active_users(tables, now):
    days = {
        (row.at.astimezone(UTC).date(), row.env_id, row.subject)
        for row in tables.activity
        if row.status == "success" and row.operation in ("create", "refresh", "verify")
    }
    today = now.astimezone(UTC).date()

    def users(length, until):
        window = until - (length - 1) * DAY
        return len({(env_id, who) for day, env_id, who in days if window <= day <= until})

    return {
        name: growth(users(length, today), users(length, today - length * DAY))
        for name, length in (("dau", 1), ("wau", 7), ("mau", 30))
    }


def _sessions(tables, zone, first, last, now):
    created, expired, revoked = Counter(), Counter(), Counter()
    deaths = []
    for session in tables.sessions:
        created[zone.period(session.created_at)] += 1
        if _living(session, now):
            continue
        died = session.revoked_at or session.expires_at
        # A revocation may have begun before the creation that it waited for.
        deaths.append((died, max(seconds(died - session.created_at), Decimal(0))))
        (revoked if session.revoked_at else expired)[zone.period(died)] += 1
    total = len(tables.sessions)
    per_env = Counter(session.env_id for session in tables.sessions)
    today = now.astimezone(UTC).date()

    def mean(since, until):
        lasted = [s for died, s in deaths if since <= died.astimezone(UTC).date() <= until]
        return ratio(sum(lasted), len(lasted))

    current, previous = mean(today - 29 * DAY, today), mean(today - 59 * DAY, today - 30 * DAY)
    # Rounded first, compared then: the change is the one that the reader sees.
    current = None if current is None else Decimal(str(rounded(current, 3)))
    previous = None if previous is None else Decimal(str(rounded(previous, 3)))
    change = None if current is None or not previous else (current - previous) / previous
    return {
        "totalSessions": total,
        "activeSessions": total - len(deaths),
        "expiredSessions": sum(expired.values()),
        "revokedSessions": sum(revoked.values()),
        "averageSessionDuration": rounded(ratio(sum(s for _, s in deaths), len(deaths)), 3),
        "avgSessionDuration": {
            "current": rounded(current, 3),
            "previous": rounded(previous, 3),
            "change": None if change is None else rounded(100 * change, 2),
        },
        "sessionsOverTime": [
            {
                "period": period,
                "created": created[period],
                "expired": expired[period],
                "revoked": revoked[period],
            }
            for period in zone.all(first, last)
        ],
        "environmentBreakdown": [
            {"env": env, "count": per_env[env_id], "percentage": percent(per_env[env_id], total)}
            for env_id, env in sorted(tables.envs.items(), key=lambda item: item[1])
        ],
    }


def _operations(tables, zone, first, last, now):
    periods = zone.all(first, last)
    inside = set(periods)
    rows = [row for row in tables.activity if zone.period(row.at) in inside]
    by_period = Counter((zone.period(row.at), row.operation) for row in rows)
    by_hour = Counter(zone.local(row.at).hour for row in rows)
    good = sum(row.status == "success" for row in rows)
    spent = ratio(sum(row.latency_us or 0 for row in rows), len(rows))
    today = zone.local(now).date()
    by_day, created = Counter(), Counter()
    for row in tables.activity:
        day = zone.local(row.at).date()
        by_day[day] += 1
        created[day] += (row.operation, row.status) == ("create", "success")
    return {
        "successRate": percent(good, len(rows)),
        "errorRate": percent(len(rows) - good, len(rows)),
        "averageOperationDuration": None if spent is None else rounded(spent / 1000, 3),
        "operationsOverTime": [
            {"period": period, **{name: by_period[period, name] for name in OPERATIONS}}
            for period in periods
        ],
        "peakHours": [{"hour": hour, "count": by_hour[hour]} for hour in range(24)],
        "activityTimeline": [
            {"date": str(day), "sessions": created[day], "operations": by_day[day]}
            for day in (today - back * DAY for back in range(6, -1, -1))
        ],
    }


def read(answer, zone):
    """What session_dashboard answered, in the form of what it has to answer."""
    read = dict(answer)
    for name in ("sessionsOverTime", "operationsOverTime"):
        read[name] = [{**row, "period": zone.read(row["period"])} for row in answer[name]]
    return read
