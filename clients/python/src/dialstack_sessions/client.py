"""The client for synchronous programs: runs the calls that `calls/` describes."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar, Unpack, overload

from . import connections
from .calls import definitions, insight, keys, other_sessions, sessions
from .calls.call import Call, Place
from .calls.options import NewAccountSession, NewDefinition, NewSession, describe_create
from .connections import Attempt, CallersTransaction, FromWork, check_kind
from .flights import Flights
from .rows import AccountSession, CreatedSession, Definition, Verdict

import psycopg
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

P = ParamSpec("P")
T = TypeVar("T")
Connection: TypeAlias = "psycopg.Connection[Any]"
Lender: TypeAlias = "Callable[[], AbstractContextManager[Connection | CallersTransaction[Connection]]]"
Connections: TypeAlias = "Connection | CallersTransaction[Connection] | ConnectionPool[Any] | Lender"


class Client:
    """Calls the session service through connections of psycopg 3.

    `connections` is a connection, a pool of psycopg_pool, or a callable that returns a context manager which lends one
    (`lambda: psycopg.connect(…)`, say). `product`, `env` and `tag` are for calls that do not say their own. `api_key` is
    presented inside the transaction of each call.

    A connection is for one thread, or task, at a time, for a token is presented to all that runs in its transaction: pass a
    pool where there are several.
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
        check_kind(connections, asynchronous=False)
        self._connections = connections
        self._api_key = api_key
        self._flights = Flights()
        self.place = Place(product, env, tag)
        self.sessions = Sessions(self)
        self.account_sessions = AccountSessions(self)
        self.client_sessions = ClientSessions(self)
        self.definitions = Definitions(self)
        self.keys = Keys(self)

    def at(self, *, product: str | None = None, env: str | None = None, tag: str | None = None) -> Client:
        """The same client for another product, environment or tag."""
        return self._but(self._connections, self.place.over(product, env, tag))

    def on(self, connection: Connection) -> Client:
        """The same client for calls in the present transaction of a connection, which you begin and end yourself."""
        return self._but(CallersTransaction(connection), self.place)

    def _but(self, connections: Connections, place: Place) -> Client:
        client = Client(connections, **vars(place), api_key=self._api_key)
        client._flights = self._flights
        return client

    def run(self, call: Call[T]) -> T:
        """Runs a described call."""
        if call.shared and not isinstance(self._connections, (psycopg.Connection, CallersTransaction)):
            return self._flights.share(call.key, lambda: repeated(lambda attempt: self._call(call, attempt)))
        return repeated(lambda attempt: self._call(call, attempt))

    def with_token(self, token: str | None, work: Callable[[Connection], T]) -> T:
        """Calls `work(connection)` in a transaction that presents the token, so that row-level security shows what its
        user may see; commits, and returns its result. The transaction is repeated where it met a newer change (40001),
        so `work` may be called more than once. A bad token is the error `VERIFY_FAILED`. With None there is no current
        session: protected tables show nothing."""

        def attempted(attempt: Attempt) -> T:
            with self._presenting(token, attempt) as connection:
                try:
                    return work(connection)
                except Exception as error:
                    raise FromWork(error)

        return repeated(attempted)

    @contextmanager
    def presenting(self, token: str | None) -> Iterator[Connection]:
        """As `with_token`, for a `with` block, which is never repeated."""
        failure: BaseException
        try:
            with self._presenting(token, Attempt()) as connection:
                try:
                    yield connection
                except Exception as error:
                    raise FromWork(error)
            return
        except Exception as error:
            failure = connections.shown(error)
        raise failure

    def present(self, token: str | None) -> Verdict:
        """Presents the token for the rest of the transaction; only after `on(connection)`."""
        lent = self._connections
        if not isinstance(lent, CallersTransaction) or (lent.connection.autocommit and connections.is_idle(lent.connection)):
            raise connections.no_transaction()
        verdict = self.run(sessions.present(self.place, token))
        connections.check_place(verdict, self.place)
        return verdict

    @contextmanager
    def _presenting(self, token: str | None, attempt: Attempt) -> Iterator[Connection]:
        with self._lend() as lent:
            if isinstance(lent, CallersTransaction) or not connections.is_idle(lent):
                raise connections.transaction_open()
            attempt.ours = True
            with lent.transaction():
                self._present_key(lent)
                connections.check_place(_fetch(lent, sessions.present(self.place, token)), self.place)
                yield lent

    def _call(self, call: Call[T], attempt: Attempt) -> T:
        call.arguments  # refused before a connection is taken
        with self._lend() as lent:
            if isinstance(lent, CallersTransaction) or not connections.is_idle(lent):
                connection = lent.connection if isinstance(lent, CallersTransaction) else lent
                self._present_key(connection)
                return _fetch(connection, call)
            attempt.ours = True
            if lent.autocommit and self._api_key is None:
                return _fetch(lent, call)
            with lent.transaction():
                self._present_key(lent)
                return _fetch(lent, call)

    def _lend(self) -> AbstractContextManager[Connection | CallersTransaction[Connection]]:
        source = self._connections
        if isinstance(source, (psycopg.Connection, CallersTransaction)):
            return nullcontext(source)
        return source() if callable(source) else source.connection()

    def _present_key(self, connection: Connection) -> None:
        if self._api_key is not None:
            psycopg.Cursor(connection).execute(connections.PRESENT_KEY, [self._api_key], prepare=False)


def repeated(body: Callable[[Attempt], T]) -> T:
    """Calls the body, and again where it met a newer change in a transaction of ours."""
    attempt = Attempt()
    while True:
        attempt.ours = False
        failure: BaseException
        try:
            return body(attempt)
        except Exception as error:
            failure = error
        pause = attempt.pause(failure)
        if pause is None:
            # Outside of the handler, so that the error does not carry the driver's, whose text may show parameters.
            raise connections.shown(failure)
        time.sleep(pause)


def _fetch(connection: Connection, call: Call[T]) -> T:
    # Bound by the server and never prepared, whatever the connection's own cursors do.
    with psycopg.Cursor(connection, row_factory=dict_row) as cursor:
        connections.prepare_cursor(cursor)
        cursor.execute(call.text.encode(), call.arguments, prepare=False)
        return call.read(cursor.fetchall())


class _Calls:
    def __init__(self, client: Client) -> None:
        self._client = client


def _method(describe: Callable[Concatenate[Place, P], Call[T]]) -> Callable[Concatenate[_Calls, P], T]:
    """The method that runs what the function describes."""

    def method(self: _Calls, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._client.run(describe(self._client.place, *args, **kwargs))

    return own_signature(method, describe)


def own_signature(method: Callable[P, T], describe: Callable[..., Any]) -> Callable[P, T]:
    """Has `help()` show the signature of the description, with `self` in place of the place."""
    update_wrapper(method, describe)
    del method.__wrapped__  # type: ignore[attr-defined]
    signature = inspect.signature(describe)
    _, *rest = signature.parameters.values()
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = signature.replace(parameters=[own, *rest])  # type: ignore[attr-defined]
    return method


class Sessions(_Calls):
    """User sessions, their definitions, and what is known of users."""

    @overload
    def create(self, **options: Unpack[NewSession]) -> CreatedSession: ...
    @overload
    def create(self, **options: Unpack[NewDefinition]) -> Definition: ...
    @overload
    def create(self, **options: Unpack[NewAccountSession]) -> AccountSession: ...
    def create(self, **options: Any) -> Any:
        """With `data` as `start`; with `schema` it defines and registers, as `define` and `register` do; with `account` it
        is the deprecated name of `account_sessions.create`."""
        return self._client.run(describe_create(self._client.place, options))

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


class AccountSessions(_Calls):
    """Sessions of an account, limited to components."""

    create = _method(other_sessions.account_create)
    verify = _method(other_sessions.account_verify)
    revoke = _method(other_sessions.account_revoke)


class ClientSessions(_Calls):
    """Sessions that reach the connected accounts of one user."""

    create = _method(other_sessions.client_create)
    get_or_create = _method(other_sessions.client_get_or_create)
    get = _method(other_sessions.client_get)
    list = _method(other_sessions.client_list)
    grant_access = _method(other_sessions.client_grant_access)
    verify = _method(other_sessions.client_verify)
    revoke = _method(other_sessions.client_revoke)
    delete = _method(other_sessions.client_delete)


class Definitions(_Calls):
    """Definitions of user sessions. For a role of level `admin`."""

    create = _method(definitions.create)
    update = _method(definitions.update)
    delete = _method(definitions.delete)
    get = _method(definitions.fetch)
    list = _method(definitions.fetch_all)


class Keys(_Calls):
    """What a program needs that verifies access tokens offline."""

    jwks = _method(keys.jwks)
    issuer = _method(keys.issuer)
