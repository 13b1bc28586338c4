"""The client for asynchronous programs: runs the calls that `calls/` describes."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar, Unpack, cast, overload

from . import connections
from .calls import definitions, insight, keys, other_sessions, sessions
from .calls.call import Call, Place
from .calls.options import NewAccountSession, NewDefinition, NewSession, describe_create
from .client import own_signature
from .connections import Attempt, CallersTransaction, FromWork, check_kind
from .flights import AsyncFlights
from .rows import AccountSession, CreatedSession, Definition, Verdict

import psycopg
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

P = ParamSpec("P")
T = TypeVar("T")
Connection: TypeAlias = "psycopg.AsyncConnection[Any]"
Lent: TypeAlias = "Connection | CallersTransaction[Connection]"
Lender: TypeAlias = "Callable[[], AbstractAsyncContextManager[Lent] | Awaitable[AbstractAsyncContextManager[Lent]]]"
Connections: TypeAlias = "Connection | CallersTransaction[Connection] | AsyncConnectionPool[Any] | Lender"


class AsyncClient:
    """As `Client`, with connections and pools of psycopg's asynchronous classes.

    A callable may also be a coroutine function, such as `lambda: psycopg.AsyncConnection.connect(…)`.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        product: str | None = None,
        env: str | None = None,
        tag: str | None = None,
        api_key: str | None = None,
    ) -> None:
        check_kind(connections, asynchronous=True)
        self._connections = connections
        self._api_key = api_key
        self._flights = AsyncFlights()
        self.place = Place(product, env, tag)
        self.sessions = AsyncSessions(self)
        self.account_sessions = AsyncAccountSessions(self)
        self.client_sessions = AsyncClientSessions(self)
        self.definitions = AsyncDefinitions(self)
        self.keys = AsyncKeys(self)

    def at(self, *, product: str | None = None, env: str | None = None, tag: str | None = None) -> AsyncClient:
        """The same client for another product, environment or tag."""
        return self._but(self._connections, self.place.over(product, env, tag))

    def on(self, connection: Connection) -> AsyncClient:
        """The same client for calls in the present transaction of a connection, which you begin and end yourself."""
        return self._but(CallersTransaction(connection), self.place)

    def _but(self, connections: Connections, place: Place) -> AsyncClient:
        client = AsyncClient(connections, **vars(place), api_key=self._api_key)
        client._flights = self._flights
        return client

    async def run(self, call: Call[T]) -> T:
        """Runs a described call."""
        if call.shared and not isinstance(self._connections, (psycopg.AsyncConnection, CallersTransaction)):
            return await self._flights.share(
                call.key, lambda: repeated(lambda attempt: self._call(call, attempt))
            )
        return await repeated(lambda attempt: self._call(call, attempt))

    async def with_token(self, token: str | None, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Awaits `work(connection)` in a transaction that presents the token; see `Client.with_token`."""

        async def attempted(attempt: Attempt) -> T:
            async with self._presenting(token, attempt) as connection:
                try:
                    return await work(connection)
                except Exception as error:
                    raise FromWork(error)

        return await repeated(attempted)

    @asynccontextmanager
    async def presenting(self, token: str | None) -> AsyncIterator[Connection]:
        """As `with_token`, for an `async with` block, which is never repeated."""
        failure: BaseException
        try:
            async with self._presenting(token, Attempt()) as connection:
                try:
                    yield connection
                except Exception as error:
                    raise FromWork(error)
            return
        except Exception as error:
            failure = connections.shown(error)
        raise failure

    async def present(self, token: str | None) -> Verdict:
        """Presents the token for the rest of the transaction; only after `on(connection)`."""
        lent = self._connections
        if not isinstance(lent, CallersTransaction) or (lent.connection.autocommit and connections.is_idle(lent.connection)):
            raise connections.no_transaction()
        verdict = await self.run(sessions.present(self.place, token))
        connections.check_place(verdict, self.place)
        return verdict

    @asynccontextmanager
    async def _presenting(self, token: str | None, attempt: Attempt) -> AsyncIterator[Connection]:
        async with await self._lend() as lent:
            if isinstance(lent, CallersTransaction) or not connections.is_idle(lent):
                raise connections.transaction_open()
            attempt.ours = True
            async with lent.transaction():
                await self._present_key(lent)
                verdict = await _fetch(lent, sessions.present(self.place, token))
                connections.check_place(verdict, self.place)
                yield lent

    async def _call(self, call: Call[T], attempt: Attempt) -> T:
        call.arguments  # refused before a connection is taken
        async with await self._lend() as lent:
            if isinstance(lent, CallersTransaction) or not connections.is_idle(lent):
                connection = lent.connection if isinstance(lent, CallersTransaction) else lent
                await self._present_key(connection)
                return await _fetch(connection, call)
            attempt.ours = True
            if lent.autocommit and self._api_key is None:
                return await _fetch(lent, call)
            async with lent.transaction():
                await self._present_key(lent)
                return await _fetch(lent, call)

    async def _lend(self) -> AbstractAsyncContextManager[Lent]:
        source = self._connections
        if isinstance(source, (psycopg.AsyncConnection, CallersTransaction)):
            return nullcontext(source)
        lent = source() if callable(source) else source.connection()
        return await lent if inspect.isawaitable(lent) else cast("AbstractAsyncContextManager[Lent]", lent)

    async def _present_key(self, connection: Connection) -> None:
        if self._api_key is not None:
            cursor = psycopg.AsyncCursor(connection)
            await cursor.execute(connections.PRESENT_KEY, [self._api_key], prepare=False)


async def repeated(body: Callable[[Attempt], Coroutine[Any, Any, T]]) -> T:
    """Calls the body, and again where it met a newer change in a transaction of ours."""
    attempt = Attempt()
    while True:
        attempt.ours = False
        failure: BaseException
        try:
            return await body(attempt)
        except Exception as error:
            failure = error
        pause = attempt.pause(failure)
        if pause is None:
            # Outside of the handler, so that the error does not carry the driver's, whose text may show parameters.
            raise connections.shown(failure)
        await asyncio.sleep(pause)


async def _fetch(connection: Connection, call: Call[T]) -> T:
    # Bound by the server and never prepared, whatever the connection's own cursors do.
    async with psycopg.AsyncCursor(connection, row_factory=dict_row) as cursor:
        connections.prepare_cursor(cursor)
        await cursor.execute(call.text.encode(), call.arguments, prepare=False)
        return call.read(await cursor.fetchall())


class _Calls:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client


def _method(
    describe: Callable[Concatenate[Place, P], Call[T]],
) -> Callable[Concatenate[_Calls, P], Coroutine[Any, Any, T]]:
    """The method that runs what the function describes."""

    async def method(self: _Calls, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._client.run(describe(self._client.place, *args, **kwargs))

    return own_signature(method, describe)


class AsyncSessions(_Calls):
    """User sessions, their definitions, and what is known of users."""

    @overload
    async def create(self, **options: Unpack[NewSession]) -> CreatedSession: ...
    @overload
    async def create(self, **options: Unpack[NewDefinition]) -> Definition: ...
    @overload
    async def create(self, **options: Unpack[NewAccountSession]) -> AccountSession: ...
    async def create(self, **options: Any) -> Any:
        """With `data` as `start`; with `schema` it defines and registers, as `define` and `register` do; with `account` it
        is the deprecated name of `account_sessions.create`."""
        return await self._client.run(describe_create(self._client.place, options))

    start = _method(sessions.start)
    verify = _method(sessions.verify)
    require = _method(sessions.require)
    refresh = _method(sessions.refresh)
    revoke = _method(sessions.revoke)
    revoke_all = _method(sessions.revoke_all)
    end = _method(sessions.end)
    list = _method(sessions.list_sessions)
    list_active = list
    get_info = _method(sessions.get_info)
    update_data = _method(sessions.update_data)
    extend_session = _method(sessions.extend_session)
    reauthenticate = _method(sessions.reauthenticate)
    introspect = _method(sessions.introspect)
    explain = _method(sessions.explain)
    define = _method(definitions.define)
    register = _method(definitions.register)
    fetch = _method(definitions.fetch)
    fetch_all = _method(definitions.fetch_all)
    update = _method(definitions.update)
    delete = _method(definitions.delete)
    fetch_users = _method(insight.fetch_users)
    fetch_user_details = _method(insight.fetch_user_details)
    fetch_activity_logs = _method(insight.fetch_activity_logs)
    fetch_dashboard = _method(insight.fetch_dashboard)
    fetch_user_dashboard = _method(insight.fetch_user_dashboard)


class AsyncAccountSessions(_Calls):
    """Sessions of an account, limited to components."""

    create = _method(other_sessions.account_create)
    verify = _method(other_sessions.account_verify)
    revoke = _method(other_sessions.account_revoke)


class AsyncClientSessions(_Calls):
    """Sessions that reach the connected accounts of one user."""

    create = _method(other_sessions.client_create)
    get_or_create = _method(other_sessions.client_get_or_create)
    get = _method(other_sessions.client_get)
    list = _method(other_sessions.client_list)
    grant_access = _method(other_sessions.client_grant_access)
    verify = _method(other_sessions.client_verify)
    revoke = _method(other_sessions.client_revoke)
    delete = _method(other_sessions.client_delete)


class AsyncDefinitions(_Calls):
    """Definitions of user sessions. For a role of level `admin`."""

    create = _method(definitions.create)
    update = _method(definitions.update)
    delete = _method(definitions.delete)
    get = _method(definitions.fetch)
    list = _method(definitions.fetch_all)


class AsyncKeys(_Calls):
    """What a program needs that verifies access tokens offline."""

    jwks = _method(keys.jwks)
    issuer = _method(keys.issuer)
