"""What one connection commits, the very next statement of every other one obeys."""

from uuid import UUID

import pytest
from psycopg import errors
from support.service import (
    READ_COMMITTED,
    REPEATABLE_READ,
    SERIALIZABLE,
    call,
    value,
    verify,
)

LEVELS = pytest.mark.parametrize(
    "isolation",
    [READ_COMMITTED, REPEATABLE_READ, SERIALIZABLE],
    ids=["read_committed", "repeatable_read", "serializable"],
)
ACCOUNT = UUID(int=1)


@pytest.fixture
def place(shop):
    return {"product": shop.product, "env": shop.env}


@pytest.fixture
def reader(connect, isolation):
    """A connection in the middle of a transaction, whose snapshot was taken before the change."""
    reader = connect(isolation=isolation)
    with reader.transaction(force_rollback=True):
        assert value(reader, "SELECT count(*) >= 0 FROM dialstack.sessions")
        yield reader


def client_session(admin, place):
    row = call(admin, "client_session_create", user_identifier_key="u", **place)
    return row.token, row.client_session_id


def account_session(admin, place):
    token = call(admin, "account_session_create", account="acct_1", **place).client_secret
    return token, verify(admin, token).session_id


def revoke(admin, place, session_id):
    call(admin, "client_session_revoke", client_session_id=session_id, **place)
    return "revoked"


def delete(admin, place, session_id):
    call(admin, "client_session_delete", client_session_id=session_id, **place)
    return "invalid"


def delete_env(admin, place, session_id):
    call(admin, "env_delete", **place)
    return "revoked"


def revoke_key(admin, place, session_id):
    query = "SELECT kid FROM dialstack.signing_key_list() WHERE purpose = 'token' AND state = 'active'"
    call(admin, "signing_key_revoke", kid=value(admin, query))
    return "invalid"


def rotate_key(admin, place, session_id):
    call(admin, "signing_key_rotate", purpose="token")


def revoke_by_hand(admin, place, session_id):
    admin.execute(
        "WITH client AS (UPDATE dialstack.client_sessions SET revoked_at = now(), revoke_reason = 'revoked'"
        " WHERE session_id = %(id)s) "
        "UPDATE dialstack.sessions SET revoked_at = now(), revoke_reason = 'revoked' WHERE session_id = %(id)s",
        {"id": session_id},
    )
    return "revoked"


def expire_by_hand(admin, place, session_id):
    admin.execute(
        "WITH client AS (UPDATE dialstack.client_sessions SET expires_at = now() - interval '1 s'"
        " WHERE session_id = %(id)s) "
        "UPDATE dialstack.sessions SET expires_at = now() - interval '1 s' WHERE session_id = %(id)s",
        {"id": session_id},
    )
    return "expired"


@LEVELS
@pytest.mark.parametrize(
    "make, change",
    [(client_session, change) for change in (revoke, delete)]
    + [
        (make, change)
        for make in (client_session, account_session)
        for change in (delete_env, revoke_key, rotate_key, revoke_by_hand, expire_by_hand)
    ],
)
def test_an_open_transaction_learns_of_a_change_to_a_session(admin, place, reader, make, change):
    token, session_id = make(admin, place)
    assert verify(reader, token).valid

    reason = change(admin, place, session_id)

    assert verify(reader, token).reason == reason


@LEVELS
def test_a_scope_that_is_deleted_is_gone_in_an_open_transaction(admin, place, reader):
    fax = {"product": place["product"], "scope": "fax"}
    call(admin, "scope_create", **fax, description="")
    token, _ = account_session(admin, place)
    assert verify(reader, token, scope="fax").valid

    call(admin, "scope_delete", **fax)

    assert verify(reader, token, scope="fax").reason == "scope_disabled"
    assert verify(reader, token).valid


def test_granted_access_is_there_at_the_next_statement(admin, connect, place):
    reader = connect()
    token, _ = client_session(admin, place)
    with reader.transaction():
        reader.execute("SELECT set_config('dialstack_sessions.token', %s, true)", [token])
        assert call(reader, "client_session_get").connected_account_ids == []

        call(
            admin,
            "client_session_grant_access",
            user_identifier_key="u",
            connected_account_ids=[ACCOUNT],
            **place,
        )

        assert call(reader, "client_session_get").connected_account_ids == [ACCOUNT]


def test_an_expiry_that_is_replaced_counts_at_the_next_statement(admin, connect, place):
    reader = connect(isolation=REPEATABLE_READ)
    token, _ = client_session(admin, place)
    with reader.transaction():
        before = verify(reader, token).expires_at
        end = value(admin, "SELECT now() + interval '1 hour'")

        call(
            admin, "client_session_get_or_create", user_identifier_key="u", expires_at=end, **place
        )

        assert verify(reader, token).expires_at == end < before


def revoke_api_key(admin, place, api_key_id):
    call(admin, "api_key_revoke", api_key_id=api_key_id)


def delete_its_environment(admin, place, api_key_id):
    call(admin, "env_delete", **place)


def revoke_api_key_by_hand(admin, place, api_key_id):
    admin.execute(
        "UPDATE dialstack.api_keys SET revoked_at = now() WHERE api_key_id = %s", [api_key_id]
    )


def expire_api_key_by_hand(admin, place, api_key_id):
    admin.execute(
        "UPDATE dialstack.api_keys SET expires_at = clock_timestamp() WHERE api_key_id = %s",
        [api_key_id],
    )


def delete_api_key_by_hand(admin, place, api_key_id):
    admin.execute("DELETE FROM dialstack.api_keys WHERE api_key_id = %s", [api_key_id])


@LEVELS
@pytest.mark.parametrize("kind", ["secret", "publishable"])
@pytest.mark.parametrize(
    "change",
    [
        revoke_api_key,
        delete_its_environment,
        revoke_api_key_by_hand,
        expire_api_key_by_hand,
        delete_api_key_by_hand,
    ],
)
def test_a_key_that_ends_while_it_is_in_use_is_refused(admin, place, reader, kind, change):
    key = call(admin, "api_key_create", kind=kind, **place)
    reader.execute("SELECT set_config('dialstack_sessions.api_key', %s, true)", [key.api_key])
    with reader.transaction(force_rollback=True):
        assert call(reader, "client_session_create", user_identifier_key="u")

    change(admin, place, key.api_key_id)

    with pytest.raises(errors.InsufficientPrivilege, match="^API_KEY_INVALID"):
        call(reader, "client_session_create", user_identifier_key="u")


@pytest.mark.parametrize("level", ["client", "server", "admin"])
def test_an_access_level_that_is_revoked_is_gone_at_the_next_transaction(admin, connect, level):
    # PostgreSQL itself looks at privileges; inside a transaction it may do so from memory.
    role = f"leaver_{level}"
    admin.execute(f"CREATE ROLE {role}")
    call(admin, "grant_access", role=role, access=level)
    leaver = connect()
    leaver.execute(f"SET ROLE {role}")
    assert not verify(leaver, "rubbish").valid

    call(admin, "revoke_access", role=role, access=level)

    with pytest.raises(errors.InsufficientPrivilege, match="^permission denied for"):
        verify(leaver, "rubbish")


def test_at_server_level_a_key_is_needed_as_soon_as_the_level_is_lowered(admin, connect, place):
    admin.execute("CREATE ROLE demoted")
    call(admin, "grant_access", role="demoted", access="client")
    call(admin, "grant_access", role="demoted", access="server")
    reader = connect()
    with reader.transaction(force_rollback=True):
        reader.execute("SET LOCAL ROLE demoted")
        assert call(reader, "account_session_create", account="acct_1", **place)

        call(admin, "revoke_access", role="demoted", access="server")

        with pytest.raises(errors.InsufficientPrivilege, match="^PERMISSION_DENIED"):
            call(reader, "account_session_create", account="acct_1", **place)


def test_a_session_made_while_its_key_is_revoked_is_in_nobodys_way(admin, connect, place):
    kept, _ = client_session(admin, place)
    maker = connect()
    with maker.transaction():
        call(maker, "client_session_create", user_identifier_key="v", **place)
        kid = value(
            admin,
            "SELECT kid FROM dialstack.signing_key_list()"
            " WHERE purpose = 'token' AND state = 'active'",
        )
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
