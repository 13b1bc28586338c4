"""The middleware for Starlette and FastAPI: cookies, refreshing, log-out, requests of other sites."""

import asyncio
import logging
import re
import time

import fastapi
import httpx
import psycopg
import pytest
from conftest import CLIENT, SERVER, SOURCE
from dialstack_sessions import AsyncClient
from dialstack_sessions.browser import ACCESS, REFRESH, BrowserRequest
from dialstack_sessions.starlette import SessionMiddleware, browser_session, required_session
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from support.service import call, info, until, verify

HOME = "https://shop.test"
SAME = {"sec-fetch-site": "same-origin"}


async def who(request):
    session = request.session
    return JSONResponse({"in": bool(session), "id": session.identifier, "data": session.data, "why": session.reason})


async def log_in(request):
    await request.session.start(await request.json(), client=request.app.state.log_in)
    return PlainTextResponse("welcome", headers={"Cache-Control": "public, max-age=60"})


async def log_out(request):
    await request.session.revoke()
    return PlainTextResponse("bye")


async def too_late(request):
    async def body():
        yield b"begun"
        try:
            await request.session.start({"userId": "user_1"}, client=request.app.state.log_in)
        except Exception as error:
            yield str(error).encode()

    return StreamingResponse(body())


async def notes(request):
    async def mine(connection):
        return await (await connection.execute("SELECT body FROM notes")).fetchall()

    return JSONResponse(await request.app.state.client.with_token(request.session.token, mine))


async def socket(websocket):
    await websocket.accept()
    await websocket.send_json({"id": websocket.session.identifier})
    await websocket.close()


ROUTES = [
    Route("/", who, methods=["GET", "POST", "PUT"]),
    Route("/login", log_in, methods=["POST"]),
    Route("/logout", log_out, methods=["POST"]),
    Route("/late", too_late),
    Route("/notes", notes),
    WebSocketRoute("/socket", socket),
]


class Browser:
    """A browser, with its jar of cookies, in front of an application."""

    def __init__(self, app, wait):
        self.app, self.wait = app, wait
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app, client=("10.0.0.7", 4000)), base_url=HOME)

    def visit(self, method, path, **options):
        options.setdefault("headers", SAME)
        return self.wait(self.http.request(method, path, **options))

    def get(self, path="/", **options):
        return self.visit("GET", path, **options)

    def post(self, path, **options):
        return self.visit("POST", path, **options)

    @property
    def jar(self):
        return dict(self.http.cookies)

    def set(self, **cookies):
        self.http.cookies.clear()
        for name, value in cookies.items():
            self.http.cookies.set({"access": ACCESS, "refresh": REFRESH}[name], value, "shop.test")


@pytest.fixture
def make_app(route, shop, wait):
    """Makes applications that connect as two roles, one of which makes sessions."""
    pools = []

    async def open_pool(user, **options):
        options = {"min_size": 1, "max_size": 4, **options}
        pool = AsyncConnectionPool(kwargs={**route, "user": user}, open=False, **options)
        pools.append(pool)
        await pool.open(wait=True)
        return pool

    def make(middleware=None, **options):
        app = Starlette(routes=ROUTES)
        app.state.pool = wait(open_pool(CLIENT, **options))
        app.state.client = AsyncClient(app.state.pool, **shop.place)
        app.state.log_in = AsyncClient(wait(open_pool(SERVER)), **shop.place)
        app.add_middleware(SessionMiddleware, client=app.state.client, **(middleware or {}))
        return app

    yield make
    for pool in pools:
        wait(pool.close())


@pytest.fixture
def browser(make_app, wait):
    return Browser(make_app(), wait)


def log_a_user_in(browser, **data):
    answer = browser.post("/login", json={"userId": "user_1", **data})
    assert answer.status_code == 200
    return answer


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


def test_a_refresh_cookie_alone_is_enough(browser, admin, shop):
    session = shop.create(admin, plan="big")
    browser.set(refresh=session.refresh_token)
    assert browser.get().json() == {
        "in": True, "id": "user_456", "data": {"userId": "user_456", "plan": "big"}, "why": None
    }  # fmt: skip
    assert verify(admin, browser.jar[ACCESS]).valid
    assert info(admin, session.session_id).generation == 1


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


def test_a_token_from_elsewhere_logs_out(browser, admin, shop):
    account = call(admin, "account_session_create", account="a", product=shop.product, env=shop.env)
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


def test_good_cookies_in_two_headers_with_a_double_are_refused(browser, admin, shop):
    session = shop.create(admin)
    good = f"{ACCESS}={session.token}".encode()
    assert browser.get(headers=[(b"cookie", b"a=b"), (b"cookie", good)]).json()["in"]
    assert browser.get(headers=[(b"cookie", good), (b"cookie", good)]).json()["why"] == "invalid"


CROSS_SITE = [
    ("GET", {}, 200),
    ("GET", {"sec-fetch-site": "cross-site", "origin": "https://evil.test"}, 200),
    ("POST", {"sec-fetch-site": "same-origin"}, 200),
    ("POST", {"sec-fetch-site": "none"}, 200),
    ("POST", {"sec-fetch-site": "same-site"}, 403),
    ("POST", {"sec-fetch-site": "cross-site"}, 403),
    ("POST", {"sec-fetch-site": "cross-site", "origin": HOME}, 403),
    ("PUT", {"sec-fetch-site": "x"}, 403),
    ("POST", {"origin": HOME}, 200),
    ("POST", {"origin": "https://shop.test:443"}, 200),
    ("POST", {"origin": "https://shop.test:8443"}, 403),
    ("POST", {"origin": "https://evil.test"}, 403),
    ("POST", {"origin": "https://shop.test.evil.test"}, 403),
    ("POST", {"origin": "null"}, 403),
    ("POST", {"origin": "https://[x"}, 403),
    ("POST", {"origin": "ftp://shop.test"}, 403),
    ("POST", {}, 403),
    ("POST", {"sec-fetch-site": "cross-site", "origin": "https://app.test"}, 200),
]


def test_requests_of_other_sites_are_refused(make_app, wait, admin):
    browser = Browser(make_app({"trusted_origins": ["https://app.test"]}), wait)
    log_a_user_in(browser)
    for method, headers, status in CROSS_SITE:
        assert browser.visit(method, "/", headers=headers).status_code == status, (method, headers)
    assert browser.post("/logout", headers={}).status_code == 403
    assert verify(admin, browser.jar[ACCESS]).valid


@pytest.mark.parametrize(
    "origin, host, cross",
    [
        ("http://localhost:8000", "localhost:8000", False),
        ("http://[::1]:8000", "[::1]:8000", False),
        ("https://shop.test", "shop.test:443", False),
        ("https://SHOP.test", "shop.test", False),
        ("https://shop.test", None, True),
        ("http://shop.test", "shop.test:443", True),
    ],
)
def test_origin_and_host(origin, host, cross):
    assert BrowserRequest("POST", host=host, origin=origin).is_cross_site() is cross


def test_a_large_token_is_warned_of(browser, caplog):
    log_a_user_in(browser)
    assert "bytes" not in caplog.text
    answer = log_a_user_in(browser, more="x" * 2_500)
    assert "browsers drop one of more than 4096" in caplog.text
    token = answer.headers.get_list("set-cookie")[0].split("=", 1)[1].split(";")[0]
    assert len(token) > 4096 and token[:20] not in caplog.text


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
    assert "POOL_EXHAUSTED" in caplog.text
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
    assert "DATABASE_ERROR" in caplog.text and "eyToken" not in caplog.text


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


def test_the_client_asks_no_clock():
    clock = re.compile(r"time\.time\(|\.now\(|utcnow|\.today\(|gmtime|localtime")
    assert [f.name for f in SOURCE.rglob("*.py") if clock.search(f.read_text(encoding="utf-8"))] == []


def websocket(app, wait, headers):
    """Opens a WebSocket, and returns what the application sent."""
    sent = []
    scope = {
        "type": "websocket", "path": "/socket", "raw_path": b"/socket", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"shop.test"), *headers], "client": None, "server": None, "subprotocols": [],
        "scheme": "wss", "asgi": {"version": "3.0"},
    }  # fmt: skip

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    wait(app(scope, receive, send))
    return sent


def test_websockets_have_a_session_too(browser, admin, shop, wait):
    session = shop.create(admin)
    cookie = (b"cookie", f"{REFRESH}={session.refresh_token}".encode())
    accept, message, _ = websocket(browser.app, wait, [(b"origin", HOME.encode()), cookie])
    assert sum(name == b"set-cookie" for name, _ in accept["headers"]) == 2
    assert "user_456" in message["text"]
    assert websocket(browser.app, wait, [(b"origin", b"https://evil.test"), cookie]) == [
        {"type": "websocket.close", "code": 1008}
    ]


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
    from starlette.requests import HTTPConnection

    with pytest.raises(RuntimeError, match="SessionMiddleware"):
        browser_session(HTTPConnection({"type": "http"}))


def test_the_place_must_be_known(roles):
    with pytest.raises(Exception, match="tag is missing"):
        SessionMiddleware(None, AsyncClient(None, product="p", env="e"))
