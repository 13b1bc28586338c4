"""What the calls about users and dashboards return: JSON whose keys become the fields' names in snake_case."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Hashable
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, TypeVar, cast
from uuid import UUID

from .rows import JsonObject

T = TypeVar("T")


@dataclass(frozen=True)
class UserSession:
    """A session in the history of a user."""

    session_id: UUID
    env: str
    start_at: datetime
    end_at: datetime
    active: bool
    ip: str | None
    user_agent: str | None
    data: JsonObject | None


@dataclass(frozen=True)
class UserDetails:
    """A user and the history of their sessions."""

    identifier: str
    env: str
    status: str
    first_seen: datetime
    last_seen: datetime
    sessions: list[UserSession]
    total_sessions: int
    active_sessions_count: int
    latest_session_data: JsonObject | None


@dataclass(frozen=True)
class Change:
    """A figure now, the period before, and the change in percent."""

    current: float | None
    previous: float | None
    change: float | None


@dataclass(frozen=True)
class HourCount:
    hour: int
    count: int


@dataclass(frozen=True)
class DaySessions:
    date: date
    sessions: int
    operations: int


@dataclass(frozen=True)
class PeriodSessions:
    period: datetime
    created: int
    expired: int
    revoked: int


@dataclass(frozen=True)
class PeriodOperations:
    period: datetime
    create: int
    verify: int
    refresh: int
    extend: int
    revoke: int
    reuse: int
    evict: int


@dataclass(frozen=True)
class EnvironmentShare:
    env: str
    count: int
    percentage: float


@dataclass(frozen=True)
class Dashboard:
    """The figures of a definition; the manual's page "Dashboard figures" has the formulas."""

    total_users: int
    active_users: int
    inactive_users: int
    expired_users: int
    new_users_today: int
    new_users_this_week: int
    dau: Change
    wau: Change
    mau: Change
    total_sessions: int
    active_sessions: int
    expired_sessions: int
    revoked_sessions: int
    average_sessions_per_user: float | None
    average_session_duration: float | None
    avg_session_duration: Change
    average_operation_duration: float | None
    success_rate: float | None
    error_rate: float | None
    sessions_over_time: list[PeriodSessions]
    operations_over_time: list[PeriodOperations]
    activity_timeline: list[DaySessions]
    peak_hours: list[HourCount]
    environment_breakdown: list[EnvironmentShare]


@dataclass(frozen=True)
class PeriodCount:
    date: datetime
    operations: int


@dataclass(frozen=True)
class PeriodLatency:
    date: datetime
    avg_latency_ms: float | None
    count: int


@dataclass(frozen=True)
class PeriodOutcome:
    date: datetime
    successful: int
    failed: int


@dataclass(frozen=True)
class UserDashboard:
    """The figures of one user."""

    total_logs: int
    success_rate: float | None
    activity_timeline: list[PeriodCount]
    latency_timeline: list[PeriodLatency]
    outcome_timeline: list[PeriodOutcome]
    peak_hours: list[HourCount]


def snake(key: str) -> str:
    """totalSessions → total_sessions"""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()


@cache
def _types(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def from_json(cls: type[T], value: JsonObject) -> T:
    """The object of a class that JSON describes. Keys that the class does not know are left out."""
    hints = _types(cast(Hashable, cls))
    return cls(**{snake(k): _convert(hints[snake(k)], v) for k, v in value.items() if snake(k) in hints})


def _convert(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, types.UnionType):
        (kind,) = (one for one in typing.get_args(kind) if one is not types.NoneType)
    if typing.get_origin(kind) is list:
        (item,) = typing.get_args(kind)
        return [_convert(item, one) for one in value]
    if is_dataclass(kind):
        return from_json(cast("type[Any]", kind), value)
    if kind in (datetime, date):
        return kind.fromisoformat(value)
    return UUID(value) if kind is UUID else value


def from_columns(cls: type[T], row: JsonObject) -> T:
    """The object of a class that a row is for. Columns that a newer extension added are left out."""
    names = {field.name for field in fields(cast(Any, cls))}
    return cls(**{name: value for name, value in row.items() if name in names})
