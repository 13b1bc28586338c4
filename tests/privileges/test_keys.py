"""Every pair of product, environment and kind of key, over every function that a key opens."""

import pytest
from conftest import INCLUDED, LEVELS
from psycopg import Error
from support import service
from support.service import call, keep_presenting, use_key, verify

KINDS = ["secret", "publishable"]
PLACES = [
    {"product": product, "env": env}
    for product in ("keys-one", "keys-two")
    for env in ("production", "staging")
]
ACCOUNT = "00000000-0000-0000-0000-000000000001"
OK, DENIED, NOT_FOUND, NOT_EMPTY = (
    "ok",
    "PERMISSION_DENIED",
    "SESSION_NOT_FOUND",
    "PUBLISHABLE_KEY_MUST_CREATE_EMPTY_SESSION",
)


def ids(value):
    return "-".join(value.values()) if isinstance(value, dict) else value


@pytest.fixture(scope="session")
def stage(installed):
    """In each place a session of the backend's, one that a publishable key made, and two keys."""
    stage = {}
    with service.connect() as admin:
        for product in ("keys-one", "keys-two"):
            call(admin, "product_create", product=product)
        for place in PLACES:
            call(admin, "env_create", **place, live=place["env"] == "production")
            keys = {kind: call(admin, "api_key_create", **place, kind=kind).api_key for kind in KINDS}
            # The same keys everywhere, so that the sessions differ in their place only.
            session = call(admin, "client_session_create", user_identifier_key="ours", **place)
            use_key(admin, keys["publishable"])
            call(admin, "client_session_create", user_identifier_key="browser")
            use_key(admin, "")
            stage[ids(place)] = keys, session
    return stage


def outcome(connection, function, arguments):
    """What came of a call, and its row. It leaves nothing behind."""
    row = None
    try:
        with connection.transaction(force_rollback=True):
            row = call(connection, function, **arguments)
            token = getattr(row, "client_secret", None) or getattr(row, "token", None)
            if token:
                row = verify(connection, token)
    except Error as error:
        return error.diag.message_primary.partition(":")[0], None
    return OK, row


def calls(session):
    """Each function, and what it does to a session that another place has or this one."""
    session_id = {"client_session_id": session.client_session_id}
    by_key = {"user_identifier_key": "ours"}
    grants = {"connected_account_ids": [ACCOUNT]}
    yield "account", "account_session_create", {"account": "acct_1"}
    yield "create nameless", "client_session_create", {}
    yield "create", "client_session_create", {"user_identifier_key": "browser"}
    yield "create new", "client_session_create", {"user_identifier_key": "new"}
    yield "create ours", "client_session_create", by_key
    yield "create granted", "client_session_create", {"user_identifier_key": "new", **grants}
    yield "get_or_create", "client_session_get_or_create", {"user_identifier_key": "browser"}
    yield "get_or_create ours", "client_session_get_or_create", by_key
    yield "get_or_create nameless", "client_session_get_or_create", {}
    yield "get by id", "client_session_get", session_id
    yield "get by key", "client_session_get", by_key
    yield "list", "client_session_list", {}
    yield "grant by id", "client_session_grant_access", {**session_id, **grants}
    yield "grant by key", "client_session_grant_access", {**by_key, **grants}
    yield "revoke", "client_session_revoke", session_id
    yield "delete", "client_session_delete", session_id


BY_ID = {"get by id", "grant by id", "revoke", "delete"}
PUBLISHABLE = {
    "create": OK,
    "create new": OK,
    "get_or_create": OK,
    "create granted": NOT_EMPTY,
}


@pytest.mark.parametrize("level", [*(level for level in LEVELS if "client" in INCLUDED[level]), "superuser"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", PLACES, ids=ids)
def test_a_key_opens_what_its_kind_allows_in_its_own_place_alone(
    act_as, admin, stage, level, kind, other
):
    own = PLACES[0]
    connection = admin if level == "superuser" else act_as(level)
    use_key(connection, stage[ids(own)][0][kind])
    expected, found = {}, {}
    for name, function, arguments in calls(stage[ids(other)][1]):
        if kind == "publishable":
            expected[name] = PUBLISHABLE.get(name, DENIED)
        else:
            expected[name] = NOT_FOUND if name in BY_ID and own != other else OK
        expected[name, "named"] = expected[name] if own == other else DENIED

        found[name], row = outcome(connection, function, arguments)
        # What it reached is the key's.
        if row is not None and hasattr(row, "env"):
            assert {"product": row.product, "env": row.env} == own
        found[name, "named"], _ = outcome(connection, function, {**arguments, **other})
    assert found == expected


def tokens(admin, shop):
    user = shop.create(admin)
    yield user.token
    yield user.refresh_token
    yield call(admin, "account_session_create", account="acct_1", **shop.home).client_secret
    yield call(admin, "client_session_create", user_identifier_key="u", **shop.home).token


CREATIONS = {
    "account_session_create": {"account": "acct_1"},
    "session_create": {"account": "acct_1"},
    "client_session_create": {"user_identifier_key": "new"},
    "client_session_get_or_create": {"user_identifier_key": "new"},
}


@pytest.mark.parametrize("creation", CREATIONS)
def test_a_session_token_never_creates_a_session(admin, act_as, shop, creation):
    for token in tokens(admin, shop):
        connection = act_as("client")
        keep_presenting(connection, token)
        assert outcome(connection, creation, CREATIONS[creation]) == (DENIED, None)


def test_a_client_gets_its_own_session_without_a_key(admin, act_as, place):
    own = call(admin, "client_session_create", user_identifier_key="u", **place)
    other = call(admin, "client_session_create", user_identifier_key="other", **place)
    connection = act_as("client")
    keep_presenting(connection, own.token)

    assert call(connection, "client_session_get").client_session_id == own.client_session_id

    for arguments in (
        {"client_session_id": other.client_session_id},
        {"client_session_id": own.client_session_id},
        {"user_identifier_key": "other"},
    ):
        assert outcome(connection, "client_session_get", arguments) == (DENIED, None)
    assert outcome(connection, "client_session_list", {}) == (DENIED, None)
