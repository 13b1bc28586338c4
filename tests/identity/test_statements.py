"""In whatever kind of statement the helpers stand, they answer by the current identity."""

import pytest
from psycopg import errors, sql
from support.service import keep_presenting, present


@pytest.fixture
def tokens(world):
    return {n: world.token("account", n) for n in (1, 2, 3)}


@pytest.fixture(params=["of_account", "of_account_bare"])
def table(world, request):
    """Protected by a wrapped and by a bare helper."""
    return f"{world.schema}.{request.param}"


@pytest.fixture(params=["force_generic_plan", "force_custom_plan", "auto"])
def visitor(visit, request):
    visitor = visit()
    visitor.execute(f"SET plan_cache_mode = {request.param}")
    return visitor


def tenants(visitor, query, *arguments, **options):
    return [row[0] for row in visitor.execute(query, arguments, **options)]


def each_in_turn(visitor, tokens, ask, expected):
    """Asks as each tenant, as nobody and with rubbish, in and out of transactions."""
    for _ in range(3):
        for n, token in tokens.items():
            keep_presenting(visitor, token)
            assert ask() == expected(n)
        keep_presenting(visitor, "")
        assert ask() == expected(None)
        with visitor.transaction():
            present(visitor, tokens[2])
            assert ask() == expected(2)
            with visitor.transaction(force_rollback=True):
                present(visitor, tokens[3])
                assert ask() == expected(3)
            assert ask() == expected(2)
        keep_presenting(visitor, "rubbish")
        assert ask() == expected(None)


def rows(n):
    return [] if n is None else [n]


def test_a_prepared_statement_asks_anew(visitor, table, tokens):
    visitor.execute(f"PREPARE rows AS SELECT tenant FROM {table} WHERE tenant > $1")
    each_in_turn(visitor, tokens, lambda: tenants(visitor, "EXECUTE rows(0)"), rows)


def test_a_prepared_statement_of_the_protocol_asks_anew(visitor, table, tokens):
    query = f"SELECT tenant FROM {table} WHERE tenant > %s"
    each_in_turn(visitor, tokens, lambda: tenants(visitor, query, 0, prepare=True), rows)


def test_a_prepared_statement_serves_each_role(world, connect, table, tokens):
    """Planned for one role, executed for another: rows of the identity, all for a superuser."""
    connection = connect()
    connection.execute("SET plan_cache_mode = force_generic_plan")
    connection.execute(f"PREPARE rows AS SELECT tenant FROM {table} ORDER BY 1")
    for n in (1, 2, 3):
        keep_presenting(connection, tokens[n])
        for role, seen in {"postgres": [1, 2, 3], "visitor": [n], "backend": [n]}.items():
            connection.execute(f"SET ROLE {role}")
            assert tenants(connection, "EXECUTE rows") == seen
        connection.execute("RESET ROLE")
    connection.execute("SELECT dialstack.session_clear()")
    connection.execute("SET ROLE visitor")
    assert tenants(connection, "EXECUTE rows") == []


@pytest.mark.parametrize("volatility", ["STABLE", "VOLATILE"])
@pytest.mark.parametrize("language", ["sql", "plpgsql"])
def test_a_function_around_a_helper_asks_anew(visitor, world, tokens, volatility, language):
    body = f"SELECT dialstack.current_account({world.here.replace(chr(39), chr(39) * 2)})"
    if language == "plpgsql":
        body = f"BEGIN RETURN ({body}); END"
    visitor.execute(
        f"CREATE FUNCTION pg_temp.me() RETURNS text LANGUAGE {language} {volatility} AS '{body}'"
    )
    visitor.execute("PREPARE me AS SELECT pg_temp.me()")
    each_in_turn(
        visitor,
        tokens,
        lambda: tenants(visitor, "EXECUTE me"),
        lambda n: [n and f"acct_{n}"],
    )


# As (SELECT …) each is shown or touches what the identity owns.
WRITES = {
    "update": "UPDATE {table} SET account = account RETURNING tenant",
    "update_from": "UPDATE {table} t SET account = t.account FROM {table} o "
    "WHERE o.account = t.account RETURNING t.tenant",
    "writing_cte": "WITH gone AS (DELETE FROM {table} RETURNING tenant) SELECT tenant FROM gone",
    "insert_select": "INSERT INTO {table} SELECT tenant, account FROM {table} RETURNING tenant",
}


def test_a_write_touches_what_the_identity_owns(visitor, table, tokens):
    def ask():
        with visitor.transaction(force_rollback=True):
            return tenants(visitor, f"EXECUTE w_{name}")

    for name, query in WRITES.items():
        visitor.execute(f"PREPARE w_{name} AS {query.format(table=table)}")
        each_in_turn(visitor, tokens, ask, rows)


def test_a_default_and_a_check_ask_anew(admin, world, visitor, tokens):
    name = f"{world.schema}.notes"
    admin.execute(
        f"CREATE TABLE {name} (account text DEFAULT dialstack.current_account({world.here}) "
        f"CHECK (account = dialstack.current_account({world.here})), note text)"
    )
    admin.execute(f"GRANT ALL ON {name} TO visitor")
    visitor.execute(f"PREPARE note AS INSERT INTO {name} (note) VALUES ($1) RETURNING account")
    for _ in range(3):
        for n in (1, 2, 3):
            keep_presenting(visitor, tokens[n])
            assert tenants(visitor, "EXECUTE note('x')") == [f"acct_{n}"]
            with pytest.raises(errors.CheckViolation):
                visitor.execute(f"INSERT INTO {name} VALUES ('acct_{n % 3 + 1}')")
    keep_presenting(visitor, tokens[2])
    with visitor.cursor().copy(f"COPY {name} (note) FROM STDIN") as copy:
        copy.write_row(("copied",))
    assert tenants(visitor, f"SELECT account FROM {name} WHERE note = 'copied'") == ["acct_2"]


def test_a_trigger_asks_anew(admin, world, visitor, tokens):
    name = f"{world.schema}.audited"
    admin.execute(f"CREATE TABLE {name} (note text, account text)")
    admin.execute(
        f"CREATE FUNCTION {world.schema}.audit() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN NEW.account := dialstack.current_account({world.here}); RETURN NEW; END $$"
    )
    admin.execute(
        f"CREATE TRIGGER audit BEFORE INSERT ON {name} FOR EACH ROW "
        f"EXECUTE FUNCTION {world.schema}.audit()"
    )
    admin.execute(f"GRANT INSERT, SELECT ON {name} TO visitor")
    insert = f"INSERT INTO {name} (note) VALUES ('x') RETURNING account"
    each_in_turn(visitor, tokens, lambda: tenants(visitor, insert), lambda n: [n and f"acct_{n}"])


def test_every_helper_follows_a_changed_token_in_one_statement_of_the_client(
    visitor, tokens, world
):
    """Several statements in one message, and a volatile change between two expressions."""
    use = "SELECT set_config('dialstack_sessions.token', '{}', false)"
    ask = "SELECT dialstack.current_account()"
    cursor = visitor.execute("; ".join(f"{use.format(tokens[n])}; {ask}" for n in (1, 2, 3)))
    answers = []
    while True:
        answers.append(cursor.fetchone()[0])
        if not cursor.nextset():
            break
    assert answers[1::2] == ["acct_1", "acct_2", "acct_3"]
    row = visitor.execute(
        sql.SQL(
            "SELECT dialstack.current_account() AS before, "
            "set_config('dialstack_sessions.token', {}, false), "
            "dialstack.current_account() AS after"
        ).format(sql.Literal(tokens[1]))
    ).fetchone()
    assert (row.before, row.after) == ("acct_3", "acct_1")
