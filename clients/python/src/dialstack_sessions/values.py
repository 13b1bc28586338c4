"""From what a caller passes to what is bound. Every value is bound as text and cast in the statement, so that nobody's
own adapters (Django has some) change its meaning."""

from __future__ import annotations

import ipaddress
import json
import logging
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from .errors import bad_value

Json: TypeAlias = "Mapping[str, Any]"
Address: TypeAlias = "str | ipaddress.IPv4Address | ipaddress.IPv6Address"
Duration: TypeAlias = "timedelta | int | float | str"
Id: TypeAlias = "UUID | str"
Moment: TypeAlias = "datetime | str"

log = logging.getLogger("dialstack_sessions")


def token(value: object) -> str:
    """A token is ASCII. What else came (a NUL in a cookie, say) is left for the server to call invalid."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise bad_value("the token", "is not text")
    return value.encode("ascii", "replace").decode("ascii").replace("\0", "?")


def address(value: object) -> str | None:
    """An address as `inet` takes it: without port and zone. Where there is none (`unknown`), nothing is stored:
    what is kept for the record never refuses a log-in."""
    text = str(value).strip()
    if bracketed := re.fullmatch(r"\[([^\]]*)\](?::\d*)?", text):
        text = bracketed[1]
    elif text.count(":") == 1:
        text = text.split(":")[0]
    text = text.split("%")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        log.warning("the caller's address is none that PostgreSQL takes; the session is stored without it")
        return None


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise bad_value(name, "is not text")
    if "\0" in value:
        raise bad_value(name, "contains a NUL")
    try:
        value.encode()
    except UnicodeEncodeError:
        problem = "is not Unicode text"
    else:
        return value
    raise bad_value(name, problem)


def _user_agent(value: object) -> str:
    return str(value).replace("\0", "").encode("utf-8", "replace").decode()


def _uuid(name: str, value: object) -> str:
    try:
        return str(value if isinstance(value, UUID) else UUID(str(value)))
    except ValueError:
        pass
    raise bad_value(name, "is not a UUID")


def _json(name: str, value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        pass
    raise bad_value(name, "is not JSON")


def _interval(name: str, value: object) -> str:
    if isinstance(value, str):
        return _text(name, value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value} seconds"
    if isinstance(value, timedelta):
        return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"
    raise bad_value(name, "is neither a timedelta, a number of seconds nor text")


def _moment(name: str, value: object) -> str:
    if isinstance(value, str):
        return _text(name, value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.isoformat()
    raise bad_value(name, "is neither a datetime with a time zone nor text")


def _integer(name: str, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise bad_value(name, "is not a whole number")


def _boolean(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    raise bad_value(name, "is not a bool")


def bound(name: str, sql_type: str, value: object) -> str | list[str] | None:
    """The text, or array of texts, to bind for an argument of that type."""
    if name in ("token", "refresh_token"):
        return token(value)
    if name == "user_agent":
        return _user_agent(value)
    if sql_type == "inet":
        return address(value)
    if sql_type.endswith("[]"):
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise bad_value(name, "is not a list")
        one = {"uuid[]": _uuid, "text[]": _text}[sql_type]
        return [one(name, item) for item in value]
    return _CONVERSIONS[sql_type](name, value)


_CONVERSIONS = {
    "text": _text,
    "uuid": _uuid,
    "jsonb": _json,
    "interval": _interval,
    "timestamptz": _moment,
    "integer": _integer,
    "boolean": _boolean,
}
