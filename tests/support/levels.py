"""Tests at each isolation level: with the argument `isolation`."""

import pytest
from support.service import READ_COMMITTED, REPEATABLE_READ, SERIALIZABLE


def _each(*levels):
    return pytest.mark.parametrize("isolation", levels, ids=[level.name.lower() for level in levels])


LEVELS = _each(READ_COMMITTED, REPEATABLE_READ, SERIALIZABLE)
# On a standby nothing is serializable.
STANDBY_LEVELS = _each(READ_COMMITTED, REPEATABLE_READ)
# Whose transactions keep their first snapshot.
OLD_SNAPSHOTS = _each(REPEATABLE_READ, SERIALIZABLE)
