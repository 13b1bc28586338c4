"""For SQLAlchemy 2, synchronous and asynchronous, and for Alembic.

What is presented goes to the driver directly: statements of SQLAlchemy are logged (`echo`), and its errors show what was
bound, unless the engine was made with `hide_parameters=True`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from .async_client import AsyncClient, repeated as async_repeated
from .client import Client, repeated
from .connections import Attempt, FromWork
from .errors import SessionError, bad_value

T = TypeVar("T")
S = TypeVar("S", bound=Session)
A = TypeVar("A", bound=AsyncSession)


def connections(engine: Engine) -> Callable[[], AbstractContextManager[Any]]:
    """Lends a client the connections of an engine's pool: `Client(connections(engine), …)`."""
    _check_driver(engine)

    @contextmanager
    def lend() -> Iterator[Any]:
        connection = None
        try:
            connection = engine.connect()
        except PoolTimeout:
            pass
        if connection is None:
            raise _exhausted()
        with connection:
            yield connection.connection.driver_connection

    return lend


def async_connections(engine: AsyncEngine) -> Callable[[], AbstractAsyncContextManager[Any]]:
    """As `connections`, for `AsyncClient`."""
    _check_driver(engine)

    @asynccontextmanager
    async def lend() -> AsyncIterator[Any]:
        connection = None
        try:
            connection = await engine.connect()
        except PoolTimeout:
            pass
        if connection is None:
            raise _exhausted()
        try:
            yield (await connection.get_raw_connection()).driver_connection
        finally:
            await connection.close()

    return lend


def on(client: Client, session: Session | Connection) -> Client:
    """The client for calls in the transaction of a session, or connection, of SQLAlchemy, which begins and ends it."""
    connection = session.connection() if isinstance(session, Session) else session
    return client.on(_driver(connection.connection))


async def async_on(client: AsyncClient, session: AsyncSession | AsyncConnection) -> AsyncClient:
    """As `on`, for asynchronous sessions and connections."""
    connection = await session.connection() if isinstance(session, AsyncSession) else session
    return client.on(_driver(await connection.get_raw_connection()))


@contextmanager
def presenting(client: Client, factory: Callable[[], S], token: str | None) -> Iterator[S]:
    """A session of the factory, in one transaction, which presents the token and is committed at the end of the block."""
    with factory() as session, session.begin():
        on(client, session).present(token)
        yield session


@asynccontextmanager
async def async_presenting(client: AsyncClient, factory: Callable[[], A], token: str | None) -> AsyncIterator[A]:
    """As `presenting`, for asynchronous sessions."""
    async with factory() as session, session.begin():
        await (await async_on(client, session)).present(token)
        yield session


def with_token(client: Client, factory: Callable[[], S], token: str | None, work: Callable[[S], T]) -> T:
    """Calls `work(session)` in one transaction that presents the token; repeats all where it met a newer change (40001)."""

    def attempted(attempt: Attempt) -> T:
        attempt.ours = True
        with presenting(client, factory, token) as session:
            try:
                return work(session)
            except Exception as error:
                raise FromWork(error)

    return repeated(attempted)


async def async_with_token(
    client: AsyncClient, factory: Callable[[], A], token: str | None, work: Callable[[A], Awaitable[T]]
) -> T:
    """As `with_token`, for asynchronous sessions."""

    async def attempted(attempt: Attempt) -> T:
        attempt.ours = True
        async with async_presenting(client, factory, token) as session:
            try:
                return await work(session)
            except Exception as error:
                raise FromWork(error)

    return await async_repeated(attempted)


def include_name(
    name: str | None,
    type_: Literal[
        "schema", "table", "column", "index", "unique_constraint", "foreign_key_constraint", "check_constraint"
    ],
    parent_names: Mapping[Any, str | None],
) -> bool:
    """For `context.configure(include_name=…)` in Alembic's env.py: keeps the extension's schema out of what is compared,
    so that no migration drops its tables."""
    return (name if type_ == "schema" else parent_names.get("schema_name")) != "dialstack"


def _check_driver(engine: Engine | AsyncEngine) -> None:
    if engine.dialect.driver not in ("psycopg", "psycopg_async"):
        raise bad_value("engine", "does not use psycopg 3: its URL must begin with postgresql+psycopg://")


def _driver(proxied: Any) -> Any:
    return proxied.driver_connection


def _exhausted() -> SessionError:
    return SessionError("CONNECTION_TIMEOUT", "the pool of the engine has no free connection")
