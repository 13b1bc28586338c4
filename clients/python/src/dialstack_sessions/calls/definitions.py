"""Definitions: how long the sessions of a tag live, and what data they hold."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from ..errors import bad_value
from ..rows import Definition
from ..values import Duration, Json
from .call import Call, Place, many, one, value


class DefinitionContext:
    """What the handler of `define` is given, to say what the sessions are like."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}

    def selector(self, path: str) -> None:
        """Where in the data the user's identifier is: `userId` or `$Session{details}{id}`."""
        self.said["selector"] = path

    def expiry(self, number: int, period: str) -> None:
        """How long an access token lives."""
        self.said.update(expiry=number, period=period)

    def schema(self, schema: Json) -> None:
        """What the data holds: types, sample values, or a JSON Schema."""
        self.said["schema"] = schema


class DefinitionOptions(TypedDict, total=False):
    """What a definition may say besides."""

    refresh_expiry: int
    refresh_period: str
    idle_timeout: Duration
    max_lifetime: Duration
    max_sessions: int
    on_limit: str
    reuse_interval: Duration
    log_verify: bool
    public_claims: Sequence[str]


def define(
    place: Place,
    *,
    tag: str,
    name: str,
    description: str = "",
    product: str | None = None,
    handler: Callable[[DefinitionContext], object] | None = None,
    selector: str | None = None,
    expiry: int | None = None,
    period: str | None = None,
    schema: Json | None = None,
    options: DefinitionOptions | None = None,
) -> Call[dict[str, Any]]:
    """Checks a definition and returns it for `register`; nothing is stored. The handler, a plain function, is given
    an object with `selector()`, `expiry()` and `schema()`; or pass these as arguments."""
    context = DefinitionContext()
    if handler is not None:
        if inspect.iscoroutinefunction(handler):
            raise bad_value("handler", "is asynchronous: it has nothing to wait for, pass a plain function")
        handler(context)
    given = {
        **place.over(product, None, None).need("product"),
        "tag": tag,
        "name": name,
        "description": description,
        "selector": selector,
        "expiry": expiry,
        "period": period,
        "schema": schema,
        **context.said,
        **(options or {}),
    }
    for needed in ("selector", "expiry", "period", "schema"):
        if given[needed] is None:
            raise bad_value(needed, "is missing")
    return Call("session_define", given, value)


def register(place: Place, product: str, definition: Json) -> Call[Definition]:
    """Stores what `define` returned. The same tag again updates it."""
    return Call("session_register", {"product": product, "definition": definition}, one(Definition))


def create(
    place: Place,
    *,
    name: str,
    tag: str,
    schema: Json,
    selector: str,
    expiry: int,
    period: str,
    description: str = "",
    product: str | None = None,
    options: DefinitionOptions | None = None,
) -> Call[Definition]:
    """Defines and registers in one call."""
    given = {
        **place.over(product, None, None).need("product"),
        "tag": tag,
        "name": name,
        "description": description,
        "schema": schema,
        "selector": selector,
        "expiry": expiry,
        "period": period,
        **(options or {}),
    }
    return Call("definition_create", given, one(Definition))


def fetch(place: Place, tag: str | None = None, *, product: str | None = None) -> Call[Definition]:
    """The definition of a tag. Where there is none it is the error `DEFINITION_NOT_FOUND`."""
    return Call("definition_get", _named(place, product, tag), one(Definition))


def update(place: Place, tag: str, changes: Json, *, product: str | None = None) -> Call[Definition]:
    """Changes some fields of a definition."""
    return Call("definition_update", {**_named(place, product, tag), "changes": changes}, one(Definition))


def delete(place: Place, tag: str, *, product: str | None = None) -> Call[Definition]:
    """Revokes all sessions of a definition, deletes it, and returns what it was."""
    return Call("definition_delete", _named(place, product, tag), one(Definition))


def fetch_all(place: Place, *, product: str | None = None) -> Call[list[Definition]]:
    """All definitions of a product."""
    return Call("definition_list", place.over(product, None, None).need("product"), many(Definition))


def _named(place: Place, product: str | None, tag: str | None) -> dict[str, str | None]:
    return place.over(product, None, tag).need("product", "tag")
