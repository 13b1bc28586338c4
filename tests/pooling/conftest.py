import itertools

import pytest
from support import service
from support.tenants import READER, TABLES, Tenants

from support.pooler import Pooler

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def tenants(installed):
    """Twenty of them; and one plan of each prepared statement serves them all."""
    with service.connect() as connection:
        tenants = Tenants(connection, 20)
        connection.execute(f"ALTER ROLE {READER} SET plan_cache_mode = force_generic_plan")
        connection.execute(f"ALTER ROLE {READER} SET statement_timeout = '{service.PATIENCE}s'")
        dead = tenants.add(connection, "tenant-dead")
        for kind, session_id in dead.sessions.items():
            connection.execute(
                f"UPDATE {TABLES[kind]} SET revoked_at = now(), revoke_reason = 'revoked' "
                "WHERE session_id = %s",
                [session_id],
            )
        tenants.dead = dead
    return tenants


@pytest.fixture
def start_pooler(tenants):
    """Starts poolers with these settings; each pool has two connections to the server."""
    started = []

    def start(**settings):
        started.append(Pooler(f"pooler{next(_numbers)}", [READER], **settings))
        return started[-1]

    yield start
    for pooler in started:
        pooler.stop()


@pytest.fixture
def pooler(start_pooler):
    return start_pooler(pool_mode="transaction")
