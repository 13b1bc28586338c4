"""What one connection commits, the next statement of another obeys, in an open transaction."""

import pytest
from changes import CASES, EXTREMES, KINDS, UNDOABLE, Tenant, session_end, session_revoke
from support.service import (
    Background,
    Shop,
    await_lock,
    call,
    keep_presenting,
    present,
    refresh,
    value,
    verify,
)
from world import FAMILIES, NOTHING, World, error, session_id


@EXTREMES
@CASES
def test_the_next_statement_sees_nothing(world, admin, visit, kind, family, change):
    tenant = Tenant(world, family)
    visitor = visit(**kind)
    with visitor.transaction():
        present(visitor, tenant.token)
        assert world.seen(visitor) == tenant.rows
        assert (session_id(visitor), error(visitor)) == (tenant.id, None)
        assert verify(visitor, tenant.token).valid

        reason = change(admin, tenant)

        assert verify(visitor, tenant.token).reason == reason
        assert world.seen(visitor) == NOTHING
        assert (session_id(visitor), error(visitor)) == (None, reason)
    with visitor.transaction():
        present(visitor, tenant.token)
        assert (world.seen(visitor), error(visitor)) == (NOTHING, reason)


@pytest.mark.parametrize("family", FAMILIES)
def test_truncation_is_obeyed_too(world, admin, visit, family):
    tenant = Tenant(world, family)
    visitor = visit()
    keep_presenting(visitor, tenant.token)
    # A token that comes again is remembered.
    for _ in range(2):
        assert world.seen(visitor) == tenant.rows
    admin.execute(f"TRUNCATE {tenant.table}")
    assert (world.seen(visitor), error(visitor)) == (NOTHING, "invalid")


@KINDS
def test_others_keep_what_they_have(world, admin, visit, kind):
    tenant, other = Tenant(world, "user", 1), Tenant(world, "user", 2)
    visitor = visit(**kind)
    with visitor.transaction():
        present(visitor, other.token)
        assert world.seen(visitor) == other.rows
        session_revoke(admin, tenant)
        assert world.seen(visitor) == other.rows


# In one statement of the client many of PL/pgSQL follow each other. The block asks, then waits for a lock that the
# revoking connection holds, then asks again.

DECLARE = "DO $$ DECLARE before int; after int; n int; BEGIN "
BLOCK = """
    {before};
    PERFORM pg_advisory_xact_lock(1);
    {after};
    PERFORM set_config('test.counts', before || ' ' || after, true);
"""
ROWS = "SELECT count(*) INTO {{}} FROM {table}"

BLOCKS = {
    "do": (DECLARE + "{block} END $$", ROWS),
    "do_in_exception_block": (
        DECLARE + "BEGIN {block} EXCEPTION WHEN division_by_zero THEN NULL; END; END $$", ROWS
    ),
    "loop_over_a_cursor": (
        DECLARE + "FOR n IN SELECT generate_series(1, 1) LOOP {block} END LOOP; END $$", ROWS
    ),
    # No statement of its own, nor one that names a table.
    "expression": (DECLARE + "{block} END $$", "{{}} := (dialstack.current_session_id() IS NOT NULL)::int"),
}


@EXTREMES
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_obeys_at_its_next_statement(world, admin, visit, kind, family, block):
    tenant = Tenant(world, family)
    visitor = visit(**kind)
    frame, ask = BLOCKS[block]
    ask = ask.format(table=f"{world.schema}.{sorted(tenant.rows)[0][0]}")
    text = frame.format(block=BLOCK.format(before=ask.format("before"), after=ask.format("after")))
    with visitor.transaction():
        present(visitor, tenant.token)
        assert world.seen(visitor) == tenant.rows
        with admin.transaction():
            admin.execute("SELECT pg_advisory_xact_lock(1)")
            running = Background(visitor.execute, text)
            await_lock(admin, visitor)
            session_end(admin, tenant)
        running.result()
        assert value(visitor, "SELECT current_setting('test.counts')") == "1 0"


# The server accepts invalidations where a statement names or locks a table. These do neither.


@KINDS
@pytest.mark.parametrize("family", FAMILIES)
def test_a_statement_that_touches_no_table_obeys(world, admin, visit, kind, family):
    tenant = Tenant(world, family)
    visitor = visit(**kind)
    visitor.execute("PREPARE helper AS SELECT dialstack.current_session_id()")
    visitor.execute("PREPARE verify(text) AS SELECT valid FROM dialstack.session_verify($1)")
    verify = f"EXECUTE verify('{tenant.token}')"
    with visitor.transaction():
        present(visitor, tenant.token)
        for _ in range(2):
            assert value(visitor, "EXECUTE helper") == tenant.id
            assert value(visitor, verify)
        session_end(admin, tenant)
        assert value(visitor, "EXECUTE helper") is None
    # And the other one, which may know of it from the first.
    tenant = Tenant(world, family)
    verify = f"EXECUTE verify('{tenant.token}')"
    with visitor.transaction():
        for _ in range(2):
            assert value(visitor, verify)
        session_end(admin, tenant)
        assert not value(visitor, verify)


@KINDS
def test_rows_of_a_bare_helper_end_in_the_middle_of_a_cursor(world, admin, visit, kind):
    """A cursor is one statement. A wrapped helper is asked once, a bare one for each row."""
    tenant = Tenant(world, "account")
    for table in ("of_account", "of_account_bare"):
        name = f"{world.schema}.{table}"
        admin.execute(f"INSERT INTO {name} SELECT 1, 'acct_1' FROM generate_series(1, 99)")
    visitor = visit(**kind)
    with visitor.transaction():
        present(visitor, tenant.token)
        for table in ("of_account", "of_account_bare"):
            visitor.execute(f"DECLARE rows_{table} CURSOR FOR SELECT * FROM {world.schema}.{table}")
            assert len(visitor.execute(f"FETCH 10 FROM rows_{table}").fetchall()) == 10

        session_end(admin, tenant)

        assert len(visitor.execute("FETCH ALL FROM rows_of_account").fetchall()) == 90
        assert len(visitor.execute("FETCH ALL FROM rows_of_account_bare").fetchall()) == 0
        assert world.seen(visitor) == NOTHING


@UNDOABLE
def test_a_savepoint_undoes_it_and_nobody_else_hears_of_it(world, connect, visit, family, change):
    """Right before it, after it and after the rollback to before it."""
    tenant = Tenant(world, family)
    connection, visitor = connect(), visit()
    with visitor.transaction(), connection.transaction(force_rollback=True):
        for each in (connection, visitor):
            present(each, tenant.token)
        connection.execute("SET LOCAL ROLE visitor")
        assert world.seen(connection) == world.seen(visitor) == tenant.rows
        for _ in range(2):
            with connection.transaction(force_rollback=True):
                connection.execute("RESET ROLE")
                reason = change(connection, tenant)
                present(connection, tenant.token)
                connection.execute("SET LOCAL ROLE visitor")
                assert (world.seen(connection), error(connection)) == (NOTHING, reason)
                assert verify(connection, tenant.token).reason == reason
                assert world.seen(visitor) == tenant.rows
            assert (world.seen(connection), error(connection)) == (tenant.rows, None)
            assert verify(connection, tenant.token).valid
    keep_presenting(visitor, tenant.token)
    assert world.seen(visitor) == tenant.rows


def test_a_plain_refresh_leaves_the_presented_token_good(world, admin, visit):
    tenant = Tenant(world, "user")
    visitor = visit()
    with visitor.transaction():
        present(visitor, tenant.token)
        assert world.seen(visitor) == tenant.rows
        assert refresh(admin, tenant.session.refresh_token).ok
        assert world.seen(visitor) == tenant.rows


def test_two_products_do_not_disturb_each_other(world, admin, roles, visit):
    other = World(admin, readers="visitor, backend")
    tenant = Tenant(world, "user")
    visitor = visit()
    keep_presenting(visitor, tenant.token)
    call(admin, "env_delete", **other.place)
    Shop(other.product).define(admin, expiry=1)
    assert world.seen(visitor) == tenant.rows
    assert other.seen(visitor) == NOTHING
