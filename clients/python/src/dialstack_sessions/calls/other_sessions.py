"""Account sessions and client sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..rows import AccountSession, ClientSession, JsonObject, Verdict
from ..values import Address, Duration, Id, Json, Moment
from .call import Call, Place, many, nothing, one, value


def account_create(
    place: Place,
    *,
    account: str,
    components: Json | None = None,
    product: str | None = None,
    env: str | None = None,
    expires_in: Duration | None = None,
    identifier: str | None = None,
    ip: Address | None = None,
    user_agent: str | None = None,
) -> Call[AccountSession]:
    """Makes a client secret for one account, limited to some components."""
    given = {
        **_environment(place, product, env),
        "account": account,
        "components": components,
        "expires_in": expires_in,
        "identifier": identifier,
        "ip": ip,
        "user_agent": user_agent,
    }
    return Call("account_session_create", given, one(AccountSession))


def account_verify(
    place: Place,
    client_secret: str | None,
    *,
    scope: str | None = None,
    product: str | None = None,
    env: str | None = None,
) -> Call[Verdict]:
    """Says whether a client secret is good, for which account, and whether for this scope. Other tokens mismatch."""
    return _verification("account", place, client_secret, scope, product, env)


def account_revoke(
    place: Place, *, account: str, product: str | None = None, env: str | None = None, reason: str | None = None
) -> Call[int]:
    """Ends all sessions of an account, and returns how many."""
    given = {**_environment(place, product, env), "account": account, "reason": reason}
    return Call("account_session_revoke", given, value)


def client_create(
    place: Place,
    *,
    user_identifier_key: str | None = None,
    connected_account_ids: Sequence[Id] | None = None,
    connect_webview_ids: Sequence[Id] | None = None,
    user_identity_ids: Sequence[Id] | None = None,
    expires_at: Moment | None = None,
    product: str | None = None,
    env: str | None = None,
) -> Call[ClientSession]:
    """Makes a client session. Where one lives that has the key, it is returned unchanged."""
    given = {
        **_environment(place, product, env),
        "user_identifier_key": user_identifier_key,
        **_grants(connected_account_ids, connect_webview_ids, user_identity_ids),
        "expires_at": expires_at,
    }
    return Call("client_session_create", given, one(ClientSession))


def client_get_or_create(
    place: Place,
    *,
    user_identifier_key: str | None = None,
    connected_account_ids: Sequence[Id] | None = None,
    connect_webview_ids: Sequence[Id] | None = None,
    user_identity_ids: Sequence[Id] | None = None,
    expires_at: Moment | None = None,
    product: str | None = None,
    env: str | None = None,
) -> Call[ClientSession]:
    """The living session that has the key, else a new one. A given `expires_at` replaces the old one."""
    given = {
        **_environment(place, product, env),
        "user_identifier_key": user_identifier_key,
        **_grants(connected_account_ids, connect_webview_ids, user_identity_ids),
        "expires_at": expires_at,
    }
    return Call("client_session_get_or_create", given, one(ClientSession))


def client_get(
    place: Place,
    *,
    client_session_id: Id | None = None,
    user_identifier_key: str | None = None,
    product: str | None = None,
    env: str | None = None,
) -> Call[ClientSession]:
    """One client session; with neither argument, that of the presented token."""
    given = {
        **_environment(place, product, env),
        "client_session_id": client_session_id,
        "user_identifier_key": user_identifier_key,
    }
    return Call("client_session_get", given, one(ClientSession))


def client_list(
    place: Place,
    *,
    client_session_id: Id | None = None,
    user_identifier_key: str | None = None,
    connect_webview_id: Id | None = None,
    user_identity_id: Id | None = None,
    without_user_identifier_key: bool | None = None,
    page: int = 1,
    limit: int = 10,
    product: str | None = None,
    env: str | None = None,
) -> Call[list[ClientSession]]:
    """A page of client sessions."""
    given = {
        **_environment(place, product, env),
        "client_session_id": client_session_id,
        "user_identifier_key": user_identifier_key,
        "connect_webview_id": connect_webview_id,
        "user_identity_id": user_identity_id,
        "without_user_identifier_key": without_user_identifier_key,
        "page": page,
        "per_page": limit,
    }
    return Call("client_session_list", given, many(ClientSession))


def client_grant_access(
    place: Place,
    *,
    client_session_id: Id | None = None,
    user_identifier_key: str | None = None,
    connected_account_ids: Sequence[Id] | None = None,
    connect_webview_ids: Sequence[Id] | None = None,
    user_identity_ids: Sequence[Id] | None = None,
    product: str | None = None,
    env: str | None = None,
) -> Call[ClientSession]:
    """Lets a client session reach more. It never takes anything away."""
    given = {
        **_environment(place, product, env),
        "client_session_id": client_session_id,
        "user_identifier_key": user_identifier_key,
        **_grants(connected_account_ids, connect_webview_ids, user_identity_ids),
    }
    return Call("client_session_grant_access", given, one(ClientSession))


def client_verify(
    place: Place, token: str | None, *, product: str | None = None, env: str | None = None
) -> Call[Verdict]:
    """Says whether the token of a client session is good. Other tokens mismatch."""
    return _verification("client", place, token, None, product, env)


def client_revoke(
    place: Place,
    *,
    client_session_id: Id,
    product: str | None = None,
    env: str | None = None,
    reason: str | None = None,
) -> Call[None]:
    """Ends a client session; its row stays."""
    given = {**_environment(place, product, env), "client_session_id": client_session_id, "reason": reason}
    return Call("client_session_revoke", given, nothing)


def client_delete(
    place: Place, *, client_session_id: Id, product: str | None = None, env: str | None = None
) -> Call[None]:
    """Ends a client session and deletes its row."""
    given = {**_environment(place, product, env), "client_session_id": client_session_id}
    return Call("client_session_delete", given, nothing)


def _environment(place: Place, product: str | None, env: str | None) -> dict[str, str | None]:
    # These sessions have no tag.
    here = place.over(product, env, None)
    return {"product": here.product, "env": here.env}


def _grants(
    accounts: Sequence[Id] | None, webviews: Sequence[Id] | None, identities: Sequence[Id] | None
) -> dict[str, object]:
    return {
        "connected_account_ids": accounts,
        "connect_webview_ids": webviews,
        "user_identity_ids": identities,
    }


def _verification(
    kind: str, place: Place, token: str | None, scope: str | None, product: str | None, env: str | None
) -> Call[Verdict]:
    def read(rows: list[JsonObject]) -> Verdict:
        verdict = one(Verdict)(rows)
        if verdict.valid and verdict.kind != kind:
            return replace(_NOBODY, kind=verdict.kind)
        return verdict

    given = {**_environment(place, product, env), "token": token, "scope": scope}
    return Call("session_verify", given, read)


_NOBODY = Verdict(False, "mismatch", *([None] * 12))
