"""`sessions.create` has three meanings, as in the products' own clients: what it is given says which."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Required, TypedDict

from ..errors import bad_value
from ..rows import AccountSession, CreatedSession, Definition
from ..values import Address, Duration, Json
from . import definitions, other_sessions, sessions
from .call import Call, Place


class NewSession(TypedDict, total=False):
    """A user session; see `start`."""

    data: Required[Json]
    product: str | None
    env: str | None
    tag: str | None
    ip: Address | None
    user_agent: str | None
    expires_in: Duration | None
    session_expires_in: Duration | None


class NewDefinition(TypedDict, total=False):
    """A definition, stored at once."""

    name: Required[str]
    tag: Required[str]
    schema: Required[Json]
    selector: Required[str]
    expiry: Required[int]
    period: Required[str]
    description: str
    product: str | None
    options: definitions.DefinitionOptions | None


class NewAccountSession(TypedDict, total=False):
    """An account session; see `account_sessions.create`."""

    account: Required[str]
    components: Json | None
    product: str | None
    env: str | None
    expires_in: Duration | None


def describe_create(
    place: Place, options: Mapping[str, Any]
) -> Call[CreatedSession | Definition | AccountSession]:
    if "data" in options:
        return sessions.start(place, **options)
    if "schema" in options:
        return definitions.create(place, **options)
    if "account" in options:
        warnings.warn("call account_sessions.create() instead", DeprecationWarning, stacklevel=3)
        return other_sessions.account_create(place, **options)
    raise bad_value("data", "is missing (or schema, for a definition)")
