import pytest
from support.formats import Mint, Ring
from support.service import call


@pytest.fixture
def session(admin, shop):
    return shop.create(admin)


@pytest.fixture
def ring(admin):
    return Ring(admin)


@pytest.fixture
def mint(ring, shop, session):
    return Mint(ring, shop, session)


@pytest.fixture
def signed_with(admin):
    """Makes a key of this algorithm the active one, until the test ends."""
    yield lambda alg: call(admin, "signing_key_rotate", alg=alg)
    call(admin, "signing_key_rotate", alg="HS256")
