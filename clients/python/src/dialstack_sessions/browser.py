"""Sessions of browsers, without a framework: which cookies come and go, and which requests are refused.

What is asked of the database is yielded as calls, so that one text serves synchronous and asynchronous programs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from .calls import sessions
from .calls.call import Call, Place
from .errors import SessionError, bad_value
from .rows import CreatedSession, JsonObject, ListedSession, RefreshedSession, SessionPage, Verdict
from .values import Duration, Id, Json

log = logging.getLogger("dialstack_sessions")

ACCESS, REFRESH = "__Host-session", "__Host-refresh"
ATTRIBUTES = "Path=/; HttpOnly; Secure; SameSite=Lax"
# Browsers drop a cookie whose name and value are longer.
COOKIE_LIMIT = 4096

T = TypeVar("T")
Steps: TypeAlias = "Generator[Call[Any], Any, T]"


@dataclass(frozen=True)
class BrowserRequest:
    """What a framework's adapter says of a request. `cookies` are its Cookie headers."""

    method: str
    host: str | None = None
    origin: str | None = None
    fetch_site: str | None = None
    cookies: Sequence[str] = field(default=(), repr=False)
    ip: str | None = None
    user_agent: str | None = None

    def is_cross_site(self, trusted_origins: Sequence[str] = ()) -> bool:
        """Whether another site caused a request that may change something. An `origin` in the list is no other site."""
        if self.method in ("GET", "HEAD", "OPTIONS", "TRACE") or self.origin in trusted_origins:
            return False
        if self.fetch_site is not None:
            return self.fetch_site not in ("same-origin", "none")
        return self.origin is None or self.host is None or not _same_host(self.origin, self.host)

    def tokens(self) -> tuple[str | None, str | None]:
        """Access token and refresh token; two different cookies of one name are a ValueError: somebody planted one."""
        found: dict[str, str] = {}
        for header in self.cookies:
            for pair in header.split(";"):
                name, _, value = pair.strip(" \t").partition("=")
                if name in (ACCESS, REFRESH):
                    if found.setdefault(name, value) != value:
                        raise ValueError(f"two cookies {name}")
        return found.get(ACCESS) or None, found.get(REFRESH) or None


def _same_host(origin: str, host: str) -> bool:
    try:
        url = urlsplit(origin)
        port = url.port
    except ValueError:
        return False
    if url.scheme not in ("https", "http") or not url.hostname:
        return False
    name = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    standard = {"https": 443, "http": 80}[url.scheme]
    alike = {f"{name}:{port}"} if port else {name}
    if port in (None, standard):
        alike = {name, f"{name}:{standard}"}
    return host.lower() in alike


def _cleared(name: str) -> str:
    return f"{name}=; Max-Age=0; {ATTRIBUTES}"


class BrowserSession:
    """Who a request is from; false where nobody is logged in, and `reason` then says why."""

    def __init__(self, place: Place, request: BrowserRequest, persistent: bool = True) -> None:
        self._place = place
        self._request = request
        self._persistent = persistent
        self._token: str | None = None
        self._refresh_token: str | None = None
        self._sent = False
        self._cookies: list[str] = []
        self._become_nobody("missing")

    session_id: UUID | None
    identifier: str | None
    data: JsonObject | None
    expires_at: datetime | None
    reason: str | None

    def __bool__(self) -> bool:
        return self.session_id is not None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.session_id or self.reason}>"

    @property
    def token(self) -> str | None:
        """The access token, to be presented to row-level security with `client.with_token`."""
        return self._token

    @property
    def sets_cookies(self) -> bool:
        """Whether the response must set or clear the cookies."""
        return bool(self._cookies)

    def take_cookies(self) -> list[str]:
        """The Set-Cookie headers that the response needs. An adapter calls it when the response begins."""
        self._sent = True
        return self._cookies

    # The steps of what the subclasses do.

    def _authenticating(self) -> Steps[None]:
        try:
            self._token, self._refresh_token = self._request.tokens()
        except ValueError:
            return self._forget("invalid")
        if self._token is not None:
            verdict: Verdict = yield sessions.verify(self._place, self._token)
            if verdict.valid and verdict.kind == "user":
                return self._become(verdict)
            # A token whose key was revoked is invalid, and its session lives on.
            if verdict.reason not in ("expired", "invalid") or self._refresh_token is None:
                return self._forget(verdict.reason or "mismatch")
        if self._refresh_token is None:
            return None
        refreshed: RefreshedSession = yield sessions.refresh(
            self._place, self._refresh_token, ip=self._request.ip, user_agent=self._request.user_agent
        )
        if not refreshed.ok:
            return self._forget(refreshed.reason or "invalid")
        if refreshed.token and refreshed.refresh_token and refreshed.session_expires_at:
            self._set(refreshed.token, refreshed.refresh_token, refreshed.session_expires_at)
        self._become(refreshed)

    def _starting(
        self, data: Json, expires_in: Duration | None, session_expires_in: Duration | None
    ) -> Steps[CreatedSession]:
        self._not_too_late()
        before = self._refresh_token or self._token
        created: CreatedSession = yield sessions.start(
            self._place,
            data=data,
            ip=self._request.ip,
            user_agent=self._request.user_agent,
            expires_in=expires_in,
            session_expires_in=session_expires_in,
        )
        yield from self._ending(before)
        self._set(created.token, created.refresh_token, created.session_expires_at)
        self._become((yield sessions.verify(self._place, created.token)))
        return created

    def _revoking(self) -> Steps[None]:
        token = self._refresh_token or self._token
        self._forget("revoked")
        yield from self._ending(token)

    def _ending(self, token: str | None) -> Steps[None]:
        if token is None:
            return
        try:
            yield sessions.end(self._place, token)
        except SessionError as error:
            # A token that names no session leaves nothing to end.
            if error.code != "VERIFY_FAILED":
                raise

    def _listing(self, limit: int) -> Steps[list[ListedSession]]:
        if self.identifier is None:
            return []
        page: SessionPage = yield sessions.list_sessions(
            self._place, identifier=self.identifier, limit=limit, with_total=False
        )
        return page.sessions

    def _revoking_device(self, session_id: Id) -> Steps[bool]:
        if self.identifier is None:
            return False
        if str(session_id) == str(self.session_id):
            yield from self._revoking()
            return True
        try:
            ended: int = yield sessions.revoke(self._place, session_id=session_id, identifier=self.identifier)
        except SessionError as error:
            # Somebody else's, or none.
            if error.code in ("SESSION_NOT_FOUND", "INVALID_ARGUMENT"):
                return False
            raise
        return ended > 0

    def _revoking_elsewhere(self) -> Steps[int]:
        if self.identifier is None:
            return 0
        ended: int = yield sessions.revoke_all(
            self._place, identifier=self.identifier, exclude_current_session=self.session_id
        )
        return ended

    # What they do it with.

    def _become(self, who: Verdict | RefreshedSession) -> None:
        self.session_id, self.identifier, self.data = who.session_id, who.identifier, who.data
        self.expires_at, self.reason = who.expires_at, None

    def _become_nobody(self, reason: str) -> None:
        self.session_id = self.identifier = self.data = self.expires_at = None
        self.reason = reason

    def _set(self, token: str, refresh_token: str, end: datetime) -> None:
        size = len(ACCESS) + 1 + len(token)
        access = f"{ACCESS}={token}; {ATTRIBUTES}"
        if size > COOKIE_LIMIT:
            log.warning(
                "the access token makes a cookie of %d bytes, and browsers drop one of more than %d: it is not sent, and "
                "every request refreshes. Keep less in the session's data (each byte makes the token 1.8 bytes longer)",
                size,
                COOKIE_LIMIT,
            )
            # A browser that drops the new one would keep the old one, of another user perhaps.
            access = _cleared(ACCESS)
        self._token, self._refresh_token = token, refresh_token
        # The database's clock says when; the browser forgets the access token when it closes.
        expires = f"; Expires={format_datetime(end.astimezone(timezone.utc), usegmt=True)}" if self._persistent else ""
        self._cookies = [access, f"{REFRESH}={refresh_token}{expires}; {ATTRIBUTES}"]

    def _forget(self, reason: str) -> None:
        self._token = self._refresh_token = None
        self._become_nobody(reason)
        self._cookies = [_cleared(ACCESS), _cleared(REFRESH)]

    def _not_too_late(self) -> None:
        if self._sent:
            raise bad_value("a log-in", "comes too late: the response has begun, and takes no cookies any more")


def unavailable(error: SessionError) -> tuple[int, str]:
    """Status and text of the response where nobody can be asked who a request is from. The log gets the code."""
    log.error("no session can be verified: %s", error.code)
    if error.code in ("CONNECTION_FAILED", "CONNECTION_TIMEOUT", "CONFLICT", "LOCK_NOT_AVAILABLE"):
        return 503, "the service is not available at the moment"
    return 500, "the service is not set up as it must be"


def play(run: Callable[[Call[Any]], Any], steps: Steps[T]) -> T:
    """Takes the steps, each with the answer of its call."""
    try:
        call = next(steps)
        while True:
            try:
                answer = run(call)
            except SessionError as error:
                call = steps.throw(error)
            else:
                call = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
