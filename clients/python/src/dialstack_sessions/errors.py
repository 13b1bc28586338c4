"""One class of errors for every call, with the codes of the manual's page "Errors"."""

from __future__ import annotations

import re

_CODED = re.compile(r"([A-Z][A-Z_]+): (.+)", re.DOTALL)
# What is no interval, or no moment.
_NO_TIME = ("22007", "22008", "22015")
_TIMES = "A time is such as '8 hours', a moment such as '2027-01-31 12:00+00'."


class SessionError(Exception):
    """A call that failed. `code` is for programs; no text of it shows a token, a key or session data.

    Besides the server's codes: `CONNECTION_FAILED`, `CONNECTION_TIMEOUT` (the pool is exhausted), `TRANSACTION_OPEN`, `NO_TRANSACTION`,
    `INVALID_ARGUMENT` (one that cannot be what it should be, or is missing), `NOT_INSTALLED` (the database lacks the extension, or has another
    version), `DRIVER_MISSING`, and `DATABASE_ERROR` for all else, where `sqlstate` says more.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        detail: str | None = None,
        hint: str | None = None,
        sqlstate: str | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.detail = detail
        self.hint = hint
        self.sqlstate = sqlstate

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r}, {self.message!r})"

    def copy(self) -> SessionError:
        """The same error for another caller: each needs a traceback of its own."""
        return SessionError(
            self.code, self.message, detail=self.detail, hint=self.hint, sqlstate=self.sqlstate
        )


class DriverMissing(SessionError, ImportError):
    """There is no psycopg, or it finds no libpq."""

    def __init__(self) -> None:
        super().__init__(
            "DRIVER_MISSING",
            "the driver psycopg, version 3, cannot be imported",
            hint='pip install "psycopg[binary]"',
        )


_driver_is_missing = False
try:
    import psycopg
except ImportError:
    _driver_is_missing = True
if _driver_is_missing:
    # This is the first module of the package to be imported.
    raise DriverMissing


def bad_value(argument: str, problem: str, hint: str | None = None) -> SessionError:
    """An argument that is refused before anything is sent. The value itself is not shown: it may be a token."""
    return SessionError("INVALID_ARGUMENT", f"{argument} {problem}", hint=hint)


def from_driver(error: psycopg.Error) -> SessionError:
    """What psycopg raised, without its text: that has the server's CONTEXT, which can show bound parameters."""
    sqlstate = error.sqlstate
    diag = error.diag
    primary = diag.message_primary
    if primary is None:
        return _without_server(error)
    if coded := _CODED.fullmatch(primary):
        return SessionError(
            coded[1], coded[2], detail=diag.message_detail, hint=diag.message_hint, sqlstate=sqlstate
        )
    kind = (sqlstate or "")[:2]
    if sqlstate in ("40001", "40P01"):
        return SessionError("CONFLICT", primary, sqlstate=sqlstate)
    if kind in ("08", "53", "57") and sqlstate != "57014":
        return SessionError("CONNECTION_FAILED", primary, sqlstate=sqlstate)
    if sqlstate == "42501":
        hint = "The call needs another access level of the role: dialstack.grant_access()."
        return SessionError("PERMISSION_DENIED", primary, hint=hint, sqlstate=sqlstate)
    if sqlstate in ("3F000", "42883", "42P01"):
        hint = "Is this the right database? CREATE EXTENSION dialstack_sessions there, of the client's version."
        return SessionError("NOT_INSTALLED", primary, hint=hint, sqlstate=sqlstate)
    if kind == "22":
        # PostgreSQL's own message quotes the value.
        return SessionError(
            "INVALID_ARGUMENT",
            f"PostgreSQL refused a value ({sqlstate})",
            hint=_TIMES if sqlstate in _NO_TIME else None,
            sqlstate=sqlstate,
        )
    return SessionError("DATABASE_ERROR", primary, hint=diag.message_hint, sqlstate=sqlstate)


def _without_server(error: psycopg.Error) -> SessionError:
    """What the driver or its pool says itself, without an answer of the server."""
    name = type(error).__name__
    in_pool = type(error).__module__.startswith("psycopg_pool")
    if in_pool and name == "PoolClosed":
        return SessionError(
            "CONNECTION_FAILED", "the pool is not open", hint="Open it before the first call, and close it after the last one: `with pool:`."
        )
    if in_pool and name in ("PoolTimeout", "TooManyRequests"):
        return SessionError(
            "CONNECTION_TIMEOUT",
            "the pool has no free connection",
            hint="Return connections sooner, or allow the pool more of them.",
        )
    if name == "DataError":
        return SessionError("INVALID_ARGUMENT", "the driver refused a value")
    if name in ("ProgrammingError", "InterfaceError", "NotSupportedError"):
        return SessionError("DATABASE_ERROR", "the driver refused the call")
    # What libpq says of a connection; there is nothing in it that was bound.
    return SessionError(
        "CONNECTION_FAILED",
        "the connection to the database is lost, or could not be made",
        detail=str(error).strip() or None,
        # With an attempt to connect comes what it was made with.
        hint="If it was lost in a COMMIT, the call may have taken effect." if error.pgconn is None else None,
        sqlstate=error.sqlstate,
    )
