"""Backends of an application that create, refresh, revoke and verify, wherever the leader is."""

import contextlib
import os
import random
import socket
import threading
import time
from dataclasses import dataclass

import psycopg
from psycopg import errors
from support import service
from support.service import call

# What a backend meets while there is no leader, or while one goes: it tries again. All else is a failure.
UNKNOWN_OUTCOME = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)


class Router:
    """Sends connections to the node whose Patroni says that it leads, and cuts those to another: as load balancers do.

    The second is what keeps a backend from waiting for a server that nobody replicates from any more.
    """

    def __init__(self, nodes):
        self._nodes, self.leader = nodes, None
        self._lock, self._opened = threading.Lock(), set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self):
        while not self._end.wait(0.1):
            leader = self._nodes.leader()
            with self._lock:
                if leader is not self.leader:
                    self.leader = leader
                    for connection in self._opened:
                        cut(connection)
                    self._opened.clear()

    def connect(self):
        leader = self.leader
        if leader is None:
            raise psycopg.OperationalError("there is no leader")
        connection = leader.connect(connect_timeout=5)
        with self._lock:
            if self.leader is not leader:
                connection.close()
                raise psycopg.OperationalError("another leads now")
            self._opened.add(connection)
        return connection

    def stop(self):
        self._end.set()
        self._thread.join()


def cut(connection):
    """Ends a connection under the feet of the thread that uses it."""
    with contextlib.suppress(OSError, psycopg.OperationalError), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


@dataclass
class Held:
    """A session as its client knows it: by what was acknowledged."""

    session_id: object
    tokens: list
    refresh_token: str
    revoked: bool = False


class Client(threading.Thread):
    def __init__(self, number, router, shop, end):
        super().__init__(name=f"client {number}")
        self._router, self._shop, self._end = router, shop, end
        self._random = random.Random(number)
        self._connection = None
        self._number = number
        self.sessions, self.error = [], None
        # When the server answered, and what it should not have answered.
        self.answered, self.wrong = [], []

    def run(self):
        try:
            while not self._end.wait(0.03):
                self._step()
        except Exception as error:
            self.error = error
            raise
        finally:
            self._disconnect()

    def _ask(self, function, **arguments):
        """Calls until there is an answer: what the application's user would do."""
        deadline = time.monotonic() + 3 * service.PATIENCE
        while True:
            try:
                if self._connection is None:
                    self._connection = self._router.connect()
                row = call(self._connection, function, **arguments)
            except UNKNOWN_OUTCOME:
                self._disconnect()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                self.answered.append(time.monotonic())
                return row

    def _disconnect(self):
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _step(self):
        living = [session for session in self.sessions if not session.revoked]
        act = self._random.choices((self._create, self._refresh, self._revoke, self._verify), (3, 4, 1, 2))[0]
        if not living:
            act = self._create
        act(self._random.choice(living) if living else None)

    def _create(self, _):
        data = f'{{"userId": "user-{self._number}"}}'
        row = self._ask("session_create", **self._shop.place, data=data)
        self.sessions.append(Held(row.session_id, [row.token], row.refresh_token))

    def _refresh(self, session):
        row = self._ask("session_refresh", refresh_token=session.refresh_token)
        if not row.ok:
            self.wrong.append(f"{session.session_id} was not refreshed: {row.reason}")
            session.revoked = True
            return
        session.tokens.append(row.token)
        session.refresh_token = row.refresh_token

    def _revoke(self, session):
        self._ask("session_revoke", **self._shop.place, session_id=session.session_id)
        session.revoked = True

    def _verify(self, _):
        session = self._random.choice(self.sessions)
        verdict = self._ask("session_verify", token=self._random.choice(session.tokens))
        if verdict.valid == session.revoked:
            self.wrong.append(f"{session.session_id}, revoked: {session.revoked}, verified as {verdict.reason or 'valid'}")
