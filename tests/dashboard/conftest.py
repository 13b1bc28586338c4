import sys
from pathlib import Path

import pytest
from support.service import Shop, call

# naive and history stand beside the tests.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def busy_shop(admin):
    """Two environments, short sessions, at most three of a user, verifications logged."""
    shop = Shop.make(
        admin,
        expiry=2,
        period="seconds",
        refresh_expiry=3,
        refresh_period="seconds",
        max_sessions=3,
        on_limit="evict_oldest",
        reuse_interval="0.05 seconds",
        log_verify=True,
    )
    call(admin, "env_create", product=shop.product, env="staging", live=False)
    return shop
