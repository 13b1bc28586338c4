"""On a standby the helpers and the policies that rest on them say what they say on its primary."""

import pytest
from support.levels import STANDBY_LEVELS
from support.service import force_parallel, present
from support.tenants import KINDS, READER, ROWS, owners

EVERY = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def reader(pair):
    return pair.connect(user=READER)


@EVERY
def test_policies_show_the_rows_of_the_session(tenants, reader, kind):
    for tenant in tenants.all:
        with reader.transaction():
            assert owners(reader, kind) == []
            present(reader, tenant.tokens[kind])
            assert owners(reader, kind) == [tenant.name] * ROWS
            for other in set(KINDS) - {kind}:
                assert owners(reader, other) == []
    assert owners(reader, kind) == []


@EVERY
@STANDBY_LEVELS
def test_parallel_workers_have_the_same_identity(pair, tenants, kind, isolation):
    reader = pair.connect(user=READER, isolation=isolation)
    force_parallel(reader)
    for setting in (
        "parallel_setup_cost = 0",
        "parallel_tuple_cost = 0",
        "min_parallel_table_scan_size = 0",
        "max_parallel_workers_per_gather = 2",
    ):
        reader.execute(f"SET {setting}")
    # Asked for every row, so that it is the workers who ask.
    bare = {
        "user": "key = dialstack.current_identifier()",
        "account": "key = dialstack.current_account()",
        "client": "key = ANY (dialstack.current_connected_accounts())",
    }[kind]
    query = f"SELECT owner FROM tenants.by_{kind} WHERE {bare}"
    with reader.transaction():
        assert reader.execute(query).fetchall() == []
        present(reader, tenants.all[1].tokens[kind])
        plan = reader.execute(f"EXPLAIN (ANALYZE, COSTS OFF) {query}").fetchall()
        assert any("Workers Launched: 1" in line[0] or "Launched: 2" in line[0] for line in plan)
        assert [row.owner for row in reader.execute(query)] == ["tenant-1"] * ROWS
        assert owners(reader, kind) == ["tenant-1"] * ROWS
