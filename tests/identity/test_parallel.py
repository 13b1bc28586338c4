"""Parallel workers verify the token themselves, and answer as the leader does."""

import json

import pytest
from psycopg import errors
from support.service import (
    READ_COMMITTED,
    SERIALIZABLE,
    call,
    force_parallel,
    keep_presenting,
    present,
    value,
)
from world import NOTHING, uuid

PARALLEL = (
    "SET parallel_setup_cost = 0",
    "SET parallel_tuple_cost = 0",
    "SET min_parallel_table_scan_size = 0",
    "SET max_parallel_workers_per_gather = 3",
    "SET parallel_leader_participation = off",
)


def go_parallel(connection):
    force_parallel(connection)
    for setting in PARALLEL:
        connection.execute(setting)


BIG = 4_000

# Bare and wrapped, compared with text and with uuid[].
TABLES = ("of_account", "of_account_bare", "of_account_scoped", "of_connected_bare", "of_identity")


@pytest.fixture
def big(admin, world):
    """Some thousand rows of others in each table, in more than a page."""
    for table in TABLES:
        column, other = ("account", "'acct_0'") if "account" in table else (None, f"'{uuid(0)}'")
        column = column or ("identity" if table == "of_identity" else "account_id")
        name = f"{world.schema}.{table}"
        admin.execute(
            f"INSERT INTO {name} (tenant, {column}) "
            f"SELECT 0, {other} FROM generate_series(1, {BIG})"
        )
        admin.execute(f"ALTER TABLE {name} SET (parallel_workers = 3)")
        admin.execute(f"ANALYZE {name}")
    return world


@pytest.fixture(params=[READ_COMMITTED, SERIALIZABLE], ids=lambda i: i.name.lower())
def visitor(visit, request):
    visitor = visit(isolation=request.param)
    go_parallel(visitor)
    return visitor


@pytest.fixture
def superuser(connect, roles):
    """Who may make sessions, and takes the visitor's role to be shown no more than a tenant."""
    connection = connect()
    go_parallel(connection)
    return connection


def workers(plan):
    """How many workers were launched below all nodes of a plan."""
    return plan.get("Workers Launched", 0) + sum(workers(child) for child in plan.get("Plans", []))


def by_workers(connection, world, table):
    """The tenants whose rows are shown by a scan that several workers share."""
    query = f"SELECT tenant FROM {world.schema}.{table}"
    explained = value(connection, f"EXPLAIN (ANALYZE, VERBOSE, FORMAT json) {query}")
    plan = (explained if isinstance(explained, list) else json.loads(explained))[0]["Plan"]
    assert workers(plan) >= 2, plan
    return {row.tenant for row in connection.execute(query)}


def serially(connection, world, table):
    with connection.transaction(force_rollback=True):
        force_parallel(connection, on=False)
        connection.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        return {
            row.tenant for row in connection.execute(f"SELECT tenant FROM {world.schema}.{table}")
        }


def everywhere(connection, world):
    """What is shown in parallel, after it was compared with what is shown serially."""
    shown = set()
    for table in TABLES:
        parallel = by_workers(connection, world, table)
        assert parallel == serially(connection, world, table)
        shown |= {(table, n) for n in parallel}
    return shown


ACCOUNT = {("of_account", 1), ("of_account_bare", 1), ("of_account_scoped", 1)}
CLIENT = {("of_connected_bare", 1), ("of_identity", 1)}


def test_workers_show_the_same_rows(big, visitor):
    assert everywhere(visitor, big) == NOTHING
    keep_presenting(visitor, big.token("account"))
    assert everywhere(visitor, big) == ACCOUNT
    keep_presenting(visitor, big.token("client"))
    assert everywhere(visitor, big) == CLIENT
    keep_presenting(visitor, big.token("user"))
    assert everywhere(visitor, big) == NOTHING
    keep_presenting(visitor, "rubbish")
    assert everywhere(visitor, big) == NOTHING


def test_workers_know_a_token_of_this_transaction(big, visitor):
    with visitor.transaction():
        present(visitor, big.token("account"))
        assert by_workers(visitor, big, "of_account_bare") == {1}
        with visitor.transaction(force_rollback=True):
            present(visitor, "")
            assert by_workers(visitor, big, "of_account_bare") == set()
        assert by_workers(visitor, big, "of_account_bare") == {1}
    assert by_workers(visitor, big, "of_account_bare") == set()


def test_workers_obey_a_revocation_in_the_middle_of_a_transaction(big, admin, visitor):
    session = big.client_session(1)
    with visitor.transaction():
        present(visitor, session.token)
        assert everywhere(visitor, big) == CLIENT
        call(
            admin,
            "client_session_grant_access",
            client_session_id=session.client_session_id,
            connected_account_ids=[uuid(2)],
            **big.place,
        )
        assert everywhere(visitor, big) == CLIENT | {("of_connected_bare", 2)}
        call(
            admin,
            "client_session_revoke",
            client_session_id=session.client_session_id,
            **big.place,
        )
        assert everywhere(visitor, big) == NOTHING


def test_workers_obey_the_next_key(big, admin, visitor):
    token = big.token("account")
    with visitor.transaction():
        present(visitor, token)
        assert everywhere(visitor, big) == ACCOUNT
        call(admin, "signing_key_rotate", purpose="token")
        assert everywhere(visitor, big) == ACCOUNT
        present(visitor, big.token("account"))
        assert everywhere(visitor, big) == ACCOUNT
        for key in admin.execute("SELECT * FROM dialstack.signing_key_list()").fetchall():
            if key.purpose == "token":
                call(admin, "signing_key_revoke", kid=key.kid)
        assert everywhere(visitor, big) == NOTHING


def test_workers_see_what_their_transaction_has_not_committed(big, superuser):
    """A session, a grant and a revocation of its own, in savepoints too."""
    with superuser.transaction(force_rollback=True):
        session = big.client_session(1, connection=superuser)
        present(superuser, session.token)
        superuser.execute("SET LOCAL ROLE visitor")
        assert everywhere(superuser, big) == CLIENT
        with superuser.transaction(force_rollback=True):
            superuser.execute("RESET ROLE")
            call(
                superuser,
                "client_session_grant_access",
                client_session_id=session.client_session_id,
                connected_account_ids=[uuid(2)],
                **big.place,
            )
            superuser.execute("SET LOCAL ROLE visitor")
            assert everywhere(superuser, big) == CLIENT | {("of_connected_bare", 2)}
        assert everywhere(superuser, big) == CLIENT
        with superuser.transaction(force_rollback=True):
            assert value(superuser, "SELECT dialstack.session_end()") == 1
            assert everywhere(superuser, big) == NOTHING
        assert everywhere(superuser, big) == CLIENT


ASK = {
    "wrapped": "SELECT tenant FROM {schema}.of_account",
    "bare": "SELECT tenant FROM {schema}.of_account_bare",
    # Planned only when a worker runs it.
    "by_a_worker": "SELECT tenant FROM {schema}.of_anybody "
    "WHERE account = CASE WHEN tenant >= 0 THEN {schema}.me() END",
    "in_a_subtransaction": "SELECT tenant FROM {schema}.of_anybody "
    "WHERE account = CASE WHEN tenant >= 0 THEN {schema}.me_caught() END",
}


@pytest.mark.parametrize("local", [True, False], ids=["local", "lasting"])
@pytest.mark.parametrize("ask", ASK)
def test_a_token_set_before_the_library_was_loaded_reaches_the_workers(
    big, admin, visit, ask, local
):
    """The first statement that needs the library runs where nothing can be set."""
    if ask == "in_a_subtransaction" and admin.info.server_version < 170000:
        pytest.skip("workers have no subtransactions before PostgreSQL 17")
    schema = big.schema
    admin.execute(
        f"CREATE FUNCTION {schema}.me() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE "
        "AS 'BEGIN RETURN dialstack.current_account(); END'; "
        f"CREATE FUNCTION {schema}.me_caught() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE "
        "AS 'BEGIN RETURN dialstack.current_account(); EXCEPTION WHEN division_by_zero THEN END'; "
        f"CREATE TABLE {schema}.of_anybody AS SELECT * FROM {schema}.of_account; "
        f"ALTER TABLE {schema}.of_anybody SET (parallel_workers = 3); "
        f"GRANT SELECT ON {schema}.of_anybody TO visitor; ANALYZE {schema}.of_anybody"
    )
    token = big.token("account")
    visitor = visit()
    warnings = []
    visitor.add_notice_handler(lambda notice: warnings.append(notice.message_primary))
    go_parallel(visitor)
    with visitor.transaction():
        (present if local else keep_presenting)(visitor, token)
        for _ in range(2):
            assert [row.tenant for row in visitor.execute(ASK[ask].format(schema=schema))] == [1]
    assert value(visitor, "SELECT dialstack.current_account()") == (None if local else "acct_1")
    assert warnings == []


def test_every_helper_answers_in_a_worker(big, visitor):
    helpers = (
        "current_session_id", "current_session_kind", "current_identifier", "current_account",
        "current_connected_accounts", "current_user_identities", "current_product", "current_env",
        "current_tag", "current_scopes", "current_data", "current_session_error",
    )  # fmt: skip
    columns = ", ".join(f"dialstack.{helper}()" for helper in helpers)
    # A condition that only the worker evaluates, since it needs the row.
    ask = (
        f"SELECT DISTINCT (CASE WHEN tenant >= 0 THEN "
        f"ROW({columns}, dialstack.has_scope('voicemails')) END)::text "
        f"FROM {big.schema}.of_account_bare"
    )
    keep_presenting(visitor, big.token("account"))
    plan = value(visitor, f"EXPLAIN (ANALYZE, FORMAT json) {ask}")
    assert workers(plan[0]["Plan"]) >= 2
    (parallel,) = (row[0] for row in visitor.execute(ask))
    force_parallel(visitor, on=False)
    visitor.execute("SET max_parallel_workers_per_gather = 0")
    (serial,) = (row[0] for row in visitor.execute(ask))
    assert parallel == serial
    assert "acct_1" in parallel


def test_require_scope_fails_in_a_worker_with_its_own_error(big, visitor):
    keep_presenting(visitor, big.account_session(1, "call_logs").client_secret)
    with pytest.raises(errors.InsufficientPrivilege, match="SCOPE_DISABLED"):
        visitor.execute(
            f"SELECT tenant FROM {big.schema}.of_account_bare "
            "WHERE dialstack.require_scope('voicemails') IS NOT NULL"
        )
