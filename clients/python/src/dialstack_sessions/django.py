"""For Django: the connections of its databases, tokens in its transactions, and its middleware."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from django.conf import settings
from django.db import connections as databases
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from .browser import BrowserRequest, BrowserSession, Steps, play, unavailable
from .client import Client
from .connections import CallersTransaction
from .errors import SessionError, bad_value
from .rows import CreatedSession, ListedSession, Verdict
from .values import Duration, Id, Json

T = TypeVar("T")


def connections(using: str = "default") -> Callable[[], AbstractContextManager[Any]]:
    """Lends a client the connection of a database: `Client(connections(), …)`. Calls in an atomic block are a part of it."""

    @contextmanager
    def lend() -> Iterator[Any]:
        database = databases[using]
        database.ensure_connection()
        if type(database.connection).__module__.partition(".")[0] != "psycopg":
            raise bad_value("using", "is a database that does not use psycopg 3")
        yield CallersTransaction(database.connection) if database.in_atomic_block else database.connection

    return lend


def present(client: Client, token: str | None, using: str = "default") -> Verdict:
    """Presents a token for the rest of the atomic block, so that row-level security shows what its user may see.
    It goes past Django's logging of statements, which shows what is bound."""
    # Outside of a block present() refuses.
    databases[using].ensure_connection()
    return client.on(databases[using].connection).present(token)


@contextmanager
def presenting(client: Client, token: str | None, using: str = "default") -> Iterator[Verdict]:
    """An atomic block, and no part of another, that presents the token."""
    with transaction.atomic(using=using, durable=True):
        yield present(client, token, using)


class Session(BrowserSession):
    """`request.dialstack_session`: who the request is from."""

    def __init__(self, client: Client, request: BrowserRequest, persistent: bool) -> None:
        super().__init__(client.place, request, persistent)
        self._client = client

    def start(
        self,
        data: Json,
        *,
        expires_in: Duration | None = None,
        session_expires_in: Duration | None = None,
        client: Client | None = None,
    ) -> CreatedSession:
        """Logs a user in, and ends the session that the browser had. Where the middleware's client may not make sessions, name one that may."""
        return play((client or self._client).run, self._starting(data, expires_in, session_expires_in))

    def revoke(self) -> None:
        """Logs the user out, here and everywhere that the session is used."""
        play(self._client.run, self._revoking())

    def devices(self, *, limit: int = 100, client: Client | None = None) -> list[ListedSession]:
        """The user's living sessions, for a page of devices; the one with this `session_id` is the browser's own. Needs level
        `server`, as the next two do."""
        return play((client or self._client).run, self._listing(limit))

    def log_out_device(self, session_id: Id, *, client: Client | None = None) -> bool:
        """Ends another session of the same user, and says whether there was one."""
        return play((client or self._client).run, self._revoking_device(session_id))

    def log_out_elsewhere(self, *, client: Client | None = None) -> int:
        """Ends all other sessions of the user, and returns how many."""
        return play((client or self._client).run, self._revoking_elsewhere())


class SessionMiddleware:
    """Reads the cookies, verifies, refreshes once where it must, and sets or clears the cookies of the response.

    The setting `DIALSTACK_SESSIONS` has `product`, `env` and `tag`, and may have `using` (a database, "default"),
    `trusted_origins` and `persistent`. `request.dialstack_session` is the session.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        options = {"using": "default", "trusted_origins": (), "persistent": True, **settings.DIALSTACK_SESSIONS}
        self.get_response = get_response
        self.trusted_origins = options.pop("trusted_origins")
        self.persistent = options.pop("persistent")
        self.client = Client(connections(options.pop("using")), **options)
        self.client.place.need("product", "env", "tag")

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        asked = _request(request)
        if asked.is_cross_site(self.trusted_origins):
            return _refusal(403, "a request of another site")
        session = Session(self.client, asked, self.persistent)
        try:
            play(self.client.run, session._authenticating())
        except SessionError as error:
            return _refusal(*unavailable(error))
        request.dialstack_session = session  # type: ignore[attr-defined]
        response = self.get_response(request)
        if cookies := session.take_cookies():
            for cookie in cookies:
                response.cookies.load(cookie)
            # What carries a token must be in no cache.
            response.headers["Cache-Control"] = "no-store"
        return response


def _request(request: HttpRequest) -> BrowserRequest:
    said = request.META
    return BrowserRequest(
        method=request.method or "",
        host=said.get("HTTP_HOST"),
        origin=said.get("HTTP_ORIGIN"),
        fetch_site=said.get("HTTP_SEC_FETCH_SITE"),
        cookies=[said.get("HTTP_COOKIE", "")],
        ip=said.get("REMOTE_ADDR") or None,
        user_agent=said.get("HTTP_USER_AGENT"),
    )


def _refusal(status: int, text: str) -> HttpResponse:
    return HttpResponse(
        text, status=status, content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"}
    )
