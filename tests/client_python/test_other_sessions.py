"""Account sessions, client sessions, API keys and definitions, by the names of the products' documents."""

import uuid
from datetime import datetime, timedelta, timezone

import pytest
from conftest import CLIENT
from dialstack_sessions import SessionError
from support import service


@pytest.fixture
def api_key(admin, shop):
    return service.call(admin, "api_key_create", **shop.home).api_key


@pytest.fixture
def keyed(make_client, route, api_key):
    """What may do nothing without its key."""
    return make_client(route, user=CLIENT, api_key=api_key)


def test_an_account_session_has_its_components(client):
    session = client.account_sessions.create(
        account="acct_1",
        components={"call_logs": {"enabled": False}, "voicemails": {"enabled": True}},
        identifier="user_1",
        ip="10.0.0.9",
        user_agent="a browser",
    )
    assert session.client_secret.startswith("cs_live_") and session.client_secret not in repr(session)
    assert (session.account_id, session.components["voicemails"]) == ("acct_1", {"enabled": True})
    assert session.expires_at > datetime.now(timezone.utc)

    verdict = client.account_sessions.verify(session.client_secret, scope="voicemails")
    assert (verdict.valid, verdict.account, verdict.scopes) == (True, "acct_1", ["voicemails"])
    assert client.account_sessions.verify(session.client_secret, scope="call_logs").reason == "scope_disabled"
    info = client.sessions.get_info(verdict.session_id)
    assert (info.ip, info.user_agent) == ("10.0.0.9", "a browser")
    assert client.account_sessions.revoke(account="acct_1") == 1
    assert client.account_sessions.verify(session.client_secret).reason == "revoked"


def test_the_deprecated_name_still_works(client):
    with pytest.warns(DeprecationWarning, match="account_sessions.create"):
        session = client.sessions.create(account="acct_1")
    assert session.client_secret.startswith("cs_live_")


def test_a_token_of_another_family_is_a_mismatch(client):
    token = client.sessions.start(data={"userId": "user_1"}).token
    for verdict in (client.account_sessions.verify(token), client.client_sessions.verify(token)):
        assert (verdict.valid, verdict.reason, verdict.identifier) == (False, "mismatch", None)


def test_client_sessions(client):
    accounts = [str(uuid.uuid4()), uuid.uuid4()]
    session = client.client_sessions.create(
        user_identifier_key="internal-user-id-1", connected_account_ids=accounts
    )
    assert session.token.startswith("cst_live_") and session.token not in repr(session)
    assert session.connected_account_ids == session.third_party_account_ids == [uuid.UUID(str(a)) for a in accounts]
    assert (session.device_count, session.connect_webview_ids) == (0, [])
    assert client.client_sessions.verify(session.token).kind == "client"

    assert client.client_sessions.get(client_session_id=session.client_session_id) == session
    assert client.client_sessions.get(user_identifier_key="internal-user-id-1") == session
    assert client.client_sessions.list() == [session]

    end = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=2)
    later = client.client_sessions.get_or_create(user_identifier_key="internal-user-id-1", expires_at=end)
    assert (later.client_session_id, later.expires_at) == (session.client_session_id, end)

    more = client.client_sessions.grant_access(
        client_session_id=session.client_session_id, connect_webview_ids=[uuid.uuid4()]
    )
    assert (len(more.connected_account_ids), len(more.connect_webview_ids)) == (2, 1)

    assert client.client_sessions.revoke(client_session_id=session.client_session_id) is None
    assert client.client_sessions.verify(session.token).reason == "revoked"
    assert client.client_sessions.delete(client_session_id=session.client_session_id) is None
    assert client.client_sessions.verify(session.token).reason == "invalid"
    with pytest.raises(SessionError) as caught:
        client.client_sessions.get(client_session_id=session.client_session_id)
    assert caught.value.code == "SESSION_NOT_FOUND"


def test_a_key_is_presented_in_the_transaction_of_each_call(keyed, make_client, route):
    session = keyed.account_sessions.create(account="acct_1")
    assert keyed.client_sessions.create(user_identifier_key="user-1").workspace_id
    # The connections are as they were: another client on them has no key.
    for _ in range(5):
        with pytest.raises(SessionError) as caught:
            make_client(route, user=CLIENT).account_sessions.create(account="acct_1")
        assert caught.value.code in ("PERMISSION_DENIED", "API_KEY_INVALID")
    assert session.client_secret


def test_a_key_is_presented_beside_a_token(keyed, as_work, admin, shop):
    token = shop.create(admin, "user_1").token
    query = "SELECT account_id, dialstack.current_identifier() FROM dialstack.account_session_create('acct_1')"
    assert keyed.with_token(token, as_work(query)) == [("acct_1", "user_1")]


def test_a_bad_key_is_a_typed_error_that_does_not_show_it(make_client, route):
    client = make_client(route, user=CLIENT, api_key="sk_live_" + "x" * 43)
    with pytest.raises(SessionError) as caught:
        client.account_sessions.create(account="acct_1")
    assert caught.value.code == "API_KEY_INVALID"
    assert "sk_live_x" not in str(vars(caught.value)) + str(caught.value)


def test_defines_with_a_handler_and_registers(make_client, direct, shop):
    client = make_client(direct, user="postgres")

    def handler(ctx):
        ctx.selector("userId")
        ctx.expiry(1, "hours")
        ctx.schema(
            {
                "userId": {"type": "string", "required": True},
                "cartId": {"type": "string", "required": False},
            }
        )

    checkout = client.sessions.define(
        product=shop.product,
        tag="checkout-session",
        name="Checkout Session",
        description="Session for checkout flow",
        handler=handler,
        options={"idle_timeout": timedelta(hours=2)},
    )
    stored = client.sessions.register(shop.product, checkout)
    assert (stored.selector, stored.expiry, stored.period) == ("$Session{userId}", 1, "hours")
    assert (stored.idle_timeout, stored.reuse_interval) == (timedelta(hours=2), timedelta(seconds=30))
    assert stored.schema["required"] == ["userId"]
    assert client.at(product=shop.product).sessions.fetch("checkout-session") == stored


def test_create_with_a_schema_is_a_definition(make_client, direct, shop):
    client = make_client(direct, user="postgres", product=shop.product)
    made = client.sessions.create(
        name="Checkout Session",
        tag="checkout-session",
        description="Session for checkout flow",
        schema={"userId": "user_456", "details": {"email": "jane@example.com"}},
        selector="$Session{userId}",
        expiry=1,
        period="hours",
    )
    assert {d.tag for d in client.sessions.fetch_all()} == {"web", "checkout-session"}
    assert client.definitions.get("checkout-session") == made
    assert client.sessions.update("checkout-session", {"expiry": 2}).expiry == 2
    assert client.definitions.update("checkout-session", {"expiry": 3}).expiry == 3
    assert client.sessions.delete("checkout-session").tag == made.tag
    assert [d.tag for d in client.definitions.list()] == ["web"]
    with pytest.raises(SessionError) as caught:
        client.sessions.fetch("checkout-session")
    assert caught.value.code == "DEFINITION_NOT_FOUND"


def test_an_incomplete_definition_is_a_typed_error(make_client, direct, shop):
    async def asynchronous(ctx):
        raise AssertionError("is not called")

    client = make_client(direct, user="postgres", product=shop.product)
    with pytest.raises(SessionError, match="selector is missing"):
        client.sessions.define(tag="x", name="X", handler=lambda ctx: None)
    with pytest.raises(SessionError, match="plain function"):
        client.sessions.define(tag="x", name="X", handler=asynchronous)
    with pytest.raises(SessionError, match="data is missing"):
        client.sessions.create(tag="x")
