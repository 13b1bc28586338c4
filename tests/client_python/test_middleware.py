"""The middleware for Starlette and FastAPI: cookies, refreshing, log-out."""

import asyncio
import logging
import re
import time

import fastapi
import httpx
import psycopg
import pytest
from conftest import CLIENT
from dialstack_sessions import AsyncClient, SessionError
from dialstack_sessions.browser import ACCESS, REFRESH
from dialstack_sessions.starlette import SessionMiddleware, browser_session, required_session
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from support.service import call, info, revoke_active_key, until, verify
from web import HOME, ROUTES, SAME, Browser, log_a_user_in


def test_a_user_logs_in_and_out(browser, admin):
    assert browser.get().json() == {"in": False, "id": None, "data": None, "why": "missing"}
    log_a_user_in(browser, plan="big")
    assert set(browser.jar) == {ACCESS, REFRESH}
    assert browser.get().json() == {"in": True, "id": "user_1", "data": {"userId": "user_1", "plan": "big"}, "why": None}

    kept = info(admin, verify(admin, browser.jar[ACCESS]).session_id)
    assert (str(kept.ip), kept.user_agent) == ("10.0.0.7", browser.http.headers["user-agent"])

    token = browser.jar[ACCESS]
    assert browser.post("/logout").text == "bye"
    assert browser.jar == {}
    assert verify(admin, token).reason == "revoked"
    assert browser.get().json()["why"] == "missing"


def test_cookies_are_out_of_reach_and_never_cached(browser, admin):
    answer = log_a_user_in(browser)
    access, refresh = answer.headers.get_list("set-cookie")
    assert re.fullmatch(rf"{ACCESS}=ey[^;]+; Path=/; HttpOnly; Secure; SameSite=Lax", access)
    end = admin.execute("SELECT expires_at FROM dialstack.sessions ORDER BY created_at DESC LIMIT 1").fetchone()[0]
    expires = end.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert re.fullmatch(
        rf"{REFRESH}=rt_live_[^;]+; Expires={expires}; Path=/; HttpOnly; Secure; SameSite=Lax", refresh
    )
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert "set-cookie" not in browser.get().headers


def test_without_persistence_the_session_ends_with_the_browser(make_app, wait):
    answer = log_a_user_in(Browser(make_app({"persistent": False}), wait))
    assert not any("Expires" in cookie for cookie in answer.headers.get_list("set-cookie"))


def test_an_expired_access_token_is_refreshed_once(browser, admin, shop):
    session = call(admin, "session_create", **shop.place, data='{"userId": "user_1"}', expires_in="1 second")
    until(lambda: verify(admin, session.token).reason == "expired", "the token to expire")
    browser.set(access=session.token, refresh=session.refresh_token)
    answer = browser.get()
    assert answer.json()["id"] == "user_1"
    assert browser.jar[REFRESH] != session.refresh_token and verify(admin, browser.jar[ACCESS]).valid
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in browser.get().headers

    browser.set(access=session.token)
    assert browser.get().json() == {"in": False, "id": None, "data": None, "why": "expired"}
    assert browser.jar == {}


def test_an_access_token_whose_key_was_revoked_is_refreshed(browser, admin, shop):
    session = shop.create(admin)
    revoke_active_key(admin, "jwt")
    assert verify(admin, session.token).reason == "invalid"
    browser.set(access=session.token, refresh=session.refresh_token)
    assert browser.get().json()["id"] == "user_456"
    assert verify(admin, browser.jar[ACCESS]).valid

    browser.set(access=session.token)
    assert browser.get().json()["why"] == "invalid"
    assert browser.jar == {}


def test_a_refresh_is_not_lost_where_the_application_fails(browser, admin, shop):
    session = shop.create(admin)
    browser.set(refresh=session.refresh_token)
    answer = browser.get("/broken")
    assert answer.status_code == 500 and "a bug" not in answer.text
    assert browser.jar[REFRESH] != session.refresh_token
    assert browser.get().json()["id"] == "user_456"
    assert "set-cookie" not in browser.get("/broken").headers


def test_two_tabs_refresh_at_once(browser, admin, shop, wait):
    session = shop.create(admin)
    headers = {**SAME, "cookie": f"{REFRESH}={session.refresh_token}"}

    async def both():
        transport = httpx.ASGITransport(browser.app)
        async with httpx.AsyncClient(transport=transport, base_url=HOME) as http:
            return await asyncio.gather(*(http.get("/", headers=headers) for _ in range(6)))

    answers = wait(both())
    assert {answer.json()["id"] for answer in answers} == {"user_456"}
    refreshed = {answer.headers.get_list("set-cookie")[1] for answer in answers}
    assert len(refreshed) == 1 and info(admin, session.session_id).generation == 1


def test_a_reused_token_logs_out_for_good(browser, admin, shop):
    call(admin, "definition_update", product=shop.product, tag=shop.tag, changes='{"reuse_interval": "PT0S"}')
    session = shop.create(admin)
    call(admin, "session_refresh", refresh_token=session.refresh_token)
    browser.set(refresh=session.refresh_token)
    assert browser.get().json()["why"] == "reused"
    assert browser.jar == {}
    assert info(admin, session.session_id).revoke_reason == "reused", "the revocation is not committed"


def test_a_revoked_session_logs_out(browser, admin):
    log_a_user_in(browser)
    call(admin, "session_end", token=browser.jar[ACCESS])
    assert browser.get().json() == {"in": False, "id": None, "data": None, "why": "revoked"}
    assert browser.jar == {}


def test_a_forged_access_token_is_nobody_without_a_good_refresh_token(browser, admin, shop):
    session = shop.create(admin)
    for refresh in ({}, {"refresh": session.refresh_token[:-8] + "AAAAAAAA"}):
        browser.set(access=session.token[:-8] + "AAAAAAAA", **refresh)
        assert browser.get().json()["why"] == "invalid" and browser.jar == {}
    assert info(admin, session.session_id).generation == 0


def test_a_token_from_elsewhere_logs_out(browser, admin, shop):
    account = call(admin, "account_session_create", account="a", **shop.home)
    call(admin, "env_create", product=shop.product, env="staging")
    staging = call(admin, "session_create", **{**shop.place, "env": "staging"}, data='{"userId": "user_1"}')
    for cookies in (
        {"access": account.client_secret},
        {"access": staging.token},
        {"refresh": staging.refresh_token},
    ):
        browser.set(**cookies)
        assert browser.get().json()["why"] == "mismatch"
        assert browser.jar == {}


BAD_COOKIES = {
    "NUL": f"{ACCESS}=ey\0x",
    "refresh NUL": f"{REFRESH}=rt_live_\0",
    "latin": f"{ACCESS}=\xe9\xff",
    "junk": f"{ACCESS}=junk; {REFRESH}=junk",
    "twice": f"{ACCESS}=a; {ACCESS}=b",
    "twice the same": f"{REFRESH}=a; {REFRESH}=a",
    "long": f"{ACCESS}={'e' * 20_000}",
}


@pytest.mark.parametrize("name", BAD_COOKIES)
def test_a_bad_cookie_is_a_clean_log_out(browser, name, caplog):
    caplog.set_level(logging.DEBUG)
    header = BAD_COOKIES[name].encode("latin-1")
    answer = browser.get(headers=[(b"cookie", header)])
    assert (answer.status_code, answer.json()["why"]) == (200, "invalid")
    cleared = answer.headers.get_list("set-cookie")
    assert [c.split(";")[0] for c in cleared] == [f"{ACCESS}=", f"{REFRESH}="]
    assert all("Max-Age=0" in c for c in cleared)
    assert not [r for r in caplog.records if r.name == "dialstack_sessions"]


@pytest.mark.parametrize("header", ["", ";", "=", "a=b; __Host-sessio=x", f"{ACCESS}=", f"x{ACCESS}=1", "\0"])
def test_other_cookies_are_not_looked_at(browser, header):
    answer = browser.get(headers=[(b"cookie", header.encode())])
    assert answer.json()["why"] == "missing" and "set-cookie" not in answer.headers


def test_the_same_cookie_twice_is_one_and_two_that_differ_are_refused(browser, admin, shop):
    session = shop.create(admin)
    good = f"{ACCESS}={session.token}".encode()
    assert browser.get(headers=[(b"cookie", b"a=b"), (b"cookie", good)]).json()["in"]
    assert browser.get(headers=[(b"cookie", good), (b"cookie", good)]).json()["in"]
    planted = f"{ACCESS}={shop.create(admin).token}".encode()
    answer = browser.get(headers=[(b"cookie", good), (b"cookie", planted)])
    assert answer.json()["why"] == "invalid" and len(answer.headers.get_list("set-cookie")) == 2


def test_a_large_token_is_warned_of_and_not_sent(browser, caplog):
    log_a_user_in(browser)
    assert "bytes" not in caplog.text
    browser.post("/login", json={"userId": "user_2", "more": "x" * 2_500})
    assert "browsers drop one of more than 4096" in caplog.text and "=ey" not in caplog.text
    # The token of the user before must not stay.
    assert set(browser.jar) == {REFRESH}
    assert browser.get().json()["id"] == "user_2"


def test_a_log_in_ends_the_session_that_the_browser_had(browser, admin):
    log_a_user_in(browser)
    before = browser.jar[ACCESS]
    log_a_user_in(browser)
    assert verify(admin, before).reason == "revoked" and verify(admin, browser.jar[ACCESS]).valid
    browser.set(refresh="junk")
    assert log_a_user_in(browser).status_code == 200


def test_a_log_in_after_the_response_began_is_refused(browser):
    assert "comes too late" in browser.get("/late").text


def test_the_token_is_for_row_level_security(browser, request):
    request.getfixturevalue("notes")
    log_a_user_in(browser)
    assert browser.get("/notes").json() == [["of one"]]


def test_an_exhausted_pool_is_503(make_app, wait, admin, shop, caplog):
    browser = Browser(make_app(max_size=1, timeout=0.1), wait)
    session = shop.create(admin)
    browser.set(access=session.token, refresh=session.refresh_token)

    async def meanwhile():
        async with browser.app.state.pool.connection(timeout=10):
            return await browser.http.get("/", headers=SAME)

    answer = wait(meanwhile())
    assert answer.status_code == 503 and "set-cookie" not in answer.headers
    assert "CONNECTION_TIMEOUT" in caplog.text
    for secret in (session.token, session.refresh_token):
        assert secret not in caplog.text + answer.text
    assert browser.get().status_code == 200


def test_a_database_that_is_not_as_it_must_be_is_500(wait, direct, shop, caplog):
    app = Starlette(routes=ROUTES)
    lend = lambda: psycopg.AsyncConnection.connect(**{**direct, "dbname": "template1"}, user=CLIENT)  # noqa: E731
    app.add_middleware(SessionMiddleware, client=AsyncClient(lend, **shop.place))
    browser = Browser(app, wait)
    browser.set(access="eyToken")
    assert browser.get().status_code == 500
    assert "NOT_INSTALLED" in caplog.text and "eyToken" not in caplog.text


def test_a_user_sees_and_ends_their_devices(make_app, wait, admin, shop):
    app = make_app()
    here, there, third, stranger = (Browser(app, wait) for _ in range(4))
    for browser in (third, there, here):
        log_a_user_in(browser)
    stranger.post("/login", json={"userId": "user_2"})
    ids = [str(verify(admin, browser.jar[ACCESS]).session_id) for browser in (here, there, third, stranger)]
    listed = dict(here.get("/devices").json())
    assert {id: listed[id] for id in ids[:3]} == {ids[0]: True, ids[1]: False, ids[2]: False} and ids[3] not in listed

    for nobody in (ids[3], "nonsense"):
        assert here.post(f"/devices?end={nobody}").json() is False
    assert here.post(f"/devices?end={ids[1]}").json() is True
    assert there.get().json()["why"] == "revoked" and stranger.get().json()["in"]
    assert here.post("/devices").json() >= 1
    assert third.get().json()["why"] == "revoked" and here.get().json()["in"]
    assert here.post(f"/devices?end={ids[0]}").json() is True and here.jar == {}
    assert [here.get("/devices").json(), here.post("/devices?end=x").json(), here.post("/devices").json()] == [[], False, 0]


@pytest.mark.parametrize("offset", [-3600, 3600])
def test_a_clock_that_is_an_hour_off_changes_nothing(browser, admin, shop, monkeypatch, offset):
    now = time.time
    session = shop.create(admin)
    browser.set(refresh=session.refresh_token)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now() + offset)
        answer = browser.get()
    assert answer.json()["in"]
    end = info(admin, session.session_id).end_at.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert f"Expires={end}" in answer.headers.get_list("set-cookie")[1]


def test_fastapi_takes_the_session_as_a_dependency(make_app, wait):
    app = fastapi.FastAPI()
    app.state = make_app().state

    @app.get("/")
    async def who(session=fastapi.Depends(required_session)):
        return session.identifier

    @app.post("/login")
    async def log_in(data: dict, session=fastapi.Depends(browser_session)):
        await session.start(data, client=app.state.log_in)

    app.add_middleware(SessionMiddleware, client=app.state.client)
    browser = Browser(app, wait)
    assert browser.get().status_code == 401
    log_a_user_in(browser)
    assert browser.get().json() == "user_1"


def test_without_the_middleware_the_session_is_a_plain_error():
    with pytest.raises(RuntimeError, match="SessionMiddleware"):
        browser_session(HTTPConnection({"type": "http"}))


def test_the_place_must_be_known(roles):
    with pytest.raises(SessionError, match="tag is missing"):
        SessionMiddleware(None, AsyncClient(lambda: None, product="p", env="e"))
