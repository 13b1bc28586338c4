"""What open transactions see and leave behind. That a revocation counts at the next statement shows the
tier `identity`."""

import pytest
from support.levels import LEVELS
from support.service import call, value, verify


@pytest.fixture
def session(admin, shop):
    return shop.create(admin)


@LEVELS
def test_an_open_transaction_accepts_a_token_signed_with_a_key_made_after_it_began(
    admin, connect, shop, session, isolation
):
    reader = connect(isolation=isolation)
    with reader.transaction():
        assert value(reader, "SELECT count(*) >= 0 FROM dialstack.sessions")
        assert verify(reader, session.token).valid
        for purpose in ("jwt", "seal", "token"):
            call(admin, "signing_key_rotate", purpose=purpose)

        answer = verify(reader, shop.create(admin).token)

        assert (answer.valid, answer.data) == (True, {"userId": "user_456"})


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
