"""Users, activity and dashboards. The tag is called `session` here, as in the products' own clients."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from ..figures import Dashboard, UserDashboard, UserDetails, from_json
from ..rows import Activity, ActivityPage, JsonObject, User, UserPage
from ..values import Moment
from .call import Call, Place, paged, value

T = TypeVar("T")


def fetch_users(
    place: Place,
    *,
    session: str | None = None,
    product: str | None = None,
    env: str | None = None,
    page: int = 1,
    limit: int = 20,
    with_total: bool = True,
) -> Call[UserPage]:
    """A page of the users of a definition, in one environment, or in all where the client has none. The totals are as those of `list`."""
    given = {
        **_definition(place, product, session),
        "env": env or place.env,
        "page": page,
        "per_page": limit,
        "with_total": with_total,
    }
    return Call("session_users", given, paged(UserPage, User, page, limit, with_total))


def fetch_user_details(
    place: Place,
    *,
    identifier: str,
    session: str | None = None,
    product: str | None = None,
    env: str | None = None,
) -> Call[UserDetails]:
    """A user and the history of their sessions. An unknown one is the error `USER_NOT_FOUND`."""
    given = {**_definition(place, product, session), "identifier": identifier, "env": env or place.env}
    return Call("session_user_details", given, partial(_json, UserDetails))


def fetch_activity_logs(
    place: Place,
    *,
    session: str | None = None,
    product: str | None = None,
    env: str | None = None,
    identifier: str | None = None,
    status: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    page: int = 1,
    limit: int = 20,
    with_total: bool = True,
) -> Call[ActivityPage]:
    """A page of what was done, the newest first. The totals are as those of `list`."""
    given = {
        **place.over(product, None, None).need("product"),
        "tag": session or place.tag,
        "env": env or place.env,
        "identifier": identifier,
        "status": status,
        "start_at": start,
        "end_at": end,
        "page": page,
        "per_page": limit,
        "with_total": with_total,
    }
    return Call("session_activity_logs", given, paged(ActivityPage, Activity, page, limit, with_total))


def fetch_dashboard(
    place: Place,
    *,
    session: str | None = None,
    product: str | None = None,
    env: str | None = None,
    group_by: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    time_zone: str | None = None,
) -> Call[Dashboard]:
    """The figures of a definition, in one environment, or in all where the client has none."""
    given = {**_definition(place, product, session), "env": env or place.env, **_range(group_by, start, end, time_zone)}
    return Call("session_dashboard", given, partial(_json, Dashboard))


def fetch_user_dashboard(
    place: Place,
    *,
    identifier: str,
    session: str | None = None,
    product: str | None = None,
    env: str | None = None,
    group_by: str | None = None,
    start_date: Moment | None = None,
    end_date: Moment | None = None,
    time_zone: str | None = None,
) -> Call[UserDashboard]:
    """The figures of one user."""
    given = {
        **_definition(place, product, session),
        "identifier": identifier,
        "env": env or place.env,
        **_range(group_by, start_date, end_date, time_zone),
    }
    return Call("session_user_dashboard", given, partial(_json, UserDashboard))


def _definition(place: Place, product: str | None, session: str | None) -> dict[str, str | None]:
    return place.over(product, None, session).need("product", "tag")


def _range(group_by: str | None, start: Moment | None, end: Moment | None, time_zone: str | None) -> dict[str, object]:
    return {"group_by": group_by, "start_at": start, "end_at": end, "time_zone": time_zone}


def _json(cls: type[T], rows: list[JsonObject]) -> T:
    return from_json(cls, value(rows))
