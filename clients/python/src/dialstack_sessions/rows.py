"""What the calls return. Fields are named and typed as the columns; what is secret does not show in `repr()`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

JsonObject: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class CreatedSession:
    """A new session and its tokens."""

    token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime
    session_id: UUID
    session_expires_at: datetime


@dataclass(frozen=True)
class Verdict:
    """Whether a token is good, and whose session it is. `reason` says why it is not."""

    valid: bool
    reason: str | None
    kind: str | None
    session_id: UUID | None
    identifier: str | None
    account: str | None
    data: JsonObject | None
    scopes: list[str] | None
    expires_at: datetime | None
    product: str | None
    env: str | None
    tag: str | None
    created_at: datetime | None
    authenticated_at: datetime | None


@dataclass(frozen=True)
class RefreshedSession:
    """The new tokens, or the reason why there are none."""

    ok: bool
    reason: str | None
    token: str | None = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime | None
    session_id: UUID | None
    session_expires_at: datetime | None
    identifier: str | None
    data: JsonObject | None


@dataclass(frozen=True)
class ListedSession:
    """A session of a user, as a page of devices shows it."""

    session_id: UUID
    identifier: str
    start_at: datetime
    end_at: datetime
    active: bool
    last_seen_at: datetime | None
    ip: str | None
    user_agent: str | None


@dataclass(frozen=True)
class SessionPage:
    """A page of sessions."""

    sessions: list[ListedSession]
    total: int | None
    page: int
    limit: int
    total_pages: int | None


@dataclass(frozen=True)
class SessionInfo:
    """All that is kept of one session."""

    session_id: UUID
    identifier: str | None
    start_at: datetime
    end_at: datetime
    active: bool
    last_seen_at: datetime | None
    ip: str | None
    user_agent: str | None
    kind: str
    product: str
    env: str
    tag: str | None
    generation: int
    revoked_at: datetime | None
    revoke_reason: str | None
    scopes: list[str] | None


@dataclass(frozen=True)
class ExplainedStep:
    """A step of a verification, and what it found."""

    step: int
    checked: str
    passed: bool
    detail: str | None


@dataclass(frozen=True)
class SessionExpiry:
    """The session and when its access tokens made from now on, or it itself, end."""

    session_id: UUID
    expires_at: datetime


@dataclass(frozen=True)
class Reauthenticated:
    """The session and when its user last proved who they are."""

    session_id: UUID
    authenticated_at: datetime


@dataclass(frozen=True)
class Definition:
    """The stored configuration of one kind of user session."""

    product: str
    tag: str
    name: str
    description: str
    schema: JsonObject
    selector: str
    expiry: int
    period: str
    refresh_expiry: int
    refresh_period: str
    idle_timeout: timedelta | None
    max_lifetime: timedelta | None
    max_sessions: int | None
    on_limit: str
    reuse_interval: timedelta
    log_verify: bool
    public_claims: list[str]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class AccountSession:
    """A new account session: its client secret and what it may do."""

    client_secret: str = field(repr=False)
    expires_at: datetime
    account_id: str
    components: JsonObject


@dataclass(frozen=True)
class ClientSession:
    """A client session, its token, and what it reaches."""

    workspace_id: UUID
    client_session_id: UUID
    token: str = field(repr=False)
    user_identifier_key: str | None = field(repr=False)
    created_at: datetime
    expires_at: datetime
    device_count: int
    connected_account_ids: list[UUID]
    third_party_account_ids: list[UUID]
    connect_webview_ids: list[UUID]
    user_identity_ids: list[UUID]


@dataclass(frozen=True)
class User:
    """A user of a definition."""

    identifier: str
    env: str
    first_seen: datetime
    last_seen: datetime
    total_sessions: int
    active_sessions: int
    status: str


@dataclass(frozen=True)
class UserPage:
    """A page of users."""

    users: list[User]
    total: int | None
    page: int
    limit: int
    total_pages: int | None


@dataclass(frozen=True)
class Activity:
    """One operation that was noted."""

    activity_id: int
    at: datetime
    product: str
    env: str
    tag: str | None
    kind: str
    operation: str
    status: str
    reason: str | None
    session_id: UUID | None
    identifier: str | None
    latency_us: int | None
    ip: str | None
    user_agent: str | None
    detail: JsonObject | None


@dataclass(frozen=True)
class ActivityPage:
    """A page of activity, the newest first."""

    logs: list[Activity]
    total: int | None
    page: int
    limit: int
    total_pages: int | None
