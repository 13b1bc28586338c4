"""Behind a pooler that hands each transaction to another connection, nobody sees a foreign row."""

from collections import Counter

import traffic
from support.tenants import READER


def violations(clients):
    return [wrong for client in clients for wrong in client.wrong]


def total(clients):
    return sum((client.counts for client in clients), Counter())


def test_many_reads_show_no_foreign_row_and_miss_none(pooler, tenants):
    clients = traffic.run(pooler, tenants, clients=50, reads=25_000)

    counts = total(clients)
    assert violations(clients) == []
    assert counts["reads"] >= 25_000
    assert counts["rows"] > 50_000
    # Or it would prove little: each way to end a transaction was taken, and the clients shared.
    for ending in ("commit", "rollback", "error", "refusal", "death", "outside", "prepared"):
        assert counts[ending] > 0, ending
    assert pooler.servers(READER) <= 2
    assert sum(len(client.servers) > 1 for client in clients) > 20


def test_the_same_clients_with_a_setting_of_the_connection_do_see_foreign_rows(pooler, tenants):
    clients = traffic.run(pooler, tenants, clients=50, reads=2_000, scope="SESSION")

    wrong = violations(clients)
    assert wrong
    assert any(set(seen) - {who} for who, _, _, seen in wrong)
