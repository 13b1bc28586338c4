"""Requests that other sites cause, and WebSockets, which any site may open."""

import pytest
from dialstack_sessions.browser import REFRESH, BrowserRequest
from support.service import verify
from web import ACCESS, HOME, Browser, log_a_user_in

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
