"""The views of level monitor: what they count, at what cost, and what they never show."""

import random

import pytest
from psycopg import errors
from support.service import call, until, use_key, value

TOTALS = ("created", "refreshed", "refresh_failed", "revoked", "expired", "reused", "evicted")


def figures(connection, shop, kind="user"):
    rows = connection.execute("SELECT * FROM dialstack.stat_sessions WHERE product = %s", [shop.product]).fetchall()
    assert {(row.kind, row.tag) for row in rows} == {("user", shop.tag), ("account", None), ("client", None)}
    return next(row for row in rows if row.kind == kind)


def living(admin, shop):
    """By the tables."""
    rows = admin.execute(
        """
        SELECT kind, count(s.session_id) AS count
          FROM (SELECT kind, %s AS product FROM unnest('{user,account,client}'::text[]) AS kind) k
          LEFT JOIN dialstack.active_sessions s USING (kind, product)
         GROUP BY kind
        """,
        [shop.product],
    ).fetchall()
    return {row.kind: row.count for row in rows}


class Story:
    """Random calls on sessions of all families, and what they come to."""

    def __init__(self, admin, shop, seed):
        self.admin, self.shop, self.random = admin, shop, random.Random(seed)
        self.sessions, self.counts = [], dict.fromkeys(TOTALS, 0)
        self.place = shop.home

    def create(self):
        self.sessions.append(self.shop.create(self.admin, f"user-{self.random.randrange(6)}"))
        self.counts["created"] += 1

    def refresh(self):
        if self.sessions:
            session = self.random.choice(self.sessions)
            answer = call(self.admin, "session_refresh", refresh_token=session.refresh_token, **self.place)
            self.counts["refreshed"] += answer.ok
            self.counts["refresh_failed"] += not answer.ok
            if answer.ok:
                self.sessions[self.sessions.index(session)] = answer

    def revoke(self):
        if self.sessions:
            session = self.sessions.pop()
            self.counts["revoked"] += self.shop.revoke(self.admin, session.session_id)

    def account(self):
        call(self.admin, "account_session_create", account=f"a{self.random.randrange(3)}", **self.place)

    def account_revoke(self):
        call(self.admin, "account_session_revoke", account=f"a{self.random.randrange(3)}", **self.place)

    def client(self):
        call(self.admin, "client_session_create", user_identifier_key=f"k{self.random.randrange(5)}", **self.place)

    def client_extend(self):
        self.admin.execute(
            "SELECT FROM dialstack.client_session_get_or_create(user_identifier_key => %s, product => %s, env => %s,"
            " expires_at => now() + make_interval(days => %s))",
            [f"k{self.random.randrange(5)}", *self.place.values(), self.random.randrange(1, 9)],
        )

    def _any_client(self):
        return call(self.admin, "client_session_list", **self.place)

    def client_revoke(self):
        if session := self._any_client():
            call(self.admin, "client_session_revoke", client_session_id=session.client_session_id)

    def client_delete(self):
        if session := self._any_client():
            call(self.admin, "client_session_delete", client_session_id=session.client_session_id)

    def maintain(self):
        call(self.admin, "maintain", batch=self.random.choice((2, 1000)))

    def erase(self):
        user = f"user-{self.random.randrange(6)}"
        if not call(self.admin, "session_count", **self.place, identifier=user, kind="user", active_only=False)[0]:
            return
        living = call(self.admin, "session_count", **self.place, identifier=user, kind="user")[0]
        self.admin.execute("SELECT dialstack.user_erase(product => %s, identifier => %s)", [self.shop.product, user])
        self.counts["revoked"] += living
        ids = {row.session_id for row in self.admin.execute("SELECT session_id FROM dialstack.sessions")}
        self.sessions = [session for session in self.sessions if session.session_id in ids]


def test_totals_are_what_happened_before_amid_and_after_maintenance(admin, watcher, shop):
    story, seen = Story(admin, shop, seed=7), {}
    steps = [
        story.create, story.create, story.refresh, story.revoke, story.account, story.account_revoke,
        story.client, story.client, story.client_extend, story.client_revoke, story.client_delete,
        story.maintain, story.erase,
    ]
    for _ in range(150):
        story.random.choice(steps)()
        expected = living(admin, shop)
        for kind in expected:
            row = figures(watcher, shop, kind)
            assert row.living == expected[kind] and row.is_complete, kind
            assert row.created == row.living + row.revoked + row.expired, kind
            # What is a counter to whoever scrapes it never goes down.
            for name in TOTALS:
                assert getattr(row, name) >= seen.get((kind, name), 0), (kind, name)
                seen[kind, name] = getattr(row, name)
        user = figures(watcher, shop)
        assert {name: getattr(user, name) for name in TOTALS} == story.counts
    assert all(seen[kind, "created"] > 5 and seen[kind, "revoked"] for kind in ("user", "account", "client"))


def test_a_reused_refresh_token_and_an_evicted_session_are_counted(admin, watcher, shop):
    call(admin, "definition_update", product=shop.product, tag=shop.tag,
         changes='{"max_sessions": 1, "on_limit": "evict_oldest", "reuse_interval": "0 seconds"}')
    shop.create(admin)
    session = shop.create(admin)
    for _ in range(2):
        call(admin, "session_refresh", refresh_token=session.refresh_token)
    for _ in range(2):
        row = figures(watcher, shop)
        assert (row.created, row.evicted, row.refreshed, row.reused, row.revoked, row.living) == (2, 1, 1, 1, 2, 0)
        call(admin, "maintain")


@pytest.mark.parametrize(
    "ended, living, expired", [("-10 seconds", 1, 0), ("30 seconds", 0, 0), ("61 seconds", 0, 1), ("3 days", 0, 1)]
)
def test_a_session_counts_as_expired_a_minute_after_its_end(admin, watcher, shop, ended, living, expired):
    """Whoever refreshes it at the last moment has committed by then, so that the total never goes down."""
    shop.create(admin)
    admin.execute(
        "UPDATE dialstack.activity a SET expires_after = now() - %s::interval FROM dialstack.environments e"
        " JOIN dialstack.products p USING (product_id) WHERE e.env_id = a.env_id AND p.product = %s",
        [ended, shop.product],
    )
    for _ in range(2):
        row = figures(watcher, shop)
        assert (row.created, row.living, row.expired, row.revoked) == (1, living, expired, 0)
        call(admin, "maintain")


def test_the_living_are_fewer_as_soon_as_one_has_expired(admin, watcher, shop):
    call(admin, "definition_update", product=shop.product, tag=shop.tag,
         changes='{"expiry": 2, "period": "seconds", "refresh_expiry": 2, "refresh_period": "seconds"}')
    shop.create(admin)
    call(admin, "maintain")
    assert figures(watcher, shop).living == 1
    until(lambda: figures(watcher, shop).living == 0, "the end of the session")
    assert living(admin, shop)["user"] == 0


def test_what_is_left_after_many_rows_of_activity_is_said_to_be_incomplete(admin, watcher, shop):
    shop.create(admin)
    call(admin, "maintain")
    admin.execute(
        "INSERT INTO dialstack.activity (at, month, env_id, definition_id, kind, operation, status, subject, expires_after)"
        " SELECT now(), extract(month FROM now() AT TIME ZONE 'UTC'), env_id, NULL, 'account', 'create', 'success', 'a',"
        "        now() + interval '1 hour'"
        "   FROM dialstack.environments JOIN dialstack.products USING (product_id), generate_series(1, 100500)"
        "  WHERE product = %s",
        [shop.product],
    )
    row = figures(watcher, shop, "account")
    assert (row.created, row.living, row.is_complete) == (100_001, 100_001, False)
    assert not figures(watcher, shop).is_complete
    while call(admin, "maintain", batch=100_000)[0]["more"]:
        pass
    row = figures(watcher, shop, "account")
    assert (row.created, row.living, row.is_complete) == (100_500, 100_500, True)


def test_a_deleted_definition_and_environment_are_forgotten_and_account_sessions_are_not(admin, watcher, shop):
    shop.create(admin)
    call(admin, "account_session_create", account="a", **shop.home)
    call(admin, "maintain")
    call(admin, "definition_delete", product=shop.product, tag=shop.tag)
    call(admin, "maintain")
    rows = watcher.execute("SELECT * FROM dialstack.stat_sessions WHERE product = %s ORDER BY kind", [shop.product]).fetchall()
    assert [(row.kind, row.created, row.living) for row in rows] == [("account", 1, 1), ("client", 0, 0)]
    call(admin, "env_delete", **shop.home)
    call(admin, "maintain")
    assert not watcher.execute("SELECT FROM dialstack.stat_sessions WHERE product = %s", [shop.product]).fetchall()
    gone = (
        "SELECT count(*) FROM dialstack.activity_rollup r WHERE NOT EXISTS"
        " (SELECT FROM dialstack.environments e WHERE e.env_id = r.env_id)"
    )
    assert value(admin, gone) == 0


def test_an_api_key_narrows_the_totals_to_its_environment(admin, shop):
    call(admin, "env_create", product=shop.product, env="staging", live=False)
    for kind, env in (("secret", "staging"), ("publishable", "staging")):
        key = call(admin, "api_key_create", product=shop.product, env=env, kind=kind).api_key
        use_key(admin, key)
        if kind == "secret":
            rows = admin.execute("SELECT * FROM dialstack.stat_sessions").fetchall()
            assert {(row.product, row.env) for row in rows} == {(shop.product, "staging")}
        else:
            with pytest.raises(errors.InsufficientPrivilege):
                admin.execute("SELECT * FROM dialstack.stat_sessions")
        admin.execute("RESET dialstack_sessions.api_key")


def test_keys(admin, watcher):
    before = {row.kid: row for row in watcher.execute("SELECT * FROM dialstack.stat_keys")}
    old = next(row for row in before.values() if (row.purpose, row.state) == ("jwt", "active"))
    new = call(admin, "signing_key_rotate", purpose="jwt", alg="ES256")
    after = {row.kid: row for row in watcher.execute("SELECT * FROM dialstack.stat_keys")}
    assert after.keys() - before.keys() == {new.kid}
    assert (after[new.kid].state, after[new.kid].alg, after[new.kid].published) == ("active", "ES256", True)
    assert 0 <= after[new.kid].active_seconds < 60
    assert (after[old.kid].state, after[old.kid].active_seconds, old.published) == ("retired", None, False)


def test_api_keys(admin, watcher, shop):
    def row(made):
        query = "SELECT * FROM dialstack.stat_api_keys WHERE api_key_id = %s"
        return watcher.execute(query, [made.api_key_id]).fetchone()

    forever = call(admin, "api_key_create", **shop.home, kind="publishable", name="the shop")
    assert row(forever)[1:6] == (shop.product, shop.env, "publishable", "the shop", "active")
    assert row(forever).expires_in_seconds is None
    soon = call(admin, "api_key_create", **shop.home, expires_at=value(admin, "SELECT now() + interval '1 hour'"))
    assert 3500 < row(soon).expires_in_seconds <= 3600
    admin.execute("UPDATE dialstack.api_keys SET expires_at = now() - interval '5 seconds' WHERE api_key_id = %s", [soon.api_key_id])
    assert row(soon).state == "expired" and row(soon).expires_in_seconds <= -5
    call(admin, "api_key_revoke", api_key_id=soon.api_key_id)
    assert (row(soon).state, row(soon).expires_in_seconds) == ("revoked", None)


ALL = (
    "SELECT * FROM dialstack.stat_sessions",
    "SELECT * FROM dialstack.stat_keys",
    "SELECT * FROM dialstack.stat_api_keys",
    "SELECT * FROM dialstack.stat_maintenance",
    "SELECT * FROM dialstack.health_check()",
    "SELECT * FROM dialstack.version()",
)


@pytest.mark.parametrize("query", ALL)
def test_no_session_and_no_user_is_read_however_many_there_are(admin, shop, query):
    shop.create(admin)
    call(admin, "maintain")
    scans = (
        "SELECT sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0)) FROM pg_stat_xact_user_tables"
        " WHERE schemaname = 'dialstack' AND relname IN ('sessions', 'client_sessions', 'session_users', 'rollup_users')"
    )
    with admin.transaction():
        before = value(admin, scans)
        admin.execute(query).fetchall()
        assert value(admin, scans) == before
        # It is counted.
        admin.execute("SELECT count(*) FROM dialstack.sessions")
        assert value(admin, scans) > before


def test_a_figure_is_never_about_a_person(admin, watcher, shop):
    admin.execute(
        "SELECT FROM dialstack.session_create(%s, %s, %s, '{\"userId\": \"canary-user\"}', ip => '203.0.113.77', user_agent => 'canary-agent')",
        [shop.product, shop.env, shop.tag],
    )
    call(admin, "account_session_create", account="canary-account", **shop.home)
    call(admin, "client_session_create", user_identifier_key="canary-key", **shop.home)
    key = call(admin, "api_key_create", **shop.home)
    dashboard = f"SELECT dialstack.session_dashboard('{shop.product}', '{shop.tag}')"
    for query in (*ALL, dashboard):
        text = str(watcher.execute(query).fetchall())
        for secret in ("canary", "203.0.113.77", key.api_key, key.api_key[-10:]):
            assert secret not in text, query
