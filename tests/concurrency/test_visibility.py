"""What one connection commits, the very next statement of every other one obeys."""

import pytest
from support.service import (
    READ_COMMITTED,
    REPEATABLE_READ,
    SERIALIZABLE,
    call,
    info,
    refresh,
    value,
    verify,
)

LEVELS = pytest.mark.parametrize(
    "isolation",
    [READ_COMMITTED, REPEATABLE_READ, SERIALIZABLE],
    ids=["read_committed", "repeatable_read", "serializable"],
)


@pytest.fixture
def session(admin, shop):
    return shop.create(admin)


@pytest.fixture
def reader(connect, isolation):
    """A connection in the middle of a transaction, whose snapshot was taken before the change."""
    reader = connect(isolation=isolation)
    with reader.transaction():
        assert value(reader, "SELECT count(*) >= 0 FROM dialstack.sessions")
        yield reader


def revoke(admin, shop, session):
    shop.revoke(admin, session.session_id)
    return "revoked"


def revoke_all(admin, shop, session):
    shop.revoke_all(admin)
    return "revoked"


def delete_env(admin, shop, session):
    call(admin, "env_delete", product=shop.product, env=shop.env)
    return "revoked"


def delete_definition(admin, shop, session):
    call(admin, "definition_delete", product=shop.product, tag=shop.tag)
    return "revoked"


def revoke_key(admin, shop, session):
    kid = value(
        admin,
        "SELECT kid FROM dialstack.signing_key_list() WHERE purpose = 'jwt' AND state = 'active'",
    )
    call(admin, "signing_key_revoke", kid=kid)
    return "invalid"


def raise_alarm(admin, shop, session):
    second = refresh(admin, session.refresh_token)
    refresh(admin, second.refresh_token)
    assert refresh(admin, session.refresh_token).reason == "reused"
    return "reused"


@LEVELS
@pytest.mark.parametrize(
    "change", [revoke, revoke_all, delete_env, delete_definition, revoke_key, raise_alarm]
)
def test_an_open_transaction_refuses_a_token_from_the_next_statement_on(
    admin, shop, session, reader, change
):
    assert verify(reader, session.token).valid

    reason = change(admin, shop, session)

    answer = verify(reader, session.token)
    assert (answer.valid, answer.reason) == (False, reason)


@LEVELS
def test_an_open_transaction_accepts_a_session_made_after_it_began(admin, shop, reader):
    session = shop.create(admin)

    assert verify(reader, session.token).valid


@LEVELS
def test_an_open_transaction_accepts_a_token_signed_with_a_key_made_after_it_began(
    admin, shop, session, reader
):
    assert verify(reader, session.token).valid
    for purpose in ("jwt", "seal", "token"):
        call(admin, "signing_key_rotate", purpose=purpose)

    token = shop.create(admin).token

    answer = verify(reader, token)
    assert (answer.valid, answer.data) == (True, {"userId": "user_456"})


@LEVELS
def test_an_open_transaction_reads_data_as_it_is_now(admin, shop, session, reader):
    assert verify(reader, session.token).data == {"userId": "user_456"}
    data = '{"userId": "user_456", "plan": "gold"}'

    call(admin, "session_update_data", session_id=session.session_id, data=data)

    assert verify(reader, session.token).data == {"userId": "user_456", "plan": "gold"}


@LEVELS
def test_nobody_sees_a_revocation_before_it_commits(admin, connect, shop, session, reader):
    revoker = connect()

    with revoker.transaction(force_rollback=True):
        shop.revoke(revoker, session.session_id)
        assert verify(revoker, session.token).reason == "revoked"
        assert verify(reader, session.token).valid

    assert verify(revoker, session.token).valid


# Each is undone by ROLLBACK TO SAVEPOINT, in the same transaction.
@LEVELS
@pytest.mark.parametrize(
    "change", [revoke, revoke_all, delete_env, delete_definition, revoke_key, raise_alarm]
)
def test_rolling_back_to_a_savepoint_brings_the_session_back(
    connect, admin, shop, session, isolation, change
):
    connection = connect(isolation=isolation)
    with connection.transaction():
        assert verify(connection, session.token).valid

        with connection.transaction(force_rollback=True):
            reason = change(connection, shop, session)
            assert verify(connection, session.token).reason == reason

        assert verify(connection, session.token).valid
        assert refresh(connection, session.refresh_token).ok
    assert verify(admin, session.token).valid


def test_a_savepoint_that_is_released_keeps_the_revocation(connect, admin, shop, session):
    connection = connect()
    with connection.transaction():
        with connection.transaction():
            shop.revoke(connection, session.session_id)
        assert verify(connection, session.token).reason == "revoked"
    assert verify(admin, session.token).reason == "revoked"


def test_a_rolled_back_definition_is_forgotten(connect, admin, shop, session):
    connection = connect()
    with connection.transaction(force_rollback=True):
        call(
            connection,
            "definition_update",
            product=shop.product,
            tag=shop.tag,
            changes='{"expiry": 2, "period": "hours"}',
        )
        longer = shop.create(connection).expires_at
        now = value(connection, "SELECT clock_timestamp()")
        assert (longer - now).total_seconds() > 3600

    shorter = shop.create(connection).expires_at
    now = value(connection, "SELECT clock_timestamp()")
    assert (shorter - now).total_seconds() < 3600


# What an administrator does by hand, in psql, counts as much as what functions do.

BY_HAND = {
    "sessions_revoked": (
        "UPDATE dialstack.sessions SET revoked_at = now(), revoke_reason = 'by hand' "
        "WHERE session_id = %(session_id)s",
        "revoked",
    ),
    "sessions_expired": (
        "UPDATE dialstack.sessions SET expires_at = now() WHERE session_id = %(session_id)s",
        "expired",
    ),
    "sessions_deleted": (
        "DELETE FROM dialstack.sessions WHERE session_id = %(session_id)s",
        "invalid",
    ),
    "sessions_truncated": ("TRUNCATE dialstack.sessions", "invalid"),
    "definition_deleted": (
        "DELETE FROM dialstack.session_definitions WHERE tag = %(tag)s",
        "revoked",
    ),
    "env_deleted": (
        "DELETE FROM dialstack.environments e USING dialstack.products p "
        "WHERE p.product_id = e.product_id AND p.product = %(product)s",
        "revoked",
    ),
    "env_renamed": (
        "UPDATE dialstack.environments e SET env = 'elsewhere' FROM dialstack.products p "
        "WHERE p.product_id = e.product_id AND p.product = %(product)s",
        "invalid",
    ),
    "product_deleted": ("DELETE FROM dialstack.products WHERE product = %(product)s", "revoked"),
    "keys_revoked": (
        "UPDATE dialstack.signing_keys SET state = 'revoked', revoked_at = now() "
        "WHERE purpose = 'jwt' AND state = 'active'",
        "invalid",
    ),
}


@LEVELS
@pytest.mark.parametrize("replica", [False, True], ids=["origin", "replica"])
@pytest.mark.parametrize("change", BY_HAND)
def test_a_change_by_hand_is_felt_at_the_next_statement(
    admin, connect, shop, session, isolation, change, replica
):
    # Given a connection that has just verified (no lock that TRUNCATE would wait for)
    reader = connect(isolation=isolation)
    assert verify(reader, session.token).valid
    statement, reason = BY_HAND[change]

    # When an administrator changes the table, even where ordinary triggers are off
    with admin.transaction():
        if replica:
            admin.execute("SET LOCAL session_replication_role = replica")
        admin.execute(statement, {**shop.place, "session_id": session.session_id})

    # Then
    try:
        answer = verify(reader, session.token)
        assert (answer.valid, answer.reason) == (False, reason)
    finally:
        if change == "keys_revoked":
            call(admin, "signing_key_rotate")


@LEVELS
def test_a_definition_changed_by_hand_rules_the_next_session(admin, connect, shop, isolation):
    connection = connect(isolation=isolation)
    shop.create(connection)
    admin.execute(
        "UPDATE dialstack.session_definitions SET expiry = 3, period = 'hours' "
        "WHERE product_id = (SELECT product_id FROM dialstack.products WHERE product = %s)",
        [shop.product],
    )

    lifetime = shop.create(connection).expires_at - value(connection, "SELECT clock_timestamp()")

    assert 2.9 * 3600 < lifetime.total_seconds() <= 3 * 3600 + 1


def test_a_key_retired_by_hand_still_verifies(admin, connect, shop, session):
    reader = connect()
    assert verify(reader, session.token).valid

    admin.execute(
        "UPDATE dialstack.signing_keys SET state = 'retired', retired_at = now() "
        "WHERE purpose = 'jwt' AND state = 'active'"
    )

    try:
        assert verify(reader, session.token).valid
    finally:
        call(admin, "signing_key_rotate")
    assert info(admin, session.session_id).generation == 0
