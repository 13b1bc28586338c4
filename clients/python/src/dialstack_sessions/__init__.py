"""Sessions that PostgreSQL itself keeps: the client of the extension dialstack_sessions for psycopg 3."""

from .errors import DriverMissing, SessionError
from .async_client import AsyncClient
from .client import Client
from .connections import CallersTransaction
from .figures import Dashboard, UserDashboard, UserDetails
from .rows import (
    AccountSession,
    Activity,
    ActivityPage,
    ClientSession,
    CreatedSession,
    Definition,
    ExplainedStep,
    ListedSession,
    Reauthenticated,
    RefreshedSession,
    SessionExpiry,
    SessionInfo,
    SessionPage,
    User,
    UserPage,
    Verdict,
)

__version__ = "0.3.0"

__all__ = [
    "AccountSession",
    "Activity",
    "ActivityPage",
    "AsyncClient",
    "CallersTransaction",
    "Client",
    "ClientSession",
    "CreatedSession",
    "Dashboard",
    "Definition",
    "DriverMissing",
    "ExplainedStep",
    "ListedSession",
    "Reauthenticated",
    "RefreshedSession",
    "SessionError",
    "SessionExpiry",
    "SessionInfo",
    "SessionPage",
    "User",
    "UserDashboard",
    "UserDetails",
    "UserPage",
    "Verdict",
]
