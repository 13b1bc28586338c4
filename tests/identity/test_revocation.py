"""What one connection commits, the next statement of another obeys, in the middle of a transaction."""

import json
from datetime import datetime, timedelta, timezone

import pytest
from psycopg import errors
from support.service import (
    READ_COMMITTED,
    REPEATABLE_READ,
    SERIALIZABLE,
    Background,
    Shop,
    await_lock,
    call,
    refresh,
    value,
    value_of,
)
from world import (
    FAMILIES,
    KINDS_OF_TRANSACTION,
    NOTHING,
    World,
    error,
    keep_presenting,
    present,
    session_id,
    uuid,
)

KINDS = pytest.mark.parametrize(
    "isolation, read_only", KINDS_OF_TRANSACTION.values(), ids=KINDS_OF_TRANSACTION
)


class Tenant:
    """A session of the first tenant, of one family, and what ends it."""

    def __init__(self, world, family, n=1):
        self.world, self.family, self.n = world, family, n
        self.session = {
            "account": world.account_session,
            "client": world.client_session,
            "user": world.user_session,
        }[family](n)
        self.token = self.session.client_secret if family == "account" else self.session.token
        self.rows = world.rows_of(family, n)
        self.id = call(world.admin, "session_verify", token=self.token).session_id


def session_revoke(admin, tenant):
    assert tenant.world.shop.revoke(admin, tenant.id) == 1
    return "revoked"


def session_revoke_by_identifier(admin, tenant):
    place = tenant.world.shop.place
    assert value_of(call(admin, "session_revoke", **place, identifier="user_1")) == 1
    return "revoked"


def session_revoke_all(admin, tenant):
    assert tenant.world.shop.revoke_all(admin, "user_1") == 1
    return "revoked"


def session_end(admin, tenant):
    with admin.transaction():
        present(admin, tenant.token)
        assert value(admin, "SELECT dialstack.session_end()") == 1
    return "revoked"


def session_end_without_transaction(admin, tenant):
    keep_presenting(admin, tenant.token)
    assert value(admin, "SELECT dialstack.session_end()") == 1
    return "revoked"


def refresh_reuse(admin, tenant):
    second = refresh(admin, tenant.session.refresh_token)
    refresh(admin, second.refresh_token)
    assert refresh(admin, tenant.session.refresh_token).reason == "reused"
    return "reused"


def eviction(admin, tenant):
    call(
        admin,
        "definition_update",
        product=tenant.world.product,
        tag=tenant.world.shop.tag,
        changes='{"max_sessions": 1}',
    )
    tenant.world.user_session(tenant.n, connection=admin)
    return "revoked"


def client_session_revoke(admin, tenant):
    call(admin, "client_session_revoke", client_session_id=tenant.id, **tenant.world.place)
    return "revoked"


def client_session_delete(admin, tenant):
    call(admin, "client_session_delete", client_session_id=tenant.id, **tenant.world.place)
    return "invalid"


def env_delete(admin, tenant):
    call(admin, "env_delete", **tenant.world.place)
    return "revoked"


def env_delete_and_create(admin, tenant):
    """A new environment of the same name is not that of the old tokens."""
    with admin.transaction():
        call(admin, "env_delete", **tenant.world.place)
        call(admin, "env_create", **tenant.world.place)
    return "revoked"


def definition_delete(admin, tenant):
    call(admin, "definition_delete", product=tenant.world.product, tag=tenant.world.shop.tag)
    return "revoked"


def signing_key_revoke(admin, tenant):
    purpose = "jwt" if tenant.family == "user" else "token"
    kid = value(
        admin,
        "SELECT kid FROM dialstack.signing_key_list() WHERE purpose = %s AND state = 'active'",
        purpose,
    )
    call(admin, "signing_key_revoke", kid=kid)
    return "invalid"


def instance_reset(admin, tenant):
    call(admin, "instance_reset")
    return "invalid"


def two_in_a_row(admin, tenant):
    """Of two changes before the next statement, both count."""
    admin.execute(
        "UPDATE dialstack.sessions SET expires_at = now() WHERE session_id = %s", [tenant.id]
    )
    admin.execute(
        "UPDATE dialstack.sessions SET revoked_at = now(), revoke_reason = 'x' WHERE session_id = %s",
        [tenant.id],
    )
    return "revoked"


def prepared_transaction(admin, tenant):
    """Revoked by a transaction that is prepared first, and committed by whom it may concern."""
    with admin.transaction():
        admin.execute(
            "UPDATE dialstack.sessions SET revoked_at = now(), revoke_reason = 'x' "
            "WHERE session_id = %s",
            [tenant.id],
        )
        admin.execute("PREPARE TRANSACTION 'revocation'")
    admin.execute("COMMIT PREPARED 'revocation'")
    return "revoked"


def by_hand(statement, reason):
    def change(admin, tenant):
        arguments = {
            "id": tenant.id,
            "product": tenant.world.product,
            "env": tenant.world.env,
        }
        assert admin.execute(statement, arguments).rowcount != 0
        return reason

    return change


OF_ENV = (
    "FROM dialstack.products p WHERE p.product = %(product)s AND p.product_id = e.product_id "
    "AND e.env = %(env)s"
)

BY_HAND = {
    "update_revoked": by_hand(
        "UPDATE dialstack.sessions SET revoked_at = now(), revoke_reason = 'fraud' "
        "WHERE session_id = %(id)s",
        "revoked",
    ),
    "update_expired": by_hand(
        "UPDATE dialstack.sessions SET expires_at = now() WHERE session_id = %(id)s", "expired"
    ),
    "delete": by_hand("DELETE FROM dialstack.sessions WHERE session_id = %(id)s", "invalid"),
    "delete_env": by_hand(
        "DELETE FROM dialstack.environments e USING " + OF_ENV.removeprefix("FROM "), "revoked"
    ),
    "delete_product": by_hand(
        "DELETE FROM dialstack.products WHERE product = %(product)s", "revoked"
    ),
    "merge": by_hand(
        "MERGE INTO dialstack.sessions s USING (VALUES (%(id)s::uuid)) v (id) "
        "ON s.session_id = v.id WHEN MATCHED THEN DELETE",
        "invalid",
    ),
    "insert_on_conflict": by_hand(
        "INSERT INTO dialstack.sessions SELECT * FROM dialstack.sessions WHERE session_id = %(id)s "
        "ON CONFLICT (session_id) DO UPDATE SET revoked_at = now(), revoke_reason = 'x'",
        "revoked",
    ),
}

CHANGES = {
    "user": [
        session_revoke,
        session_revoke_by_identifier,
        session_revoke_all,
        session_end,
        session_end_without_transaction,
        refresh_reuse,
        eviction,
        env_delete,
        env_delete_and_create,
        definition_delete,
        signing_key_revoke,
        instance_reset,
        two_in_a_row,
        prepared_transaction,
        *BY_HAND.values(),
    ],
    "client": [
        client_session_revoke,
        client_session_delete,
        session_end,
        env_delete,
        signing_key_revoke,
        instance_reset,
        *BY_HAND.values(),
    ],
    "account": [session_end, env_delete, signing_key_revoke, instance_reset, *BY_HAND.values()],
}

_names = {change: name for name, change in BY_HAND.items()}

ALL_CASES = {
    (family, change): f"{family}-{_names.get(change, change.__name__)}"
    for family, changes in CHANGES.items()
    for change in changes
}

CASES = pytest.mark.parametrize("family, change", ALL_CASES, ids=ALL_CASES.values())


@KINDS
@CASES
def test_the_next_statement_sees_nothing(
    world, admin, visit, isolation, read_only, family, change
):
    tenant = Tenant(world, family)
    visitor = visit(isolation=isolation)
    visitor.read_only = read_only
    with visitor.transaction():
        present(visitor, tenant.token)
        assert world.seen(visitor) == tenant.rows
        assert (session_id(visitor), error(visitor)) == (tenant.id, None)

        reason = change(admin, tenant)

        assert world.seen(visitor) == NOTHING
        assert (session_id(visitor), error(visitor)) == (None, reason)
    with visitor.transaction():
        present(visitor, tenant.token)
        assert (world.seen(visitor), error(visitor)) == (NOTHING, reason)


@KINDS
@pytest.mark.parametrize("family", FAMILIES)
def test_truncation_is_obeyed_too(world, admin, visit, isolation, read_only, family):
    """It waits for whoever has read the table in this transaction, so here nobody has."""
    tenant = Tenant(world, family)
    visitor = visit(isolation=isolation)
    visitor.read_only = read_only
    with visitor.transaction():
        present(visitor, tenant.token)
        assert world.seen(visitor) == tenant.rows
    with visitor.transaction():
        present(visitor, tenant.token)
        # From memory.
        assert world.seen(visitor) == tenant.rows

        admin.execute("TRUNCATE dialstack.sessions")

        assert (world.seen(visitor), error(visitor)) == (NOTHING, "invalid")


@KINDS
def test_others_keep_what_they_have(world, admin, visit, isolation, read_only):
    tenant, other = Tenant(world, "user", 1), Tenant(world, "user", 2)
    visitor = visit(isolation=isolation)
    visitor.read_only = read_only
    with visitor.transaction():
        present(visitor, other.token)
        assert world.seen(visitor) == other.rows
        session_revoke(admin, tenant)
        assert world.seen(visitor) == other.rows


# In one statement of the client many of PL/pgSQL follow each other. The block asks for a row, then
# waits for a lock that the revoking connection holds, then asks again.

BLOCK = """
    SELECT count(*) INTO before FROM {table};
    PERFORM pg_advisory_xact_lock(1);
    SELECT count(*) INTO after FROM {table};
    PERFORM set_config('test.counts', before || ' ' || after, true);
"""

BLOCKS = {
    "do": "DO $$ DECLARE before int; after int; BEGIN {block} END $$",
    "do_in_exception_block": "DO $$ DECLARE before int; after int; BEGIN BEGIN {block} "
    "EXCEPTION WHEN division_by_zero THEN NULL; END; END $$",
    "loop_over_a_cursor": "DO $$ DECLARE before int; after int; n int; BEGIN "
    "FOR n IN SELECT generate_series(1, 1) LOOP {block} END LOOP; END $$",
}


@KINDS
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_obeys_at_its_next_statement(
    world, admin, visit, isolation, read_only, family, block
):
    tenant = Tenant(world, family)
    visitor = visit(isolation=isolation)
    visitor.read_only = read_only
    table = sorted(tenant.rows)[0][0]
    text = BLOCKS[block].format(block=BLOCK.format(table=f"{world.schema}.{table}"))
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


# The server takes in news where a statement names or locks a table. These do neither.


@KINDS
@pytest.mark.parametrize("family", FAMILIES)
def test_a_statement_that_touches_no_table_obeys(world, admin, visit, isolation, read_only, family):
    tenant = Tenant(world, family)
    visitor = visit(isolation=isolation)
    visitor.read_only = read_only
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
    # And the other one, which may have been told by the first.
    tenant = Tenant(world, family)
    verify = f"EXECUTE verify('{tenant.token}')"
    with visitor.transaction():
        for _ in range(2):
            assert value(visitor, verify)
        session_end(admin, tenant)
        assert not value(visitor, verify)


@KINDS
def test_an_expression_of_a_block_obeys(world, admin, visit, isolation, read_only):
    tenant = Tenant(world, "account")
    visitor = visit(isolation=isolation)
    visitor.read_only = read_only
    text = """
        DO $$ DECLARE before text; after text; BEGIN
            before := dialstack.current_account();
            PERFORM pg_advisory_xact_lock(1);
            after := dialstack.current_account();
            PERFORM set_config('test.told', concat_ws(' ', before, after, 'end'), true);
        END $$"""
    with visitor.transaction():
        present(visitor, tenant.token)
        with admin.transaction():
            admin.execute("SELECT pg_advisory_xact_lock(1)")
            running = Background(visitor.execute, text)
            await_lock(admin, visitor)
            session_end(admin, tenant)
        running.result()
        assert value(visitor, "SELECT current_setting('test.told')") == "acct_1 end"


@KINDS
def test_rows_of_a_bare_helper_end_in_the_middle_of_a_cursor(
    world, admin, visit, isolation, read_only
):
    """A cursor is one statement. A wrapped helper is asked once, a bare one for each row."""
    tenant = Tenant(world, "account")
    for table in ("of_account", "of_account_bare"):
        name = f"{world.schema}.{table}"
        admin.execute(f"INSERT INTO {name} SELECT 1, 'acct_1' FROM generate_series(1, 99)")
    visitor = visit(isolation=isolation)
    visitor.read_only = read_only
    with visitor.transaction():
        present(visitor, tenant.token)
        for table in ("of_account", "of_account_bare"):
            visitor.execute(
                f"DECLARE rows_{table} CURSOR FOR SELECT * FROM {world.schema}.{table}"
            )
            assert len(visitor.execute(f"FETCH 10 FROM rows_{table}").fetchall()) == 10

        session_end(admin, tenant)

        assert len(visitor.execute("FETCH ALL FROM rows_of_account").fetchall()) == 90
        assert len(visitor.execute("FETCH ALL FROM rows_of_account_bare").fetchall()) == 0
        assert world.seen(visitor) == NOTHING


# What is granted appears in the same way.


@KINDS
@pytest.mark.parametrize("by_key", [False, True], ids=["by_id", "by_user_identifier_key"])
def test_a_grant_appears_at_the_next_statement(world, admin, visit, isolation, read_only, by_key):
    session = world.client_session(1, user_identifier_key="somebody")
    visitor = visit(isolation=isolation)
    visitor.read_only = read_only
    with visitor.transaction():
        present(visitor, session.token)
        assert world.seen(visitor) == world.rows_of("client", 1)

        whose = (
            {"user_identifier_key": "somebody"}
            if by_key
            else {"client_session_id": session.client_session_id}
        )
        call(
            admin,
            "client_session_grant_access",
            **whose,
            connected_account_ids=[uuid(2)],
            user_identity_ids=[uuid(3)],
            **world.place,
        )

        assert world.seen(visitor) == world.rows_of("client", 1) | {
            ("of_connected", 2),
            ("of_connected_bare", 2),
            ("of_identity", 3),
        }


@KINDS
def test_new_data_and_a_new_expiry_appear_at_the_next_statement(
    world, admin, visit, isolation, read_only
):
    session = world.user_session(1, plan="free")
    visitor = visit(isolation=isolation)
    visitor.read_only = read_only
    with visitor.transaction():
        present(visitor, session.token)
        assert value(visitor, "SELECT dialstack.current_data() ->> 'plan'") == "free"

        call(
            admin,
            "session_update_data",
            session_id=session.session_id,
            data=json.dumps({"userId": "user_1", "plan": "gold"}),
        )
        assert value(visitor, "SELECT dialstack.current_data() ->> 'plan'") == "gold"

        # Ended, and given more time.
        admin.execute(
            "UPDATE dialstack.sessions SET expires_at = now() WHERE session_id = %s",
            [session.session_id],
        )
        assert world.seen(visitor) == NOTHING
        admin.execute(
            "UPDATE dialstack.sessions SET expires_at = now() + interval '20 s' "
            "WHERE session_id = %s",
            [session.session_id],
        )
        assert world.seen(visitor) == world.rows_of("user", 1)
        assert call(
            admin, "session_extend", session_id=session.session_id, by=timedelta(hours=1)
        ).expires_at > datetime.now(timezone.utc) + timedelta(minutes=50)
        assert world.seen(visitor) == world.rows_of("user", 1)


@KINDS
def test_scopes_appear_and_go_at_the_next_statement(world, admin, visit, isolation, read_only):
    session = world.account_session(1, "call_logs")
    scoped = ("of_account_scoped", 1)
    set_scopes = (
        "UPDATE dialstack.sessions SET scopes = %s WHERE session_id = "
        "(SELECT session_id FROM dialstack.session_verify(%s))"
    )
    visitor = visit(isolation=isolation)
    visitor.read_only = read_only
    with visitor.transaction():
        present(visitor, session.client_secret)
        assert scoped not in world.seen(visitor)
        admin.execute(set_scopes, [["call_logs", "voicemails"], session.client_secret])
        assert scoped in world.seen(visitor)
        assert value(visitor, "SELECT dialstack.current_scopes()") == ["call_logs", "voicemails"]
        admin.execute(set_scopes, [[], session.client_secret])
        assert scoped not in world.seen(visitor)
        assert world.seen(visitor) == {("of_account", 1), ("of_account_bare", 1)}


@KINDS
def test_a_renamed_environment_is_another_one(world, admin, visit, isolation, read_only):
    tenant = Tenant(world, "account")
    rename = (
        "UPDATE dialstack.environments SET env = %s FROM dialstack.products p WHERE "
        "p.product = %s AND p.product_id = environments.product_id AND env = %s"
    )
    visitor = visit(isolation=isolation)
    visitor.read_only = read_only
    with visitor.transaction():
        present(visitor, tenant.token)
        assert world.seen(visitor) == tenant.rows
        admin.execute(rename, ["elsewhere", world.product, world.env])
        assert world.seen(visitor) == NOTHING
        assert value(visitor, "SELECT dialstack.current_env()") == "elsewhere"
        admin.execute(rename, [world.env, world.product, "elsewhere"])
        assert world.seen(visitor) == tenant.rows


@KINDS
@pytest.mark.parametrize("family", FAMILIES)
def test_a_session_that_is_made_later_is_known(world, admin, visit, isolation, read_only, family):
    visitor = visit(isolation=isolation)
    visitor.read_only = read_only
    with visitor.transaction():
        present(visitor, "not yet")
        assert (world.seen(visitor), error(visitor)) == (NOTHING, "invalid")
        tenant = Tenant(world, family)
        present(visitor, tenant.token)
        assert world.seen(visitor) == tenant.rows


@KINDS
def test_a_token_that_was_presented_too_early_is_good_once_its_session_is_there(
    world, admin, connect, visit, isolation, read_only
):
    visitor = visit(isolation=isolation)
    visitor.read_only = read_only
    with visitor.transaction():
        maker = connect()
        with maker.transaction():
            token = world.account_session(1, connection=maker).client_secret
            present(visitor, token)
            assert (world.seen(visitor), error(visitor)) == (NOTHING, "invalid")
        assert world.seen(visitor) == world.rows_of("account", 1)


# Those that commit by themselves aside.
UNDOABLE = pytest.mark.parametrize(
    "family, change",
    [case for case in ALL_CASES if case[1] not in (two_in_a_row, prepared_transaction)],
    ids=[name for case, name in ALL_CASES.items() if case[1] not in (two_in_a_row, prepared_transaction)],
)


@pytest.mark.parametrize("isolation", [READ_COMMITTED, SERIALIZABLE], ids=lambda i: i.name.lower())
@UNDOABLE
def test_nobody_else_obeys_what_is_not_committed(world, connect, visit, isolation, family, change):
    tenant = Tenant(world, family)
    visitor = visit(isolation=isolation)
    revoker = connect()
    with visitor.transaction():
        present(visitor, tenant.token)
        assert world.seen(visitor) == tenant.rows
        with revoker.transaction(force_rollback=True):
            change(revoker, tenant)
            assert world.seen(visitor) == tenant.rows
        assert world.seen(visitor) == tenant.rows


@UNDOABLE
def test_a_savepoint_undoes_it_for_who_did_it(world, connect, visit, family, change):
    """Right before it, after it and after the rollback to before it."""
    tenant = Tenant(world, family)
    connection = connect()
    with connection.transaction(force_rollback=True):
        present(connection, tenant.token)
        connection.execute("SET LOCAL ROLE visitor")
        assert world.seen(connection) == tenant.rows
        for _ in range(2):
            with connection.transaction(force_rollback=True):
                connection.execute("RESET ROLE")
                reason = change(connection, tenant)
                present(connection, tenant.token)
                connection.execute("SET LOCAL ROLE visitor")
                assert (world.seen(connection), error(connection)) == (NOTHING, reason)
            assert (world.seen(connection), error(connection)) == (tenant.rows, None)
    visitor = visit()
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


# A change must not miss what was made after the snapshot of its transaction: it is refused instead.


def make_env(admin, world):
    call(admin, "env_create", product=world.product, env="late")
    return "env_delete", {"product": world.product, "env": "late"}


def make_session_of_env(admin, world):
    world.account_session(1)
    return "env_delete", world.place


def make_session_of_definition(admin, world):
    world.user_session(1)
    return "definition_delete", {"product": world.product, "tag": world.shop.tag}


def make_session_of_scope(admin, world):
    world.account_session(1, f"{world.product}-fax")
    return "scope_delete", {"scope": f"{world.product}-fax"}


def make_session_of_user(admin, world):
    world.user_session(1)
    return "session_revoke_all", {**world.shop.place, "identifier": "user_1"}


@pytest.mark.parametrize("isolation", [REPEATABLE_READ, SERIALIZABLE], ids=lambda i: i.name.lower())
@pytest.mark.parametrize(
    "make",
    [
        make_env,
        make_session_of_env,
        make_session_of_definition,
        make_session_of_scope,
        make_session_of_user,
    ],
)
def test_an_old_snapshot_makes_no_change_miss_anything(world, admin, connect, isolation, make):
    late = connect(isolation=isolation)
    call(admin, "scope_create", scope=f"{world.product}-fax", description="faxes")
    with pytest.raises(errors.SerializationFailure), late.transaction():
        late.execute("SELECT count(*) FROM dialstack.sessions")
        function, arguments = make(admin, world)
        call(late, function, **arguments)
