"""Middleware for Starlette and FastAPI (and any other ASGI application, where `scope["session"]` is what it sets)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeAlias, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from .async_client import AsyncClient
from .browser import BrowserRequest, BrowserSession, Steps, unavailable
from .calls.call import Place
from .errors import SessionError
from .rows import CreatedSession, ListedSession
from .values import Duration, Id, Json

T = TypeVar("T")
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]


class Session(BrowserSession):
    """`request.session`: who the request is from."""

    def __init__(self, client: AsyncClient, request: BrowserRequest, persistent: bool) -> None:
        super().__init__(client.place, request, persistent)
        self._client = client

    async def start(
        self,
        data: Json,
        *,
        expires_in: Duration | None = None,
        session_expires_in: Duration | None = None,
        client: AsyncClient | None = None,
    ) -> CreatedSession:
        """Logs a user in, and ends the session that the browser had. Where the middleware's client may not make sessions, name one that may."""
        return await _play(client or self._client, self._starting(data, expires_in, session_expires_in))

    async def revoke(self) -> None:
        """Logs the user out, here and everywhere that the session is used."""
        await _play(self._client, self._revoking())

    async def devices(self, *, limit: int = 100, client: AsyncClient | None = None) -> list[ListedSession]:
        """The user's living sessions, for a page of devices; the one with this `session_id` is the browser's own. Needs level
        `server`, as the next two do."""
        return await _play(client or self._client, self._listing(limit))

    async def log_out_device(self, session_id: Id, *, client: AsyncClient | None = None) -> bool:
        """Ends another session of the same user, and says whether there was one."""
        return await _play(client or self._client, self._revoking_device(session_id))

    async def log_out_elsewhere(self, *, client: AsyncClient | None = None) -> int:
        """Ends all other sessions of the user, and returns how many."""
        return await _play(client or self._client, self._revoking_elsewhere())


class SessionMiddleware:
    """Reads the cookies, verifies, refreshes once where it must, and sets or clears the cookies of the response.

    `client` knows product, env and tag; level `client` is enough for it. Requests of other sites that may change something
    are answered with 403, unless their origin is in `trusted_origins`. Without `persistent` the session ends with the
    browser.
    """

    def __init__(
        self, app: App, client: AsyncClient, *, trusted_origins: Sequence[str] = (), persistent: bool = True
    ) -> None:
        Place.need(client.place, "product", "env", "tag")
        self.app = app
        self.client = client
        self.trusted_origins = trusted_origins
        self.persistent = persistent

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        request = _request(scope)
        if request.is_cross_site(self.trusted_origins):
            return await _refuse(scope, send, 403, "a request of another site")
        session = Session(self.client, request, self.persistent)
        try:
            await _play(self.client, session._authenticating())
        except SessionError as error:
            return await _refuse(scope, send, *unavailable(error))
        scope["session"] = session

        begun = False

        async def send_with_cookies(message: Message) -> None:
            nonlocal begun
            if message["type"] in ("http.response.start", "websocket.accept"):
                begun = True
                _add_cookies(message, session.take_cookies())
            await send(message)

        try:
            await self.app(scope, receive, send_with_cookies)
        except Exception:
            # The framework's own response to this would go out without the cookies, and a browser that misses a refresh
            # comes back with a token that counts as stolen.
            if scope["type"] == "http" and not begun and session.sets_cookies:
                await _refuse(scope, send_with_cookies, 500, "Internal Server Error")
            raise


def browser_session(connection: HTTPConnection) -> Session:
    """The session of a request, with its type; in FastAPI `Depends(browser_session)`."""
    session = connection.scope.get("session")
    if not isinstance(session, Session):
        raise RuntimeError("SessionMiddleware of dialstack_sessions is not in use")
    return session


def required_session(connection: HTTPConnection) -> Session:
    """As `browser_session`, and 401 where nobody is logged in."""
    session = browser_session(connection)
    if not session:
        raise HTTPException(401, "please log in")
    return session


def _request(scope: Message) -> BrowserRequest:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))

    def first(name: str) -> str | None:
        return headers.get(name, [None])[0]

    client = scope.get("client")
    return BrowserRequest(
        # A WebSocket can do anything once it is open, and browsers let every site open one.
        method=scope.get("method", "WEBSOCKET"),
        host=first("host"),
        origin=first("origin"),
        fetch_site=first("sec-fetch-site"),
        cookies=headers.get("cookie", []),
        ip=(client[0] or None) if client else None,
        user_agent=first("user-agent"),
    )


def _add_cookies(message: Message, cookies: list[str]) -> None:
    if not cookies:
        return
    # What carries a token must be in no cache.
    kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() != b"cache-control"]
    own = [(b"set-cookie", cookie.encode("latin-1")) for cookie in cookies]
    message["headers"] = [*kept, (b"cache-control", b"no-store"), *own]


async def _refuse(scope: Message, send: Send, status: int, text: str) -> None:
    if scope["type"] == "websocket":
        # Before it is accepted, a server answers 403 to this.
        return await send({"type": "websocket.close", "code": 1008})
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


async def _play(client: AsyncClient, steps: Steps[T]) -> T:
    """Takes the steps, each with the answer of its call; as `browser.play`."""
    try:
        call = next(steps)
        while True:
            try:
                answer = await client.run(call)
            except SessionError as error:
                call = steps.throw(error)
            else:
                call = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
