"""What the primary commits, the very next statement on the standby obeys once it is replayed there.

Each connection has asked before, so that it is its remembered verdict that has to go.
"""

import uuid

import pytest
from support.cluster import configure
from support.levels import STANDBY_LEVELS
from support.service import Shop, call, info, present, refresh, until, value, verify
from support.tenants import KINDS, READER, ROWS, TABLES, owners


@pytest.fixture
def session(pair, shop):
    session = shop.create(pair.admin, note="old")
    pair.catch_up()
    return session


@pytest.fixture
def reader(pair, isolation, session):
    """A connection to the standby in the middle of a transaction, its snapshot taken."""
    reader = pair.connect(isolation=isolation)
    with reader.transaction():
        assert verify(reader, session.token).valid
        present(reader, session.token)
        assert identity(reader) == ("user_456", None)
        yield reader


def identity(connection):
    return tuple(
        connection.execute(
            "SELECT dialstack.current_identifier(), dialstack.current_session_error()"
        ).fetchone()
    )


def revoke(admin, shop, session):
    shop.revoke(admin, session.session_id)
    return "revoked"


def log_out(admin, shop, session):
    with admin.transaction():
        present(admin, session.token)
        call(admin, "session_end")
    return "revoked"


def raise_alarm(admin, shop, session):
    second = refresh(admin, session.refresh_token)
    refresh(admin, second.refresh_token)
    assert refresh(admin, session.refresh_token).reason == "reused"
    return "reused"


def delete_env(admin, shop, session):
    call(admin, "env_delete", **shop.home)
    return "revoked"


def delete_definition(admin, shop, session):
    call(admin, "definition_delete", product=shop.product, tag=shop.tag)
    return "revoked"


def erase(admin, shop, session):
    """The row is deleted, not marked."""
    call(admin, "user_erase", product=shop.product, identifier="user_456")
    return "invalid"


@STANDBY_LEVELS
@pytest.mark.parametrize(
    "change",
    [revoke, log_out, raise_alarm, delete_env, delete_definition, erase],
)
def test_a_dead_session_is_dead_at_the_next_statement(pair, shop, session, reader, change):
    reason = change(pair.admin, shop, session)
    pair.catch_up()

    assert identity(reader) == (None, reason)
    assert verify(reader, session.token).reason == reason


@STANDBY_LEVELS
@pytest.mark.parametrize("kind", KINDS)
def test_rows_vanish_with_the_session(pair, tenants, isolation, kind):
    # Given a tenant of this test's own
    tenant = tenants.add(pair.admin, f"vanishing-{uuid.uuid4()}")
    pair.catch_up()
    reader = pair.connect(user=READER, isolation=isolation)
    with reader.transaction():
        present(reader, tenant.tokens[kind])
        assert owners(reader, kind) == [tenant.name] * ROWS

        pair.admin.execute(
            f"UPDATE {TABLES[kind]} SET revoked_at = now(), revoke_reason = 'revoked' "
            "WHERE session_id = %s",
            [tenant.sessions[kind]],
        )
        pair.catch_up()

        assert owners(reader, kind) == []


@STANDBY_LEVELS
def test_what_is_granted_appears(pair, tenants, isolation):
    first, second = tenants.all[0], tenants.all[1]
    place = tenants.shop.home
    session = call(pair.admin, "client_session_create", **place)
    pair.catch_up()
    reader = pair.connect(user=READER, isolation=isolation)
    with reader.transaction():
        present(reader, session.token)
        assert owners(reader, "client") == []
        for known, tenant in enumerate((first, second)):
            call(
                pair.admin,
                "client_session_grant_access",
                client_session_id=session.client_session_id,
                connected_account_ids=[tenant.account],
                **place,
            )
            pair.catch_up()
            assert len(owners(reader, "client")) == (known + 1) * ROWS


@STANDBY_LEVELS
def test_data_and_end_are_those_of_now(pair, session, reader):
    data = '{"userId": "user_456", "note": "new"}'
    call(pair.admin, "session_update_data", session_id=session.session_id, data=data)
    call(pair.admin, "session_extend", session_id=session.session_id, by="1 day")
    pair.catch_up()

    assert value(reader, "SELECT dialstack.current_data()")["note"] == "new"
    assert verify(reader, session.token).data["note"] == "new"


def test_a_refresh_arrives(pair, shop, session):
    connection = pair.connect()
    assert verify(connection, session.token).valid

    second = refresh(pair.admin, session.refresh_token)
    pair.catch_up()

    assert verify(connection, second.token).valid
    assert info(connection, session.session_id).generation == 1


@STANDBY_LEVELS
def test_nothing_that_was_rolled_back_arrives(pair, shop, session, reader):
    with pair.admin.transaction(force_rollback=True):
        shop.revoke(pair.admin, session.session_id)
    with pair.admin.transaction():
        with pair.admin.transaction(force_rollback=True):
            shop.revoke(pair.admin, session.session_id)
        shop.create(pair.admin)
    pair.catch_up()

    assert identity(reader) == ("user_456", None)


def test_a_change_is_not_obeyed_before_it_is_replayed(pair, shop, session):
    connection = pair.connect()
    assert verify(connection, session.token).valid
    connection.execute("SELECT pg_wal_replay_pause()")
    try:
        shop.revoke(pair.admin, session.session_id)
        assert verify(connection, session.token).valid
    finally:
        connection.execute("SELECT pg_wal_replay_resume()")
    pair.catch_up()

    assert verify(connection, session.token).reason == "revoked"


@pytest.fixture
def synchronous(pair):
    """The primary knows the standby as one that it can wait for."""
    configure(pair.admin, "synchronous_standby_names", f'"{pair.standby.name}"')
    state = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    until(lambda: value(pair.admin, state) == 1, "the standby to be synchronous")
    yield
    configure(pair.admin, "synchronous_standby_names", "")


def test_a_revocation_that_waits_for_the_standby_is_obeyed_there_at_once(pair, shop, synchronous):
    connection = pair.connect()
    for number in range(100):
        session = shop.create(pair.admin, f"user-{number}")
        pair.catch_up()
        assert verify(connection, session.token).valid

        with pair.admin.transaction():
            pair.admin.execute("SET LOCAL synchronous_commit = remote_apply")
            shop.revoke(pair.admin, session.session_id)

        assert verify(connection, session.token).reason == "revoked"


@STANDBY_LEVELS
def test_a_limit_of_a_role_holds_on_the_standby_and_changes_with_the_primary(pair, isolation):
    """Whatever snapshot the reader has: what it may do is as the catalogue says now."""
    admin = pair.admin
    shop = Shop.make(admin)
    staging = Shop(shop.product, "staging")
    call(admin, "env_create", **staging.home)
    session = shop.create(admin)
    admin.execute("CREATE ROLE limited; CREATE ROLE unlimited; GRANT unlimited TO limited")
    call(admin, "grant_access", role="limited", access="client", product=shop.product, env=staging.env)
    pair.catch_up()
    reader = pair.connect(isolation=isolation)
    try:
        with reader.transaction():
            reader.execute("SET LOCAL ROLE limited")
            present(reader, session.token)

            def becomes(valid):
                pair.catch_up()
                assert verify(reader, session.token).valid == valid
                assert identity(reader) == (("user_456", None) if valid else (None, "mismatch"))

            becomes(False)
            call(admin, "grant_access", role="limited", access="client", **shop.home)
            becomes(True)
            call(admin, "revoke_access", role="limited", access="client")
            call(admin, "grant_access", role="limited", access="client", product=shop.product, env=staging.env)
            becomes(False)
            # By another role, of which this one is a member.
            call(admin, "grant_access", role="unlimited", access="client")
            becomes(True)
            admin.execute("REVOKE unlimited FROM limited")
            becomes(False)
    finally:
        admin.execute("DROP OWNED BY limited, unlimited; DROP ROLE limited, unlimited")
        call(admin, "access_forget", role_name="limited")
