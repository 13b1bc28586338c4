"""What the tests of callers who race share."""

import pytest
from support.service import READ_COMMITTED, REPEATABLE_READ, SERIALIZABLE

LEVELS = pytest.mark.parametrize(
    "isolation",
    [READ_COMMITTED, REPEATABLE_READ, SERIALIZABLE],
    ids=["read_committed", "repeatable_read", "serializable"],
)


@pytest.fixture
def place(shop):
    return {"product": shop.product, "env": shop.env}
