"""What stays in a pooled connection, and what a pooler's settings change about that."""

import pytest
from support.service import present, value
from support.tenants import READER, owners

BY_SETTING = "SET dialstack_sessions.token = '{}'"
BY_CALL = "SELECT * FROM dialstack.session_use('{}', is_local => false)"
LASTING = pytest.mark.parametrize("statement", [BY_SETTING, BY_CALL], ids=["set", "session_use"])


def everywhere(pooler, work):
    """Does it in both connections to the server at once, each held by a transaction."""
    first, second = pooler.connect(READER), pooler.connect(READER)
    with first, second, first.transaction(), second.transaction():
        return work(first), work(second)


@LASTING
def test_who_says_who_it_is_in_each_transaction_is_nobody_else(start_pooler, tenants, statement):
    pooler, victim = start_pooler(pool_mode="transaction"), tenants.all[3]
    everywhere(pooler, lambda c: c.execute(statement.format(victim.tokens["user"])))

    def nobody(connection):
        present(connection, "")
        return owners(connection, "user")

    def somebody(connection):
        present(connection, tenants.all[4].tokens["user"])
        return set(owners(connection, "user"))

    assert everywhere(pooler, nobody) == ([], [])
    assert everywhere(pooler, somebody) == ({"tenant-4"}, {"tenant-4"})


@LASTING
def test_a_pooler_that_resets_after_each_transaction_takes_it_away(
    start_pooler, tenants, statement
):
    pooler = start_pooler(
        pool_mode="transaction", server_reset_query="DISCARD ALL", server_reset_query_always=1
    )
    everywhere(pooler, lambda c: c.execute(statement.format(tenants.all[3].tokens["user"])))

    assert everywhere(pooler, lambda c: owners(c, "user")) == ([], [])


@LASTING
def test_pooling_by_session_keeps_it_for_the_client_and_no_longer(
    start_pooler, tenants, statement
):
    pooler = start_pooler(pool_mode="session", default_pool_size=1)
    with pooler.connect(READER) as client:
        pid = value(client, "SELECT pg_backend_pid()")
        client.execute(statement.format(tenants.all[3].tokens["user"]))
        assert set(owners(client, "user")) == {"tenant-3"}
        assert set(owners(client, "user")) == {"tenant-3"}

    with pooler.connect(READER) as another:
        assert value(another, "SELECT pg_backend_pid()") == pid
        assert owners(another, "user") == []


def test_a_revocation_is_obeyed_by_every_pooled_connection(pooler, tenants, admin):
    tenant = tenants.add(admin, "tenant-to-leave")

    def look(connection):
        present(connection, tenant.tokens["user"])
        return set(owners(connection, "user"))

    assert everywhere(pooler, look) == ({tenant.name}, {tenant.name})
    with pooler.connect(READER) as client, client.transaction():
        present(client, tenant.tokens["user"])
        assert value(client, "SELECT dialstack.session_end()") == 1

    assert everywhere(pooler, look) == (set(), set())
