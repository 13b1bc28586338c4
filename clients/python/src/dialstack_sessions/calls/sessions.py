"""User sessions: from log-in to log-out."""

from __future__ import annotations

from typing import Any

from ..rows import (
    CreatedSession,
    ExplainedStep,
    ListedSession,
    Reauthenticated,
    RefreshedSession,
    SessionExpiry,
    SessionInfo,
    SessionPage,
    Verdict,
)
from ..values import Address, Duration, Id, Json
from .call import Call, Place, many, nothing, one, paged, value


def start(
    place: Place,
    *,
    data: Json,
    product: str | None = None,
    env: str | None = None,
    tag: str | None = None,
    ip: Address | None = None,
    user_agent: str | None = None,
    expires_in: Duration | None = None,
    session_expires_in: Duration | None = None,
) -> Call[CreatedSession]:
    """Makes a session for a user and returns its tokens. `session_expires_in` is "remember me"."""
    return Call(
        "session_create",
        {
            **place.over(product, env, tag).need("product", "env", "tag"),
            "data": data,
            "ip": ip,
            "user_agent": user_agent,
            "expires_in": expires_in,
            "session_expires_in": session_expires_in,
        },
        one(CreatedSession),
    )


def verify(
    place: Place,
    token: str | None,
    *,
    product: str | None = None,
    env: str | None = None,
    tag: str | None = None,
    scope: str | None = None,
    max_age: Duration | None = None,
) -> Call[Verdict]:
    """Says whether a token is good, and whose session it is. A bad token is an answer, not an error."""
    return _verification("session_verify", place.over(product, env, tag), token, scope, max_age)


def require(
    place: Place,
    token: str | None,
    *,
    product: str | None = None,
    env: str | None = None,
    tag: str | None = None,
    scope: str | None = None,
    max_age: Duration | None = None,
) -> Call[Verdict]:
    """As `verify`, but a bad token is the error `VERIFY_FAILED`."""
    return _verification("session_require", place.over(product, env, tag), token, scope, max_age)


def _verification(
    function: str, place: Place, token: str | None, scope: str | None, max_age: Duration | None
) -> Call[Verdict]:
    given = {**vars(place), "token": token, "scope": scope, "max_age": max_age}
    return Call(function, given, one(Verdict))


def refresh(
    place: Place,
    refresh_token: str | None,
    *,
    product: str | None = None,
    env: str | None = None,
    tag: str | None = None,
    ip: Address | None = None,
    user_agent: str | None = None,
) -> Call[RefreshedSession]:
    """Takes a refresh token for new tokens. A bad or reused one is an answer, not an error, and committed before you see
    it. Callers in one process that refresh the same token at once share one call."""
    given = {
        **vars(place.over(product, env, tag)),
        "refresh_token": refresh_token,
        "ip": ip,
        "user_agent": user_agent,
    }
    return Call("session_refresh", given, one(RefreshedSession), shared=True)


def revoke(
    place: Place,
    *,
    product: str | None = None,
    env: str | None = None,
    tag: str | None = None,
    session_id: Id | None = None,
    identifier: str | None = None,
    reason: str | None = None,
) -> Call[int]:
    """Ends a session, or all of a user, and returns how many. With both, the session must be that user's."""
    given = {
        **vars(place.over(product, env, tag)),
        "session_id": session_id,
        "identifier": identifier,
        "reason": reason,
    }
    return Call("session_revoke", given, value)


def revoke_all(
    place: Place,
    *,
    identifier: str,
    product: str | None = None,
    env: str | None = None,
    tag: str | None = None,
    exclude_current_session: Id | None = None,
    reason: str | None = None,
) -> Call[int]:
    """Ends all sessions of a user, but for `exclude_current_session`: "log out everywhere else". Returns how many."""
    given = {
        **place.over(product, env, tag).need("product", "env", "tag"),
        "identifier": identifier,
        "except_session_id": exclude_current_session,
        "reason": reason,
    }
    return Call("session_revoke_all", given, value)


def end(place: Place, token: str | None) -> Call[int]:
    """Logs out: ends the session of any of its tokens, also an expired one, and returns how many. A token that names none
    is `VERIFY_FAILED`."""
    return Call("session_end", {"token": token}, value)


def list_sessions(
    place: Place,
    *,
    product: str | None = None,
    env: str | None = None,
    tag: str | None = None,
    identifier: str | None = None,
    page: int = 1,
    limit: int = 10,
    active_only: bool = True,
    with_total: bool = True,
) -> Call[SessionPage]:
    """A page of sessions, of one user or of all. `total` counts all pages; it is None beyond the last one, or where it was not asked for."""
    given = {
        **place.over(product, env, tag).need("product", "env", "tag"),
        "identifier": identifier,
        "page": page,
        "per_page": limit,
        "active_only": active_only,
        "with_total": with_total,
    }
    return Call("session_list", given, paged(SessionPage, ListedSession, page, limit, with_total))


def get_info(place: Place, session_id: Id) -> Call[SessionInfo]:
    """All that is kept of one session."""
    return Call("session_info", {"session_id": session_id}, one(SessionInfo))


def update_data(place: Place, session_id: Id, data: Json) -> Call[SessionExpiry]:
    """Replaces the data of a session, at once for the tokens that clients hold already."""
    return Call("session_update_data", {"session_id": session_id, "data": data}, one(SessionExpiry))


def extend_session(place: Place, session_id: Id, by: Duration) -> Call[SessionExpiry]:
    """Moves the end of a session."""
    return Call("session_extend", {"session_id": session_id, "by": by}, one(SessionExpiry))


def reauthenticate(place: Place, session_id: Id) -> Call[Reauthenticated]:
    """Notes that the user has proved who they are once more, for `max_age`."""
    return Call("session_reauthenticate", {"session_id": session_id}, one(Reauthenticated))


def introspect(place: Place, token: str) -> Call[dict[str, Any]]:
    """What RFC 7662 says of a token."""
    return Call("token_introspect", {"token": token}, value)


def explain(place: Place, token: str) -> Call[list[ExplainedStep]]:
    """Why a token is accepted or refused, step by step. Shows no secret."""
    return Call("session_explain", {"token": token}, many(ExplainedStep))


def present(place: Place, token: str | None) -> Call[Verdict]:
    """Presents a token for the rest of the transaction: row-level security then shows what its user may see. None presents nobody."""
    if token is None:
        return Call("session_clear", {}, lambda rows: Verdict(False, "missing", *([None] * 12)))
    return Call("session_use", {"token": token, "is_local": True}, one(Verdict))


def clear(place: Place) -> Call[None]:
    """Presents no token any more."""
    return Call("session_clear", {}, nothing)
