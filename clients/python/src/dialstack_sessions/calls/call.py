"""A call, described."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from ..errors import SessionError, bad_value
from ..figures import from_columns
from ..rows import JsonObject
from ..values import bound

T = TypeVar("T")
P = TypeVar("P")
T_co = TypeVar("T_co", covariant=True)

# The type of an argument, which is the same in every function that has one of the name.
ARGUMENT_TYPES: dict[str, str] = {
    **dict.fromkeys(
        "product env tag name description selector period refresh_period on_limit token refresh_token scope reason "
        "identifier account user_agent user_identifier_key status group_by time_zone".split(),
        "text",
    ),
    **dict.fromkeys("data schema definition changes components".split(), "jsonb"),
    **dict.fromkeys("page per_page expiry refresh_expiry max_sessions".split(), "integer"),
    **dict.fromkeys(
        "expires_in session_expires_in max_age by idle_timeout max_lifetime reuse_interval".split(), "interval"
    ),
    **dict.fromkeys("expires_at start_at end_at".split(), "timestamptz"),
    **dict.fromkeys("active_only with_total log_verify without_user_identifier_key is_local".split(), "boolean"),
    **dict.fromkeys(
        "session_id except_session_id client_session_id connect_webview_id user_identity_id".split(), "uuid"
    ),
    **dict.fromkeys("connected_account_ids connect_webview_ids user_identity_ids".split(), "uuid[]"),
    "public_claims": "text[]",
    "ip": "inet",
}


@dataclass(frozen=True)
class Place:
    """Product, environment and tag that a client was made with; a call's own come first."""

    product: str | None = None
    env: str | None = None
    tag: str | None = None

    def over(self, product: str | None, env: str | None, tag: str | None) -> Place:
        return Place(product or self.product, env or self.env, tag or self.tag)

    def need(self, *names: str) -> dict[str, str | None]:
        """These, all of which there must be."""
        values: dict[str, str | None] = {name: getattr(self, name) for name in names}
        for name, value in values.items():
            if value is None:
                raise bad_value(name, "is missing: pass it to the call, or to the client")
        return values


@dataclass(frozen=True)
class Call(Generic[T_co]):
    """A function of the schema `dialstack`, the arguments that are given, and how its rows are read."""

    function: str
    given: Mapping[str, object] = field(repr=False)
    read: Callable[[list[JsonObject]], T_co]
    # Parallel callers with the same arguments may share one run.
    shared: bool = False

    @cached_property
    def arguments(self) -> dict[str, str | list[str] | None]:
        """What is bound: what is None is left out, so that the function's default holds. A token always goes."""
        return {
            name: bound(name, ARGUMENT_TYPES[name], value)
            for name, value in self.given.items()
            if value is not None or name in ("token", "refresh_token")
        }

    @property
    def text(self) -> str:
        named = ", ".join(f"{name} => %({name})s::{ARGUMENT_TYPES[name]}" for name in self.arguments)
        return f"SELECT * FROM dialstack.{self.function}({named})"

    @property
    def key(self) -> tuple[object, ...]:
        return (self.function, *self.arguments.items())


def one(cls: type[T]) -> Callable[[list[JsonObject]], T]:
    """The only row, as an object of the class."""
    return lambda rows: from_columns(cls, _only(rows))


def many(cls: type[T]) -> Callable[[list[JsonObject]], list[T]]:
    return lambda rows: [from_columns(cls, row) for row in rows]


def paged(
    page_of: Callable[[list[T], int | None, int, int, int | None], P], cls: type[T], page: int, limit: int, with_total: bool
) -> Callable[[list[JsonObject]], P]:
    """A page of objects of the class. Behind the last page no row says how many there are."""

    def read(rows: list[JsonObject]) -> P:
        total = rows[0]["total"] if rows else 0 if page == 1 and with_total else None
        pages = None if total is None else -(-total // limit)
        return page_of([from_columns(cls, row) for row in rows], total, page, limit, pages)

    return read


def value(rows: list[JsonObject]) -> Any:
    """The only value of the only row."""
    (result,) = _only(rows).values()
    return result


def nothing(rows: list[JsonObject]) -> None:
    """For a function that returns nothing."""


def _only(rows: list[JsonObject]) -> JsonObject:
    if len(rows) != 1:
        raise SessionError("DATABASE_ERROR", f"expected one row, the function returned {len(rows)}")
    return rows[0]
