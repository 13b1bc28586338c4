"""What the two clients share about connections: who began the transaction, what is worth another try, and which error
is shown for what the driver raised."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.datetime import IntervalLoader, TimestamptzLoader
from psycopg.types.json import JsonbLoader
from psycopg.types.numeric import IntLoader
from psycopg.types.string import TextLoader
from psycopg.types.uuid import UUIDLoader

from .calls.call import Place
from .errors import SessionError, bad_value, from_driver
from .rows import Verdict

ATTEMPTS = 6

C = TypeVar("C", bound="psycopg.Connection[Any] | psycopg.AsyncConnection[Any]")

PRESENT_KEY = "SELECT set_config('dialstack_sessions.api_key', %s, true)"

# Set on each cursor of ours, because connections may have others (Django's do).
_LOADERS: dict[str, type[Any]] = {
    "jsonb": JsonbLoader,
    "inet": TextLoader,
    "timestamptz": TimestamptzLoader,
    "interval": IntervalLoader,
    "uuid": UUIDLoader,
    "int8": IntLoader,
}


@dataclass(frozen=True)
class CallersTransaction(Generic[C]):
    """A connection whose transaction is the caller's: the client neither begins nor ends one there, even if nothing was
    sent yet. A callable that lends connections may yield it."""

    connection: C


@dataclass
class Attempt:
    """One try of a call, and what can be done after it failed."""

    # Whether the transaction was begun by the client, or is the statement itself.
    ours: bool = False
    number: int = 0

    def pause(self, failure: BaseException) -> float | None:
        """How many seconds to wait before the next try; None: there is none."""
        self.number += 1
        if not self.ours or self.number >= ATTEMPTS or sqlstate_of(failure) != "40001":
            return None
        return random.uniform(0, 0.01 * 2**self.number)


class FromWork(Exception):
    """Carries what the application's own code raised through our transaction, so that it comes out unchanged."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def sqlstate_of(failure: BaseException) -> str | None:
    """Of our errors, and of psycopg's."""
    if isinstance(failure, FromWork):
        failure = failure.error
    if isinstance(failure, SessionError):
        return failure.sqlstate
    error = driver_error(failure)
    return None if error is None else error.sqlstate


def driver_error(failure: BaseException) -> psycopg.Error | None:
    """psycopg's error, also where SQLAlchemy or Django wrapped theirs around it."""
    for error in (failure, getattr(failure, "orig", None), failure.__cause__):
        if isinstance(error, psycopg.Error):
            return error
    return None


def shown(failure: BaseException) -> BaseException:
    """The error that the caller of the client gets."""
    if isinstance(failure, FromWork):
        return failure.error
    error = driver_error(failure)
    return failure if error is None else from_driver(error)


def check_kind(source: object, asynchronous: bool) -> None:
    """Connections and pools come in two kinds, and each client takes one of them."""
    for cls in type(source).__mro__:
        if cls.__module__.split(".")[0] in ("psycopg", "psycopg_pool") and cls.__name__.startswith("Async") != asynchronous:
            if cls.__name__.endswith(("Connection", "Pool")) and not cls.__name__.startswith("Base"):
                raise bad_value("connections", "are for " + ("Client" if asynchronous else "AsyncClient"))
    known = (psycopg.Connection, psycopg.AsyncConnection, CallersTransaction)
    if not (isinstance(source, known) or callable(source) or hasattr(source, "connection")):
        raise bad_value(
            "connections",
            "are neither a connection or a pool of psycopg nor a callable that lends one",
            hint="For example: Client(lambda: psycopg.connect(…)). SQLAlchemy and Django have modules of their own.",
        )


def is_idle(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    return connection.info.transaction_status == TransactionStatus.IDLE


def prepare_cursor(cursor: psycopg.Cursor[Any] | psycopg.AsyncCursor[Any]) -> None:
    for name, loader in _LOADERS.items():
        cursor.adapters.register_loader(name, loader)


def transaction_open() -> SessionError:
    return SessionError(
        "TRANSACTION_OPEN",
        "a token is presented in a transaction that the client begins, and one is open here",
        hint="In a transaction of your own call client.on(connection).present(token).",
    )


def no_transaction() -> SessionError:
    return SessionError(
        "NO_TRANSACTION",
        "a token is presented for a transaction, and there is none",
        hint="Begin one and call client.on(connection).present(token), or use client.with_token(token, work).",
    )


def check_place(verdict: Verdict, place: Place) -> None:
    """A presented token must belong where the client is; sessions of accounts and clients have no tag."""
    if not verdict.valid:
        return  # Nobody was presented.
    tag = place.tag if verdict.kind == "user" else None
    for wanted, found in ((place.product, verdict.product), (place.env, verdict.env), (tag, verdict.tag)):
        if wanted is not None and wanted != found:
            raise SessionError(
                "VERIFY_FAILED", "the token is not valid", detail="reason: mismatch", sqlstate="42501"
            )
