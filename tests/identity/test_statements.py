"""In whatever kind of statement the helpers stand, they answer by the current identity."""

import pytest
from psycopg import errors, sql
from support.service import keep_presenting, present
from world import error


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


FUNCTIONS = {
    "sql_inlined": "LANGUAGE sql STABLE AS 'SELECT tenant FROM {table}'",
    "sql_standard_body": "LANGUAGE sql STABLE BEGIN ATOMIC SELECT tenant FROM {table}; END",
    "plpgsql": "LANGUAGE plpgsql STABLE AS 'BEGIN RETURN QUERY SELECT tenant FROM {table}; END'",
    "plpgsql_cursor": "LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN "
    "FOR r IN SELECT tenant FROM {table} LOOP n := r.tenant; RETURN NEXT; END LOOP; END $$",
}


def test_a_function_asks_anew(visitor, table, tokens):
    for name, function in FUNCTIONS.items():
        result = "TABLE (n int)" if name == "plpgsql_cursor" else "SETOF int"
        visitor.execute(f"CREATE FUNCTION pg_temp.{name}() RETURNS {result} {function.format(table=table)}")
        ask = f"SELECT * FROM pg_temp.{name}()"
        each_in_turn(visitor, tokens, lambda: tenants(visitor, ask), rows)


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


QUERIES = {
    "in": "SELECT n FROM generate_series(1, 3) n WHERE n IN (SELECT tenant FROM {table})",
    "lateral": "SELECT t.tenant FROM generate_series(1, 3) n, "
    "LATERAL (SELECT tenant FROM {table} WHERE tenant = n) t",
    "cte": "WITH t AS MATERIALIZED (SELECT * FROM {table}) SELECT tenant FROM t",
    "recursive": "WITH RECURSIVE t AS (SELECT tenant FROM {table} UNION "
    "SELECT tenant FROM t) SELECT tenant FROM t",
    "window": "SELECT max(tenant) OVER () FROM {table}",
    "self_join": "SELECT a.tenant FROM {table} a JOIN {table} b USING (account)",
    "for_update": "SELECT tenant FROM {table} FOR UPDATE",
    "whole_row": "SELECT (t).tenant FROM {table} t WHERE t IS NOT NULL",
}


def test_a_query_asks_anew(visitor, table, tokens):
    for name, query in QUERIES.items():
        visitor.execute(f"PREPARE q_{name} AS {query.format(table=table)}")
        each_in_turn(visitor, tokens, lambda: tenants(visitor, f"EXECUTE q_{name}"), rows)


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


def test_copy_shows_the_rows_of_the_identity(visitor, table, tokens):
    def ask():
        with visitor.cursor().copy(f"COPY {table} (tenant) TO STDOUT") as copy:
            return [int(row[0]) for row in copy.rows()]

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


def test_a_deferred_trigger_asks_who_commits(admin, world, visitor, tokens):
    """It runs at the end, when a local token is still presented."""
    name = f"{world.schema}.audited"
    admin.execute(
        f"CREATE TABLE {name} (note text); CREATE TABLE {name}_by (account text); "
        f"CREATE FUNCTION {world.schema}.audit() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN INSERT INTO {name}_by VALUES (dialstack.current_account()); RETURN NULL; END $$;"
        f"CREATE CONSTRAINT TRIGGER audit AFTER INSERT ON {name} DEFERRABLE INITIALLY DEFERRED "
        f"FOR EACH ROW EXECUTE FUNCTION {world.schema}.audit(); "
        f"GRANT INSERT ON {name}, {name}_by TO visitor"
    )
    with visitor.transaction():
        present(visitor, tokens[1])
        visitor.execute(f"INSERT INTO {name} VALUES ('x')")
        present(visitor, tokens[2])
    assert tenants(admin, f"SELECT account FROM {name}_by") == ["acct_2"]


def test_a_partitioned_table_is_pruned_by_the_identity_of_each_execution(
    admin, world, visitor, tokens
):
    name = f"{world.schema}.parted"
    partitions = "; ".join(
        f"CREATE TABLE {name}_{n} PARTITION OF {name} FOR VALUES IN ('acct_{n}')" for n in (1, 2, 3)
    )
    admin.execute(
        f"CREATE TABLE {name} (tenant int, account text) PARTITION BY LIST (account); "
        f"{partitions}; "
        f"INSERT INTO {name} SELECT n, 'acct_' || n FROM generate_series(1, 3) n; "
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY; "
        f"CREATE POLICY owned ON {name} USING (account = dialstack.current_account({world.here})); "
        f"GRANT SELECT ON {name} TO visitor"
    )
    visitor.execute(f"PREPARE rows AS SELECT tenant FROM {name}")
    each_in_turn(visitor, tokens, lambda: tenants(visitor, "EXECUTE rows"), rows)


def test_an_index_is_searched_with_the_identity_of_each_execution(admin, visitor, table, tokens):
    admin.execute(f"INSERT INTO {table} SELECT 0, 'acct_x' || n FROM generate_series(1, 2000) n")
    admin.execute(f"CREATE INDEX ON {table} (account); ANALYZE {table}")
    visitor.execute("SET enable_seqscan = off")
    visitor.execute(f"PREPARE rows AS SELECT tenant FROM {table}")
    keep_presenting(visitor, tokens[1])
    plan = "\n".join(tenants(visitor, "EXPLAIN EXECUTE rows"))
    assert "Index Cond: (account = " in plan
    each_in_turn(visitor, tokens, lambda: tenants(visitor, "EXECUTE rows"), rows)


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


def test_a_token_presented_in_the_statement_that_reads_shows_no_rows_of_others(
    visitor, table, tokens
):
    keep_presenting(visitor, tokens[1])
    shown = tenants(
        visitor,
        f"SELECT tenant FROM {table}, dialstack.session_use(%s, false) AS used",
        tokens[2],
    )
    assert len(shown) <= 1 and set(shown) <= {1, 2}
    assert error(visitor) is None
