"""REINDEX locks a table against writing and then each of its indexes. Whoever is going to write must wait for
it before an index is touched, or both would wait for each other."""

from threading import Event
from uuid import UUID

import pytest
from support.service import Background, Shop, call, refresh, until, value, verify, waits


class Held:
    """What the calls are about, made before any table is locked."""

    def __init__(self, admin):
        self.shop = Shop.make(admin, max_sessions=2, reuse_interval="0")
        self.session = self.shop.create(admin)
        self.old = self.session.refresh_token
        self.fresh = refresh(admin, self.old).refresh_token
        self.shop.create(admin)
        self.where = self.shop.home
        self.client = call(
            admin, "client_session_create", user_identifier_key="u", **self.where
        ).client_session_id


CALLS = {
    "session_create at the cap": lambda c, h: h.shop.create(c),
    "session_refresh": lambda c, h: refresh(c, h.fresh),
    "session_refresh, reused": lambda c, h: refresh(c, h.old),
    "session_revoke": lambda c, h: h.shop.revoke(c, h.session.session_id),
    "session_revoke_all": lambda c, h: h.shop.revoke_all(c),
    "session_update_data": lambda c, h: call(
        c, "session_update_data", session_id=h.session.session_id, data='{"userId": "user_456"}'
    ),
    "session_extend": lambda c, h: call(
        c, "session_extend", session_id=h.session.session_id, by="1 hour"
    ),
    "client_session_get_or_create": lambda c, h: call(
        c, "client_session_get_or_create", user_identifier_key="u", **h.where
    ),
    "client_session_grant_access": lambda c, h: call(
        c,
        "client_session_grant_access",
        client_session_id=h.client,
        connected_account_ids=[UUID(int=1)],
        **h.where,
    ),
    "client_session_revoke": lambda c, h: call(
        c, "client_session_revoke", client_session_id=h.client, **h.where
    ),
    "client_session_delete": lambda c, h: call(
        c, "client_session_delete", client_session_id=h.client, **h.where
    ),
    "definition_update": lambda c, h: call(
        c, "definition_update", product=h.shop.product, tag=h.shop.tag, changes='{"name": "Other"}'
    ),
    "definition_delete": lambda c, h: call(
        c, "definition_delete", product=h.shop.product, tag=h.shop.tag
    ),
    "env_delete": lambda c, h: call(c, "env_delete", **h.where),
}


# The tables that a call writes whatever it meets.
WRITTEN = {
    work: {"sessions"} if name.startswith("session_") else {"client_sessions"} if name.startswith("client_") else set()
    for name, work in CALLS.items()
} | {CALLS["definition_delete"]: {"sessions"}, CALLS["env_delete"]: {"sessions", "client_sessions"}}


@pytest.mark.parametrize("table", ["sessions", "client_sessions", "session_users", "session_definitions"])
@pytest.mark.parametrize("work", CALLS.values(), ids=CALLS)
def test_a_call_that_waits_for_a_reindex_stands_in_no_index(admin, connect, work, table):
    held = Held(admin)
    keeper, caller = connect(), connect()
    # Its connection knows what it is going to do.
    verify(caller, held.session.token)

    with keeper.transaction():
        keeper.execute(f"LOCK TABLE dialstack.{table} IN SHARE MODE")
        waiting = Background(work, caller, held)
        until(lambda: waiting.done() or waits(admin, caller), "the call to wait, or to end")
        assert table not in WRITTEN[work] or not waiting.done()
        keeper.execute("SET LOCAL lock_timeout = '5s'")
        keeper.execute(f"REINDEX TABLE dialstack.{table}")

    waiting.result()


def use(connection, shop, stop):
    """Logs in, refreshes and out again, and now and then makes a key, until `stop` is set. Returns how often."""
    rounds = 0
    while not stop.is_set() or not rounds:
        session = shop.create(connection, f"user_{rounds % 7}")
        step = refresh(connection, session.refresh_token)
        assert step.ok and verify(connection, step.token).valid
        if rounds % 5 == 0:
            call(connection, "signing_key_rotate", purpose="token")
        assert shop.revoke_all(connection, f"user_{rounds % 7}") > 0
        assert verify(connection, step.token).reason == "revoked"
        rounds += 1
    return rounds


INDEXES = {
    "sessions": "(env_id, last_seen_at)",
    "session_users": "(last_seen)",
    "signing_keys": "(created_at)",
}


@pytest.mark.parametrize("table", INDEXES)
def test_indexes_are_rebuilt_and_made_under_load(admin, connect, table):
    if value(admin, "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'") == 0:
        pytest.skip("this PostgreSQL comes without amcheck")
    admin.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
    stop = Event()
    # Each has users of its own, so that nobody else ends their sessions.
    users = [Background(use, connect(), Shop.make(admin), stop) for _ in range(4)]
    try:
        for _ in range(3):
            admin.execute(f"REINDEX TABLE CONCURRENTLY dialstack.{table}")
            admin.execute(f"CREATE INDEX CONCURRENTLY added ON dialstack.{table} {INDEXES[table]}")
            admin.execute("DROP INDEX CONCURRENTLY dialstack.added")
        admin.execute(f"CREATE INDEX CONCURRENTLY added ON dialstack.{table} {INDEXES[table]}")
    finally:
        stop.set()
        rounds = [user.result() for user in users]
    assert all(rounds)

    checked = admin.execute(
        "SELECT bt_index_check(indexrelid, true) FROM pg_index JOIN pg_class c ON c.oid = indexrelid "
        "JOIN pg_am m ON m.oid = relam WHERE amname = 'btree' AND indrelid = %s::regclass",
        [f"dialstack.{table}"],
    ).fetchall()
    assert len(checked) >= 3
    assert admin.execute("SELECT * FROM verify_heapam(%s)", [f"dialstack.{table}"]).fetchall() == []
    admin.execute("DROP INDEX dialstack.added")
