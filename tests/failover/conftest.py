import os
import threading
import time
from itertools import pairwise

import pytest
from support.service import Shop

from clients import Client, Router
from nodes import Nodes

KILLS, CLIENTS = int(os.environ.get("DSS_KILLS", "10")), 5


class Story:
    """What happened under load: who was killed when, and what the clients know."""

    def __init__(self, nodes):
        self.nodes, self.kills = nodes, []
        with nodes.leader().connect() as admin:
            admin.execute("CREATE EXTENSION dialstack_sessions")
            # A client that got no answer asks again when there is a leader: that must be in time.
            self.shop = Shop.make(admin, expiry=1, period="hours", reuse_interval="5 minutes")
        end = threading.Event()
        router = Router(nodes)
        self.clients = [Client(number, router, self.shop, end) for number in range(CLIENTS)]
        for client in self.clients:
            client.start()
        try:
            for number in range(KILLS):
                time.sleep(1)
                self._kill("patroni" if number % 2 else "postgres")
            time.sleep(1)
        finally:
            end.set()
            for client in self.clients:
                client.join()
            router.stop()

    def _kill(self, what):
        leader = self.nodes.leader()
        self.kills.append((what, time.monotonic()))
        if what == "postgres":
            self.nodes.replace_server(leader)
        else:
            leader.patroni.kill()
            self.nodes.await_other_leader(leader)
            leader.patroni.start()
        self.nodes.await_health("all nodes to take part again")

    def refused(self):
        """For each kill what was killed, and how many seconds a client waited for an answer, the unluckiest one."""
        ends = [at for _, at in self.kills[1:]] + [float("inf")]
        for (what, begin), end in zip(self.kills, ends, strict=True):
            gaps = (
                after - before
                for client in self.clients
                for before, after in pairwise(client.answered)
                if after > begin and before < end
            )
            yield what, max(gaps)

    def tokens(self, revoked):
        """All access tokens that clients were given, of sessions that they know as revoked or as living."""
        return [
            token
            for client in self.clients
            for session in client.sessions
            if session.revoked == revoked
            for token in session.tokens
        ]


@pytest.fixture(scope="session")
def nodes():
    nodes = Nodes()
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.destroy()


@pytest.fixture(scope="session")
def story(nodes):
    return Story(nodes)


@pytest.fixture
def leader(story):
    with story.nodes.leader().connect() as connection:
        yield connection
