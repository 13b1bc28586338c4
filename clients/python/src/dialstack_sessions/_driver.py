"""psycopg, or an error that says what to install."""

from __future__ import annotations

from .errors import DriverMissing

_missing = False
try:
    import psycopg  # noqa: F401
except ImportError:
    _missing = True
if _missing:
    raise DriverMissing
