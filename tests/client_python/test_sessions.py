"""User sessions, by the names and arguments that the products' documents use."""

from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest
from dialstack_sessions import SessionError


def test_a_session_lives_and_ends(client):
    created = client.sessions.create(
        product=client.place.product,
        env="production",
        tag="web",
        data={"userId": "user_1", "email": "john@example.com"},
    )
    assert created.token.startswith("ey") and created.refresh_token.startswith("rt_live_")
    assert isinstance(created.expires_at, datetime) and isinstance(created.session_id, UUID)
    assert timedelta(days=29) < created.session_expires_at - created.expires_at < timedelta(days=31)

    verdict = client.sessions.verify(created.token)
    assert (verdict.valid, verdict.reason, verdict.kind) == (True, None, "user")
    assert verdict.data == {"userId": "user_1", "email": "john@example.com"}
    assert (verdict.session_id, verdict.expires_at) == (created.session_id, created.expires_at)

    renewed = client.sessions.refresh(refresh_token=created.refresh_token)
    assert renewed.ok and renewed.session_id == created.session_id
    assert renewed.refresh_token != created.refresh_token
    assert (renewed.identifier, renewed.data) == ("user_1", verdict.data)

    assert client.sessions.revoke(session_id=created.session_id) == 1
    after = client.sessions.verify(token=renewed.token)
    assert (after.valid, after.reason, after.identifier) == (False, "revoked", None)


def test_start_is_create_with_data(client):
    started = client.sessions.start(
        data={"userId": "user_1", "details": {"username": "johndoe"}},
        ip="10.1.2.3",
        user_agent="a browser",
        expires_in=timedelta(minutes=2),
        session_expires_in=3600,
    )
    now = datetime.now(timezone.utc)
    assert timedelta(minutes=1) < started.expires_at - now < timedelta(minutes=3)
    assert timedelta(minutes=55) < started.session_expires_at - now < timedelta(minutes=65)
    info = client.sessions.get_info(started.session_id)
    assert (info.ip, info.user_agent, info.kind, info.tag) == ("10.1.2.3", "a browser", "user", "web")


def test_product_env_and_tag_come_from_the_call_and_else_from_the_client(client, admin):
    created = client.sessions.start(data={"userId": "user_1"})
    assert client.sessions.verify(created.token).valid
    assert client.sessions.verify(created.token, tag="other").reason == "mismatch"
    assert client.at(env="staging").sessions.verify(created.token).reason == "mismatch"
    with pytest.raises(SessionError) as caught:
        client.sessions.start(tag="none", data={"userId": "user_1"})
    assert caught.value.code == "DEFINITION_NOT_FOUND"


def test_what_no_one_says_is_a_typed_error(make_client, route):
    with pytest.raises(SessionError, match="product is missing") as caught:
        make_client(route).sessions.start(data={"userId": "user_1"})
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c", "\0", "ey\0", "ü€", "\ud800", "web:" + "e" * 10_000])
def test_a_bad_token_is_an_answer(client, token):
    reason = "invalid" if token else "missing"
    assert client.sessions.verify(token).reason == reason
    refreshed = client.sessions.refresh(token)
    assert (refreshed.ok, refreshed.reason, refreshed.token) == (False, reason, None)


def test_require_raises(client):
    created = client.sessions.start(data={"userId": "user_1"})
    assert client.sessions.require(created.token).identifier == "user_1"
    client.sessions.end(created.refresh_token)
    with pytest.raises(SessionError) as caught:
        client.sessions.require(created.token)
    assert (caught.value.code, caught.value.sqlstate) == ("VERIFY_FAILED", "42501")
    assert "revoked" in str(vars(caught.value))


def test_a_reused_token_is_refused_for_good(client, admin):
    admin.execute(
        "SELECT dialstack.definition_update(%s, 'web', '{\"reuse_interval\": \"PT0S\"}')", [client.place.product]
    )
    first = client.sessions.start(data={"userId": "user_1"})
    second = client.sessions.refresh(first.refresh_token)
    stolen = client.sessions.refresh(first.refresh_token)
    assert (stolen.ok, stolen.reason) == (False, "reused")
    # The revocation was committed, though nothing was but the refusal.
    assert client.sessions.refresh(second.refresh_token).reason == "reused"
    assert client.sessions.verify(second.token).reason == "reused"


def test_lists_and_logs_out_everywhere_else(client):
    mine, other = (client.sessions.start(data={"userId": "user_1"}, user_agent=u) for u in ("laptop", "phone"))
    client.sessions.start(data={"userId": "user_2"})

    page = client.sessions.list(identifier="user_1", page=1, limit=10)
    assert (page.total, page.page, page.limit, page.total_pages) == (2, 1, 10, 1)
    assert {s.session_id for s in page.sessions} == {mine.session_id, other.session_id}
    assert {(s.user_agent, s.active) for s in page.sessions} == {("laptop", True), ("phone", True)}
    assert client.sessions.list_active(limit=1).total == 3
    # What was not counted is not said to be nothing.
    assert client.sessions.list(identifier="nobody").total == 0
    for uncounted in (client.sessions.list(page=9), client.sessions.list(with_total=False)):
        assert (uncounted.total, uncounted.total_pages) == (None, None)
    assert client.sessions.fetch_users(page=9).total_pages is None
    assert client.sessions.fetch_activity_logs(page=9).total is None

    ended = client.sessions.revoke_all(identifier="user_1", exclude_current_session=mine.session_id)
    assert ended == 1
    assert [s.session_id for s in client.sessions.list(identifier="user_1").sessions] == [mine.session_id]
    assert client.sessions.list(identifier="nobody").sessions == []


def test_a_page_of_devices_revokes_no_strangers_session(client):
    mine = client.sessions.start(data={"userId": "user_1"})
    with pytest.raises(SessionError) as caught:
        client.sessions.revoke(session_id=mine.session_id, identifier="user_2")
    assert caught.value.code == "SESSION_NOT_FOUND" and caught.value.hint


def test_changes_a_session(client):
    created = client.sessions.start(data={"userId": "user_1"})
    client.sessions.update_data(created.session_id, {"userId": "user_1", "plan": "big"})
    assert client.sessions.verify(created.token).data["plan"] == "big"
    later = client.sessions.extend_session(created.session_id, timedelta(days=1))
    assert later.expires_at - created.session_expires_at == timedelta(days=1)
    before = client.sessions.verify(created.token).authenticated_at
    assert client.sessions.reauthenticate(created.session_id).authenticated_at > before
    assert client.sessions.verify(created.token, max_age="1 microsecond").reason == "stale"
    assert client.sessions.introspect(created.token)["active"] is True
    assert all(step.passed for step in client.sessions.explain(created.token))
    assert client.keys.issuer() == client.sessions.introspect(created.token)["iss"]
    assert client.keys.jwks() == {"keys": []}
    assert client.sessions.end(created.token) == 1


def test_users_activity_and_figures(client):
    created = client.sessions.start(data={"userId": "user_1"}, ip="::1")
    client.sessions.start(data={"userId": "user_2"})
    product = client.place.product

    users = client.sessions.fetch_users(product=product, session="web", page=1, limit=1)
    assert (users.total, users.total_pages, len(users.users)) == (2, 2, 1)
    assert (users.users[0].status, users.users[0].active_sessions) == ("active", 1)

    details = client.sessions.fetch_user_details(product=product, session="web", identifier="user_1")
    assert (details.total_sessions, details.active_sessions_count) == (1, 1)
    assert details.sessions[0].session_id == created.session_id
    assert details.latest_session_data == {"userId": "user_1"}
    with pytest.raises(SessionError) as caught:
        client.sessions.fetch_user_details(session="web", identifier="nobody")
    assert caught.value.code == "USER_NOT_FOUND"

    start = datetime.now(timezone.utc) - timedelta(hours=1)
    logs = client.sessions.fetch_activity_logs(session="web", status="success", start=start, limit=10)
    assert logs.total == 2
    assert {(log.operation, log.identifier) for log in logs.logs} == {("create", "user_1"), ("create", "user_2")}
    assert {log.ip for log in logs.logs} == {"::1", None}

    dashboard = client.sessions.fetch_dashboard(session="web", group_by="day", start=start.isoformat())
    assert (dashboard.total_users, dashboard.active_sessions, dashboard.success_rate) == (2, 2, 100)
    assert sum(period.created for period in dashboard.sessions_over_time) == 2
    figures = client.sessions.fetch_user_dashboard(session="web", identifier="user_1")
    assert figures.total_logs == 1 and len(figures.peak_hours) == 24


def test_a_session_limit_is_a_typed_error(client, admin):
    admin.execute(
        "SELECT dialstack.definition_update(%s, 'web', %s)",
        [client.place.product, '{"max_sessions": 1, "on_limit": "deny"}'],
    )
    client.sessions.start(data={"userId": "user_1"})
    with pytest.raises(SessionError) as caught:
        client.sessions.start(data={"userId": "user_1"})
    assert (caught.value.code, caught.value.sqlstate) == ("SESSION_LIMIT_REACHED", "53400")


def test_what_is_returned_shows_no_secret(client):
    created = client.sessions.start(data={"userId": "user_1"})
    renewed = client.sessions.refresh(created.refresh_token)
    shown = repr(created) + repr(renewed)
    for secret in (created.token, created.refresh_token, renewed.token, renewed.refresh_token):
        assert secret not in shown
