"""Client and account sessions, and the keys that open them, which change while they are in use."""

import pytest
from psycopg import errors
from support.levels import LEVELS
from support.service import REPEATABLE_READ, active_key, call, value, verify


@pytest.fixture
def reader(connect, isolation):
    """A connection in the middle of a transaction, whose snapshot was taken before the change."""
    reader = connect(isolation=isolation)
    with reader.transaction(force_rollback=True):
        assert value(reader, "SELECT count(*) >= 0 FROM dialstack.sessions")
        yield reader


def client_session(admin, place):
    return call(admin, "client_session_create", user_identifier_key="u", **place).token


def test_an_expiry_that_is_replaced_counts_at_the_next_statement(admin, connect, place):
    reader = connect(isolation=REPEATABLE_READ)
    token = client_session(admin, place)
    with reader.transaction():
        before = verify(reader, token).expires_at
        end = value(admin, "SELECT now() + interval '1 hour'")

        call(
            admin, "client_session_get_or_create", user_identifier_key="u", expires_at=end, **place
        )

        assert verify(reader, token).expires_at == end < before


ENDS = {
    "revoked": "SELECT dialstack.api_key_revoke(%(api_key_id)s)",
    "environment_deleted": "SELECT dialstack.env_delete(%(product)s, %(env)s)",
    "expired": "UPDATE dialstack.api_keys SET expires_at = clock_timestamp() WHERE api_key_id = %(api_key_id)s",
}


@LEVELS
@pytest.mark.parametrize("kind", ["secret", "publishable"])
@pytest.mark.parametrize("end", ENDS)
def test_a_key_that_ends_while_it_is_in_use_is_refused(admin, place, reader, kind, end):
    key = call(admin, "api_key_create", kind=kind, **place)
    reader.execute("SELECT set_config('dialstack_sessions.api_key', %s, true)", [key.api_key])
    with reader.transaction(force_rollback=True):
        assert call(reader, "client_session_create", user_identifier_key="u")

    admin.execute(ENDS[end], {**place, "api_key_id": key.api_key_id})

    with pytest.raises(errors.InsufficientPrivilege, match="^API_KEY_INVALID"):
        call(reader, "client_session_create", user_identifier_key="u")


def test_a_session_made_while_its_key_is_revoked_is_in_nobodys_way(admin, connect, place):
    kept = client_session(admin, place)
    maker = connect()
    with maker.transaction():
        call(maker, "client_session_create", user_identifier_key="v", **place)
        kid = active_key(admin, "token")
        call(admin, "signing_key_rotate", purpose="token")
        again = call(admin, "client_session_create", user_identifier_key="w", **place)
        call(admin, "signing_key_revoke", kid=kid)

    listed = admin.execute(
        "SELECT user_identifier_key FROM dialstack.client_session_list(product => %s, env => %s)",
        (place["product"], place["env"]),
    ).fetchall()
    assert [row.user_identifier_key for row in listed] == ["w"]
    with pytest.raises(errors.NoDataFound, match="^SESSION_NOT_FOUND"):
        call(admin, "client_session_get", user_identifier_key="v", **place)
    anew = call(admin, "client_session_get_or_create", user_identifier_key="v", **place)
    assert verify(admin, anew.token).valid
    assert verify(admin, again.token).valid
    assert verify(admin, kept).reason == "invalid"
