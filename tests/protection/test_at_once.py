"""protect_table beside others who change the same table."""

import pytest
from psycopg import errors
from support.levels import LEVELS, OLD_SNAPSHOTS
from support.service import (
    Background,
    await_lock,
    call,
    retrying,
    together,
    value,
)

@LEVELS
def test_many_at_once_leave_one_whole_protection(landlord, isolation):
    table = landlord.table(columns="id int, account text, u uuid", rows="(1, 'blue', NULL)")
    choices = [("account", "account"), ("u", "connected_account"), ("u", "account"), ("account", "identifier")]

    def work(column, by):
        def once(connection):
            for _ in range(10):
                retrying(lambda: landlord.protect(connection, table, column=column, by=by))

        return once

    together([work(*choice) for choice in choices], isolation)

    ((column, _, by, _),) = landlord.registered(table)
    policy = landlord.policies(table)["dialstack_sessions_access"]
    helper = {
        "account": "current_account(",
        "connected_account": "current_connected_accounts(",
        "identifier": "current_identifier(",
    }[by]
    assert (column, by) in choices
    assert helper in policy and f"({column} = " in policy


@LEVELS
def test_protecting_and_unprotecting_at_once_agree_in_the_end(landlord, isolation):
    table = landlord.table()

    def protect(connection):
        for _ in range(15):
            retrying(lambda: landlord.protect(connection, table))

    def unprotect(connection):
        for _ in range(15):
            retrying(lambda: call(connection, "unprotect_table", relation=table))

    together([protect, unprotect, protect, unprotect], isolation)

    query = "SELECT relrowsecurity FROM pg_class WHERE oid = %s::regclass"
    secured = value(landlord.admin, query, table)
    assert bool(landlord.policies(table)) == secured == bool(landlord.registered(table))


@LEVELS
def test_a_policy_that_came_while_it_waited_is_seen(connect, landlord, isolation):
    table = landlord.table()
    other, mine = connect(), connect(isolation=isolation)
    with pytest.raises(errors.InvalidParameterValue, match="other permissive policies"):
        with mine.transaction():
            mine.execute("SELECT 1")
            with other.transaction():
                other.execute(f"CREATE POLICY wide ON {table} USING (true)")
                waiting = Background(landlord.protect, mine, table)
                await_lock(landlord.admin, mine)
            waiting.result()
    assert list(landlord.policies(table)) == ["wide"]


@OLD_SNAPSHOTS
def test_what_the_snapshot_does_not_show_is_seen(connect, landlord, isolation):
    """A policy, a partition and a type that were committed after the transaction began."""
    open_table = landlord.table("open_table")
    parted = f"{landlord.schema}.parted"
    landlord.admin.execute(f"CREATE TABLE {parted} (id int, account text) PARTITION BY LIST (id)")
    retyped = landlord.table("retyped")
    mine = connect(isolation=isolation)
    with mine.transaction():
        mine.execute("SELECT count(*) FROM pg_class").fetchone()
        landlord.admin.execute(f"CREATE POLICY wide ON {open_table} USING (true)")
        landlord.admin.execute(f"CREATE TABLE {parted}_1 PARTITION OF {parted} DEFAULT")
        landlord.admin.execute(f"ALTER TABLE {retyped} ALTER account TYPE varchar(9)")
        with pytest.raises(errors.InvalidParameterValue, match="other permissive"):
            with mine.transaction():
                landlord.protect(mine, open_table)
        landlord.protect(mine, parted)
        landlord.protect(mine, retyped)

    assert list(landlord.policies(f"{parted}_1")) == ["dialstack_sessions_access"]
    assert "(account)::text = " in landlord.policies(retyped)["dialstack_sessions_access"]


def test_a_table_that_was_dropped_while_it_waited_is_none(behind, landlord):
    table = landlord.table()
    oid = value(landlord.admin, "SELECT %s::regclass::oid", table)
    drop = lambda connection: connection.execute(f"DROP TABLE {table}")
    _, waiting = behind(drop, lambda connection: landlord.protect(connection, oid))
    with pytest.raises(errors.InvalidParameterValue, match="there is no such table"):
        waiting.result()


def test_a_partition_that_is_being_attached_is_waited_for(behind, landlord, tenant):
    parted = f"{landlord.schema}.parted"
    landlord.admin.execute(f"CREATE TABLE {parted} (id int, account text) PARTITION BY LIST (account)")
    part = landlord.table("part", rows="(1, 'blue'), (2, 'red')")
    attach = lambda connection: connection.execute(f"ALTER TABLE {parted} ATTACH PARTITION {part} DEFAULT")
    _, waiting = behind(attach, lambda connection: landlord.protect(connection, parted))
    waiting.result()
    assert tenant("blue", part) == tenant("blue", parted) == {1}


def test_a_transaction_that_reads_the_table_sees_one_protection_or_the_other(connect, landlord, tenant):
    """A query that runs while the table is protected anew never sees it open."""
    table = landlord.table()
    landlord.protect(landlord.admin, table)
    assert tenant("blue", table) == {1}

    def again(connection):
        for n in range(60):
            landlord.protect(connection, table, scope="call_logs" if n % 2 else None)

    def read(_):
        return {frozenset(tenant("blue", table)) for _ in range(200)}

    _, answers = together([again, read])
    assert answers == {frozenset({1})}


def test_the_lint_waits_for_nobody(connect, landlord):
    table = landlord.table()
    landlord.protect(landlord.admin, table)
    other = connect()
    query = "SELECT weakness FROM dialstack.policy_lint() WHERE relation = %s"
    oid = value(landlord.admin, "SELECT %s::regclass::oid", table)
    with other.transaction():
        other.execute(f"ALTER TABLE {table} RENAME account TO account_2")
        found = {row.weakness for row in landlord.admin.execute(query, [oid])}
        assert "busy" in found and "policy_changed" not in found
    found = {row.weakness for row in landlord.admin.execute(query, [oid])}
    assert "policy_changed" in found and "busy" not in found
