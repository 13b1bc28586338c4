"""Connections that do random things one after the other, in the database and in the model."""

import contextlib
import json
import random
from collections import Counter, deque

from actions import ANYTIME, READ_ONLY, Actions
from model import Model
from places import ENVS, PRODUCT, ROLE, TAGS
from psycopg import errors
from psycopg.pq import TransactionStatus
from support.service import connect
from upkeep import Upkeep
from world import uuid

RUBBISH = ("rubbish", "cs_live_AAAA", "e30.e30.e30", "web:", "acct_1")
TOKENS_IN_PLAY = 60

CHECK = """
    SELECT dialstack.current_session_id() AS session_id,
           dialstack.current_session_kind() AS kind,
           dialstack.current_identifier() AS identifier,
           dialstack.current_account() AS account,
           dialstack.current_connected_accounts() AS accounts,
           dialstack.current_user_identities() AS identities,
           dialstack.current_product() AS product,
           dialstack.current_env() AS env,
           dialstack.current_tag() AS tag,
           dialstack.current_scopes() AS scopes,
           dialstack.current_data() AS data,
           dialstack.current_session_error() AS error,
           dialstack.current_account('model', 'a') AS account_in_a,
           dialstack.current_identifier('model', 'a', 'web') AS identifier_in_a_web,
           dialstack.has_scope('voicemails') AS scope,
           dialstack.has_scope('voicemails', 'model', 'b') AS scope_in_b,
           (SELECT array_agg(tenant ORDER BY tenant) FROM model.of_account) AS account_rows,
           (SELECT array_agg(tenant ORDER BY tenant) FROM model.of_connected) AS connected_rows,
           v.valid, v.reason, v.session_id AS v_session_id, v.data AS v_data,
           v.scopes AS v_scopes
      FROM dialstack.session_verify(%s) v"""


NOT_SEEN = (errors.NoDataFound, errors.InvalidParameterValue, errors.UndefinedObject)


class Undone(Exception):
    """The server refused a change for the transaction's old snapshot, and the model knows."""


class Player(Actions, Upkeep):
    """Everything random comes from one seed."""

    def __init__(self, seed, clients, **parameters):
        self.random = random.Random(seed)
        self.model = Model(clients)
        self.connections = [connect(**parameters) for _ in range(clients)]
        for connection in self.connections:
            connection.execute("SET lock_timeout = '5s'")
            connection.execute(f"SET ROLE {ROLE}")
        self.numbers = iter(range(1, 10**9))
        self.trace = deque(maxlen=80)
        self.done = Counter()
        self.pool = []
        self._adopt()

    def close(self):
        for connection in self.connections:
            connection.close()

    def _adopt(self):
        """What set_up made, and the keys."""
        for kind, names in (("env", ENVS), ("definition", TAGS)):
            for name in names:
                self.model.committed[kind, name] = next(self.numbers)
        self.adopt_keys(self.model.clients[0])

    def adopt_keys(self, client):
        for key in self.run(client, "SELECT * FROM dialstack.signing_key_list()"):
            if key.state != "revoked":
                self.model.set(client, ("key", key.kid), (key.purpose, key.state))

    # One step

    def step(self):
        if len(self.pool) > 2 * TOKENS_IN_PLAY:
            self.tidy()
        client = self.random.choice(self.model.clients)
        with contextlib.suppress(Undone):
            while not self.act(client):
                pass
        client = self.random.choice(self.model.clients)
        if not client.aborted:
            with contextlib.suppress(Undone):
                self.check(client)

    def act(self, client):
        """Does something that is possible now; answers False to be asked again."""
        if client.aborted:
            actions = {"rollback": 2, "rollback_to": 3}
        else:
            actions = READ_ONLY if client.read_only else ANYTIME
        action = self.random.choices([*actions], weights=[*actions.values()])[0]
        if getattr(self, action)(client) is False:
            return False
        self.done[action] += 1
        return True

    def run(self, client, statement, arguments=None, **options):
        """Runs a statement of a client; a transaction that can't be serialised is rolled back."""
        self.trace.append((client.number, "check" if statement is CHECK else statement, arguments))
        try:
            return self.connections[client.number].execute(statement, arguments, **options)
        except errors.SerializationFailure:
            self.give_up(client)
        except NOT_SEEN:
            # The model reads the latest state, but what is to be written is found by the snapshot.
            if not client.old_snapshot:
                raise
            client.aborted = True
        self.done["conflict"] += 1
        raise Undone

    def give_up(self, client):
        """Rolls back what can't be serialised; that of a COMMIT is over already."""
        assert client.old_snapshot, "only an old snapshot meets 40001"
        connection = self.connections[client.number]
        if connection.info.transaction_status != TransactionStatus.IDLE:
            connection.execute("ROLLBACK")
        self.model.rollback(client)

    def call(self, client, function, **arguments):
        named = ", ".join(f"{name} => %({name})s" for name in arguments)
        return self.run(
            client, f"SELECT * FROM dialstack.{function}({named})", arguments
        ).fetchone()

    def fails(self, client, error, statement, arguments=None):
        """Runs what must fail; a transaction is aborted by it."""
        try:
            self.run(client, statement, arguments)
        except error as failure:
            client.aborted = client.in_transaction
            return failure
        raise AssertionError(f"{statement} should have failed")

    # Checks

    def check(self, client):
        """The helpers and session_verify answer as the model does."""
        token = self.any_token()
        row = self.run(client, CHECK, [token], prepare=True).fetchone()
        expected = {**self.expected(client), **self.expected_verdict(client, token)}
        actual = row._asdict()
        different = {
            name: (actual[name], expected[name])
            for name in actual
            if actual[name] != expected[name]
        }
        assert not different, f"client {client.number}: (actual, expected) {different}"

    def expected(self, client):
        session, reason = None, None
        if client.token:
            session, reason = self.model.verdict(client, client.token)
        if session is None:
            nothing = dict.fromkeys(
                ("session_id", "kind", "identifier", "account", "accounts", "identities",
                 "product", "env", "tag", "scopes", "data", "account_in_a",
                 "identifier_in_a_web", "account_rows", "connected_rows")
            )  # fmt: skip
            return {**nothing, "error": reason, "scope": False, "scope_in_b": False}
        account = session.subject if session.kind == "account" else None
        # The key of a client session is no identity.
        identifier = session.subject if session.kind == "user" else None
        in_a = session.env_name == "a"
        accounts = None if session.accounts is None else [uuid(n) for n in session.accounts]
        rows = sorted(session.accounts or ()) if in_a else []
        scoped = "voicemails" in (session.scopes or ())
        return {
            "session_id": session.id,
            "kind": session.kind,
            "identifier": identifier,
            "account": account,
            "accounts": accounts,
            "identities": accounts,
            "product": PRODUCT,
            "env": session.env_name,
            "tag": session.tag,
            "scopes": None if session.scopes is None else list(session.scopes),
            "data": session.data and json.loads(session.data),
            "error": None,
            "account_in_a": account if in_a else None,
            "identifier_in_a_web": identifier if in_a and session.tag == "web" else None,
            "scope": scoped,
            "scope_in_b": scoped and not in_a,
            "account_rows": [int(account[-1])] if account and in_a else None,
            "connected_rows": rows or None,
        }

    def expected_verdict(self, client, token):
        session, reason = self.model.verdict(client, token)
        return {
            "valid": session is not None,
            "reason": reason,
            "v_session_id": session and session.id,
            "v_data": session and session.data and json.loads(session.data),
            "v_scopes": list(session.scopes) if session and session.scopes is not None else None,
        }

    # What to do it with

    def any_token(self):
        """Mostly a recent one, of whomever; committed or not, dead or alive."""
        if not self.pool or self.random.random() < 0.05:
            return self.random.choice(RUBBISH)
        token = self.random.choice(self.pool)
        # The stored form of a user's token; of the opaque ones it is none.
        return f"web:{token}" if self.random.random() < 0.1 else token

    def any_session(self, client, *kinds, living=True):
        """A recent session that the client sees; nobody else is changing it."""
        for _ in range(4):
            if not self.pool:
                return None
            token = self.random.choice(self.pool)
            session = self.model.get(client, ("session", self.model.tokens[token][0]))
            if session is None or session.kind not in (kinds or ("user", "account", "client")):
                continue
            if living and not self.lives(client, session):
                continue
            if self.take(client, ("session", session.id)):
                return session
        return None

    def lives(self, client, session):
        probe = [t for t, (id, _) in self.model.tokens.items() if id == session.id]
        return any(self.model.verdict(client, token)[0] for token in probe)

    def take(self, client, *locks):
        if not self.model.free(client, *locks):
            return False
        self.model.lock(client, *locks)
        return True

    def active_key(self, client, purpose):
        return next(
            kid
            for kid, (of, state) in self.model.all(client, "key").items()
            if (of, state) == (purpose, "active")
        )

    def remember(self, client, token, session):
        """A new token of a session, made with the active key."""
        purpose = "jwt" if session.kind == "user" else "token"
        self.model.tokens[token] = (session.id, self.active_key(client, purpose))
        self.pool.append(token)

    def tidy(self):
        """Forgets what is of long ago, but for what somebody presents or has changed."""
        model, clients = self.model, self.model.clients
        presented = {t for c in clients for t in (c.token, c.lasting_token)}
        layers = [layer for c in clients for layer in c.layers]
        presented |= {t for layer in layers for t in (layer.token, layer.lasting_token)}
        kept = {t.removeprefix("web:") for t in presented} | set(self.pool[-TOKENS_IN_PLAY:])
        self.pool = [token for token in self.pool if token in kept]
        model.tokens = {token: model.tokens[token] for token in self.pool}
        wanted = {id for id, _ in model.tokens.values()}
        changed = {fact[1] for layer in layers for fact in layer.facts}
        for fact in [*model.committed]:
            forgotten = fact[0] == "session" and fact[1] not in wanted
            gone = model.committed[fact] is None
            if (forgotten or gone) and fact[1] not in changed:
                del model.committed[fact]
