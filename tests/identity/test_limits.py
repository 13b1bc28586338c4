"""Sizes, times and rubbish: what is remembered is bounded, what has expired is dead."""

import re

import pytest
from psycopg import errors
from psycopg.types.json import Jsonb
from support.cluster import as_server
from support.service import Shop, call, connect, keep_presenting, present, until, value, verify
from world import FAMILIES, NOTHING, error, session_id

# The cache


def set_size(connection, size):
    connection.execute(f"SET dialstack_sessions.verdict_cache_size = {size}")


@pytest.mark.parametrize("size", [0, 1, 2])
def test_a_small_cache_answers_the_same(world, admin, connect, size):
    """More tokens than it holds, in turns, with changes in between."""
    connection = connect()
    set_size(connection, size)
    sessions = [world.client_session(n % 3 + 1) for n in range(5)]
    revoked = set()

    def check():
        for _ in range(2):
            for session in sessions:
                good = session.token not in revoked
                assert verify(connection, session.token).valid is good
                keep_presenting(connection, session.token)
                assert (session_id(connection) is not None) is good
                assert error(connection) == (None if good else "revoked")

    check()
    for session in sessions[1:4]:
        call(admin, "client_session_revoke", client_session_id=session.client_session_id,
             **world.place)  # fmt: skip
        revoked.add(session.token)
        check()


def memory(connection, field="RssAnon"):
    """Kilobytes of a backend that are its own; as VmHWM the most that it had so far, shared ones included."""
    status = as_server("cat", f"/proc/{connection.info.backend_pid}/status").stdout
    return sum(int(n) for n in re.findall(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE))


def test_memory_is_bounded_by_the_size_of_the_cache(world, admin, connect):
    """Hundreds of tokens with much data each, through a cache for a few."""
    note = "x" * 3000
    query = (
        "SELECT array_agg((SELECT token FROM dialstack.session_start(%s, %s, %s, "
        "jsonb_build_object('userId', 'user_' || n, 'note', %s::text)))) "
        "FROM generate_series(1, 500) n"
    )
    tokens = value(admin, query, world.product, world.env, world.shop.tag, note)
    small, large = connect(), connect()

    def verify_all(connection):
        # One by one: what a statement for all of them needs would leave room for the cache. Twice: a token is
        # remembered when it comes again.
        assert all(verify(connection, token).valid for token in tokens for _ in range(2))

    # What a statement itself needs, both have taken when it begins.
    for connection in (small, large):
        set_size(connection, 0)
        verify_all(connection)
    before = {connection: memory(connection) for connection in (small, large)}
    set_size(small, 50)
    set_size(large, 100_000)
    for connection in (small, large):
        verify_all(connection)
    growth = {connection: memory(connection) - before[connection] for connection in before}
    # 500 tokens of 7 kB with data of 3 kB are 5 MB, of which some fits into what the statements have left.
    assert growth[large] > 2_000, growth.values()
    assert growth[small] < 1_000, growth.values()


def test_presenting_thousands_of_tokens_needs_no_more_memory(world, connect):
    connection = connect()
    token = world.token("user")
    loop = (
        "DO $$ BEGIN FOR n IN 1..{n} LOOP "
        "PERFORM set_config('dialstack_sessions.token', '{token}' || n, true); "
        "PERFORM dialstack.current_identifier(); END LOOP; END $$"
    )
    connection.execute(loop.format(n=200, token=token))
    before = memory(connection)
    connection.execute(loop.format(n=20_000, token=token))
    assert memory(connection) - before < 10_000


def test_one_statement_that_presents_tokens_in_turns_needs_no_more_memory(world, connect):
    """The data of a session has kilobytes, and a place in a query that asks for it lives as long as the query."""
    connection = connect()
    data = [Jsonb({"userId": user, "note": "x" * 3000}) for user in ("ann", "ben")]
    sessions = [call(connection, "session_start", tag=world.shop.tag, data=one, **world.place) for one in data]
    connection.execute("SELECT set_config('my.t' || n, t, false) FROM unnest(%s::text[]) WITH ORDINALITY u (t, n)",
                       [[session.token for session in sessions]])  # fmt: skip
    query = (
        "SELECT count(DISTINCT dialstack.current_data()) FROM (SELECT set_config('dialstack_sessions.token', "
        "current_setting('my.t' || n %% 2 + 1), false) FROM generate_series(1, %s) n OFFSET 0) q"
    )
    assert value(connection, query, 200) == 2
    before = memory(connection, "VmHWM")
    assert value(connection, query, 20_000) == 2
    assert memory(connection, "VmHWM") - before < 30_000


# Time


@pytest.fixture
def short(world, admin):
    """A definition whose tokens live for two seconds."""
    shop = Shop(world.product, tag="short")
    shop.define(admin, expiry=2, period="seconds")
    return shop


@pytest.mark.parametrize("size", [1024, 0], ids=["remembered", "not_remembered"])
def test_a_token_dies_at_its_time_in_an_open_transaction(world, admin, visit, short, size):
    visitor = visit()
    set_size(visitor, size)
    session = short.create(admin, "user_1")
    with visitor.transaction():
        present(visitor, session.token)
        assert world.seen(visitor) == world.rows_of("user", 1)
        until(lambda: value(admin, "SELECT clock_timestamp()") >= session.expires_at, "the expiry")
        assert (world.seen(visitor), error(visitor)) == (NOTHING, "expired")
        assert verify(visitor, session.token).reason == "expired"


def test_a_statement_that_began_in_time_ends_with_its_identity(world, admin, visit, short):
    """All of its rows, and its workers, judge by when it began."""
    visitor = visit()
    session = short.create(admin, "user_1")
    keep_presenting(visitor, session.token)
    assert session_id(visitor) == session.session_id
    seconds = (session.expires_at - value(admin, "SELECT clock_timestamp()")).total_seconds() + 0.5
    row = visitor.execute(
        "SELECT dialstack.current_identifier() AS before, pg_sleep(%s), "
        "dialstack.current_identifier() AS after, dialstack.current_session_error() AS error",
        [seconds],
    ).fetchone()
    assert (row.before, row.after, row.error) == ("user_1", "user_1", None)
    assert (session_id(visitor), error(visitor)) == (None, "expired")


def test_a_procedure_that_commits_after_the_expiry_goes_on_as_nobody(admin, visit, short):
    visitor = visit()
    heard = []
    visitor.add_notice_handler(lambda notice: heard.append(notice.message_primary))
    session = short.create(admin, "user_1")
    keep_presenting(visitor, session.token)
    visitor.execute(
        f"""
        DO $$
        BEGIN
            FOR pass IN 1..3 LOOP
                RAISE NOTICE '%', dialstack.current_identifier();
                RAISE NOTICE '%', (SELECT dialstack.current_identifier());
                PERFORM pg_sleep(extract(epoch FROM '{session.expires_at}' - clock_timestamp()) + 0.1);
                RAISE NOTICE '%', dialstack.current_identifier();
                COMMIT;
            END LOOP;
        END $$
        """
    )
    assert heard == ["user_1"] * 3 + ["<NULL>"] * 6


def test_an_opaque_token_dies_at_its_time_though_it_is_remembered(world, visitor):
    token = world.account_session(1, expires_in="2 seconds").client_secret
    keep_presenting(visitor, token)
    # A token that comes again is remembered.
    for _ in range(2):
        assert world.seen(visitor) == world.rows_of("account", 1)
    until(lambda: error(visitor), "the expiry")
    assert (world.seen(visitor), error(visitor)) == (NOTHING, "expired")


# Rubbish


def test_bytes_that_are_no_text_are_invalid(world, admin, visit):
    """They come in where the encoding is not checked: through a database that has none."""
    admin.execute("CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    try:
        with connect(dbname="bytes") as raw:
            raw.execute(b"ALTER ROLE visitor SET dialstack_sessions.token = 'cs_live_\x80\xff'")
        visitor = visit()
        assert (world.seen(visitor), error(visitor)) == (NOTHING, "invalid")
    finally:
        admin.execute("ALTER ROLE visitor RESET ALL")
        admin.execute("DROP DATABASE bytes WITH (FORCE)")


# The extension comes and goes


def account_session(connection):
    call(connection, "product_create", product="p")
    call(connection, "env_create", product="p", env="e")
    return call(connection, "account_session_create", account="acct_1").client_secret


def test_a_new_extension_knows_nothing_of_the_old_one(elsewhere):
    with connect(dbname="elsewhere") as other:
        token = account_session(elsewhere)
        for connection in (elsewhere, other):
            keep_presenting(connection, token)
            assert value(connection, "SELECT dialstack.current_account()") == "acct_1"

        elsewhere.execute("DROP EXTENSION dialstack_sessions")

        for connection in (elsewhere, other):
            with pytest.raises((errors.InvalidSchemaName, errors.UndefinedFunction)):
                connection.execute("SELECT dialstack.current_account()")
            # The setting does no harm.
            assert value(connection, "SELECT 1") == 1

        elsewhere.execute("CREATE EXTENSION dialstack_sessions")

        for connection in (elsewhere, other):
            assert value(connection, "SELECT dialstack.current_account()") is None
            assert error(connection) == "invalid"
        again = account_session(elsewhere)
        for connection in (elsewhere, other):
            keep_presenting(connection, again)
            assert value(connection, "SELECT dialstack.current_account()") == "acct_1"


# Upkeep does not disturb


@pytest.mark.parametrize(
    "upkeep",
    [
        "VACUUM FULL dialstack.sessions",
        "VACUUM FULL dialstack.signing_keys",
        "REINDEX SCHEMA dialstack",
    ],
)
def test_upkeep_disturbs_nobody_and_hides_no_revocation(world, admin, visit, upkeep):
    tokens = {family: world.token(family) for family in FAMILIES}
    visitors = {family: visit() for family in FAMILIES}
    for family, visitor in visitors.items():
        keep_presenting(visitor, tokens[family])
        assert world.seen(visitor) == world.rows_of(family, 1)
    admin.execute(upkeep)
    for family, visitor in visitors.items():
        assert world.seen(visitor) == world.rows_of(family, 1)
        assert verify(visitor, tokens[family]).valid
    admin.execute(upkeep)
    for family, visitor in visitors.items():
        keep_presenting(admin, tokens[family])
        assert value(admin, "SELECT dialstack.session_end()") == 1
        assert (world.seen(visitor), error(visitor)) == (NOTHING, "revoked")


def test_a_message_queue_that_overflowed_loses_no_revocation(world, admin, visit):
    """A connection that slept through thousands of changes of other tables forgets everything."""
    visitor = visit()
    token = world.token("account")
    keep_presenting(visitor, token)
    assert world.seen(visitor) == world.rows_of("account", 1)
    keep_presenting(admin, token)
    assert value(admin, "SELECT dialstack.session_end()") == 1
    admin.execute(
        "DO $$ BEGIN FOR n IN 1..700 LOOP "
        "CREATE TEMP TABLE filler (n int); DROP TABLE filler; END LOOP; END $$"
    )
    assert (world.seen(visitor), error(visitor)) == (NOTHING, "revoked")
