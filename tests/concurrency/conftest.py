"""What the tests of callers who race share."""

import pytest


@pytest.fixture
def place(shop):
    return shop.home
