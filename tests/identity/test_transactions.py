"""The presented token follows transactions and savepoints; so does what they did to its session."""

import pytest
from psycopg import errors
from support.service import call, keep_presenting, present, value, verify
from world import FAMILIES, NOTHING, error, session_id


def rolled_back(connection):
    return connection.transaction(force_rollback=True)


@pytest.fixture
def tokens(world):
    """A token of each tenant."""
    return {n: world.token("account", n) for n in (1, 2, 3)}


def shown(world, visitor):
    """The tenants whose account rows are shown."""
    return {n for table, n in world.seen(visitor) if table == "of_account"}


# The token


def test_a_local_token_ends_with_its_transaction(world, visitor, tokens):
    for rollback in (False, True):
        with visitor.transaction(force_rollback=rollback):
            present(visitor, tokens[1])
            assert shown(world, visitor) == {1}
        assert shown(world, visitor) == set()


def test_a_lasting_token_outlives_its_transaction_unless_that_rolls_back(world, visitor, tokens):
    with visitor.transaction():
        keep_presenting(visitor, tokens[1])
    assert shown(world, visitor) == {1}
    with rolled_back(visitor):
        keep_presenting(visitor, tokens[2])
        assert shown(world, visitor) == {2}
    assert shown(world, visitor) == {1}


def test_a_local_token_hides_a_lasting_one_for_a_while(world, visitor, tokens):
    keep_presenting(visitor, tokens[1])
    with visitor.transaction():
        present(visitor, tokens[2])
        assert shown(world, visitor) == {2}
        present(visitor, "")
        assert shown(world, visitor) == set()
    assert shown(world, visitor) == {1}


def test_savepoints_nest(world, visitor, tokens):
    with visitor.transaction():
        present(visitor, tokens[1])
        with rolled_back(visitor):
            present(visitor, tokens[2])
            with rolled_back(visitor):
                present(visitor, tokens[3])
                assert shown(world, visitor) == {3}
            assert shown(world, visitor) == {2}
            with visitor.transaction():
                present(visitor, tokens[3])
            assert shown(world, visitor) == {3}
        assert shown(world, visitor) == {1}
        visitor.execute("SAVEPOINT a")
        present(visitor, "rubbish")
        assert error(visitor) == "invalid"
        visitor.execute("ROLLBACK TO a")
        assert (shown(world, visitor), error(visitor)) == ({1}, None)


def test_an_error_restores_what_was_before(world, visitor, tokens):
    with visitor.transaction():
        present(visitor, tokens[1])
        with pytest.raises(errors.DivisionByZero), visitor.transaction():
            present(visitor, tokens[2])
            assert shown(world, visitor) == {2}
            visitor.execute("SELECT 1/0")
        assert shown(world, visitor) == {1}
    with pytest.raises(errors.DivisionByZero):
        visitor.execute(
            f"SELECT set_config('dialstack_sessions.token', '{tokens[3]}', false), "
            "1 / (random() * 0)::int"
        )
    assert shown(world, visitor) == set()


def test_session_clear_is_undone_like_any_setting(world, visitor, tokens):
    keep_presenting(visitor, tokens[1])
    with rolled_back(visitor):
        visitor.execute("SELECT dialstack.session_clear()")
        assert shown(world, visitor) == set()
    assert shown(world, visitor) == {1}
    with visitor.transaction():
        present(visitor, tokens[2])
        visitor.execute("SELECT dialstack.session_clear()")
        assert shown(world, visitor) == set()
    assert shown(world, visitor) == set()


@pytest.mark.parametrize("local", [True, False], ids=["local", "lasting"])
def test_a_token_set_before_the_library_was_loaded_behaves_the_same(world, visit, tokens, local):
    setting = "SET LOCAL" if local else "SET"
    visitor = visit()
    with visitor.transaction():
        # Nothing of ours was called yet: the setting is but a placeholder.
        visitor.execute(f"{setting} dialstack_sessions.token = '{tokens[1]}'")
        with rolled_back(visitor):
            visitor.execute(f"{setting} dialstack_sessions.token = '{tokens[2]}'")
            assert shown(world, visitor) == {2}
        assert shown(world, visitor) == {1}
    assert shown(world, visitor) == (set() if local else {1})

    visitor = visit()
    with rolled_back(visitor):
        visitor.execute(f"{setting} dialstack_sessions.token = '{tokens[1]}'")
        assert shown(world, visitor) == {1}
    assert shown(world, visitor) == set()


# session_use


@pytest.mark.parametrize("family", FAMILIES)
def test_session_use_returns_the_session(world, visitor, family):
    token = world.token(family, 2)
    with visitor.transaction():
        row = call(visitor, "session_use", token=token)
        assert row == verify(visitor, token)
        assert (row.kind, row.valid) == (family, True)
        assert world.seen(visitor) == world.rows_of(family, 2)
        assert session_id(visitor) == row.session_id
    assert world.seen(visitor) == NOTHING


def test_session_use_of_a_bad_token_changes_nothing(world, visitor, tokens):
    keep_presenting(visitor, tokens[1])
    for bad in ("rubbish", "", None, tokens[2][:-1]):
        for is_local in (True, False):
            with pytest.raises(errors.InsufficientPrivilege, match="^VERIFY_FAILED"):
                call(visitor, "session_use", token=bad, is_local=is_local)
    with pytest.raises(errors.InsufficientPrivilege, match="^VERIFY_FAILED"):
        call(visitor, "session_use", token=tokens[2], is_local=None)
    assert shown(world, visitor) == {1}


def test_session_use_works_where_nothing_can_be_written(world, visitor, tokens):
    visitor.read_only = True
    with visitor.transaction():
        call(visitor, "session_use", token=tokens[1])
        assert shown(world, visitor) == {1}
        with pytest.raises(errors.ReadOnlySqlTransaction), visitor.transaction():
            visitor.execute("SELECT dialstack.session_end()")
        assert shown(world, visitor) == {1}
        visitor.execute("SELECT dialstack.session_clear()")
        assert shown(world, visitor) == set()


def test_session_use_in_a_function_lasts_as_set_local_does(world, visitor, tokens):
    """Longer than the function, unless that has a setting of the token of its own."""
    visitor.execute(
        "CREATE FUNCTION pg_temp.sign_in(token text) RETURNS void LANGUAGE sql "
        "SET search_path = pg_catalog AS 'SELECT dialstack.session_use(token)'"
    )
    visitor.execute("SELECT dialstack.session_clear()")
    visitor.execute(
        "CREATE FUNCTION pg_temp.peek(token text) RETURNS text LANGUAGE sql "
        "SET dialstack_sessions.token = '' AS "
        "'SELECT account FROM dialstack.session_use(token)'"
    )
    with visitor.transaction():
        visitor.execute("SELECT pg_temp.sign_in(%s)", [tokens[1]])
        assert shown(world, visitor) == {1}
        assert value(visitor, "SELECT pg_temp.peek(%s)", tokens[2]) == "acct_2"
        assert shown(world, visitor) == {1}
    assert shown(world, visitor) == set()


@pytest.fixture
def warnings(visitor):
    heard = []
    visitor.add_notice_handler(lambda notice: heard.append(notice.sqlstate))
    return heard


USE = "SELECT valid FROM dialstack.session_use('{token}', {local})"

# Statement, and whether a local use of it is in vain.
USES = {
    "alone": (USE, True),
    "lasting": (USE, False),
    "transaction": (f"BEGIN; {USE}; COMMIT", False),
    "savepoint": (f"BEGIN; SAVEPOINT a; {USE}; COMMIT", False),
    "several statements": (f"{USE}; SELECT 1", False),
    "block": (
        "DO $$ BEGIN PERFORM * FROM dialstack.session_use('{token}', {local}); "
        "PERFORM dialstack.current_account(); END $$",
        False,
    ),
}


@pytest.mark.parametrize("case", USES)
def test_a_local_use_that_is_in_vain_warns(visitor, tokens, warnings, case):
    statement, in_vain = USES[case]
    local = "false" if case == "lasting" else "true"
    visitor.execute(statement.format(token=tokens[1], local=local))
    assert warnings == (["25P01"] if in_vain else [])


@pytest.mark.parametrize("followed", [True, False])
def test_a_local_use_in_a_pipeline_warns_only_if_nothing_follows(visitor, tokens, warnings, followed):
    account = None
    with visitor.pipeline():
        visitor.execute(USE.format(token=tokens[1], local="true"))
        if followed:
            account = visitor.execute("SELECT dialstack.current_account()")
    assert account is None or account.fetchone() == ("acct_1",)
    assert warnings == ([] if followed else ["25P01"])
    # The next statement is another transaction.
    assert value(visitor, "SELECT dialstack.current_account()") is None


# The session


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [1024, 0])
def test_a_session_whose_creation_rolls_back_is_forgotten(world, connect, family, size):
    connection = connect()
    connection.execute(f"SET dialstack_sessions.verdict_cache_size = {size}")
    make = {
        "account": lambda: world.account_session(1, connection=connection).client_secret,
        "client": lambda: world.client_session(1, connection=connection).token,
        "user": lambda: world.user_session(1, connection=connection).token,
    }[family]
    for end in ("transaction", "savepoint"):
        with connection.transaction():
            with rolled_back(connection):
                token = make()
                present(connection, token)
                for _ in range(2):
                    assert verify(connection, token).valid
                    assert session_id(connection) is not None
            present(connection, token)
            assert verify(connection, token).reason == "invalid"
            assert (session_id(connection), error(connection)) == (None, "invalid")
        keep_presenting(connection, token)
        assert verify(connection, token).reason == "invalid", end
        assert (session_id(connection), error(connection)) == (None, "invalid")


def test_a_session_made_in_a_block_that_fails_is_forgotten_in_the_same_statement(world, connect):
    """The statement's time stays, the transaction's changes do not."""
    connection = connect()
    connection.execute(
        """
        CREATE FUNCTION pg_temp.attempt(product text, env text)
        RETURNS text[] LANGUAGE plpgsql AS $$
        DECLARE
            token text;
            answers text[];
        BEGIN
            BEGIN
                token := (SELECT client_secret FROM dialstack.account_session_create(
                    'acct_1', product => $1, env => $2));
                PERFORM set_config('dialstack_sessions.token', token, false);
                answers := ARRAY[dialstack.current_account()];
                RAISE division_by_zero;
            EXCEPTION WHEN division_by_zero THEN
            END;
            answers := answers || dialstack.current_session_error();
            PERFORM set_config('dialstack_sessions.token', token, false);
            RETURN answers || dialstack.current_account() || dialstack.current_session_error();
        END $$"""
    )
    query = "SELECT pg_temp.attempt(%s, %s)"
    assert value(connection, query, world.product, world.env) == ["acct_1", None, None, "invalid"]
