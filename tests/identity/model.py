"""What must be visible, in plain Python: committed facts, and what each transaction changed.

The helpers read the latest committed state and the transaction's own changes, at every isolation
level. So a fact is looked up in the transaction's layers, one a savepoint, and then among what is
committed. Two transactions never change the same: the generator asks `free` first.
"""

from dataclasses import dataclass, field, replace
from uuid import UUID


@dataclass(frozen=True)
class Session:
    """A session. `revoked` is the reason that a verdict gives; env and definition are numbers of ours."""

    id: UUID
    kind: str
    subject: str | None
    env: int
    env_name: str
    definition: int | None = None
    tag: str | None = None
    data: str | None = None
    seal_key: str | None = None
    # (token, key that made it), oldest first.
    refresh_tokens: tuple = ()
    scopes: tuple | None = None
    accounts: tuple | None = None
    revoked: str | None = None
    expired: bool = False


@dataclass
class Layer:
    """What was changed since a savepoint, and the presented token when it was made."""

    name: str
    token: str
    lasting_token: str
    facts: dict = field(default_factory=dict)


@dataclass
class Client:
    """A connection: its transaction, if any, and the token that it presents."""

    number: int
    token: str = ""
    # What stays when the transaction ends: SET, not SET LOCAL.
    lasting_token: str = ""
    layers: list = field(default_factory=list)
    read_only: bool = False
    # REPEATABLE READ or SERIALIZABLE.
    old_snapshot: bool = False
    aborted: bool = False
    savepoints: int = 0
    locks: set = field(default_factory=set)

    @property
    def in_transaction(self):
        return bool(self.layers)

    def set_token(self, token, local):
        if not local:
            self.lasting_token = token
        # A local one lasts as long as the transaction.
        if not local or self.in_transaction:
            self.token = token


class Model:
    """Facts are `("session", id)` → Session, `("env", name)` and `("definition", tag)` → a number,
    `("key", kid)` → (purpose, state); None where there is none."""

    def __init__(self, clients):
        self.committed = {}
        self.clients = [Client(number) for number in range(clients)]
        # Token → (session id, key that made it). A token stays authentic whatever is rolled back.
        self.tokens = {}

    # Facts

    def get(self, client, fact):
        for layer in reversed(client.layers):
            if fact in layer.facts:
                return layer.facts[fact]
        return self.committed.get(fact)

    def set(self, client, fact, now):
        where = client.layers[-1].facts if client.layers else self.committed
        where[fact] = now

    def all(self, client, kind):
        """What there is of a kind, by name."""
        # In the order in which they were made, so that a seed repeats itself.
        facts = dict.fromkeys(fact for fact in self.committed if fact[0] == kind)
        for layer in client.layers:
            facts.update(dict.fromkeys(fact for fact in layer.facts if fact[0] == kind))
        found = {fact[1]: self.get(client, fact) for fact in facts}
        return {name: what for name, what in found.items() if what is not None}

    def change(self, client, session, **changes):
        self.set(client, ("session", session.id), replace(session, **changes))

    def revoke(self, client, reason, meant):
        """Revokes the living ones that are meant; returns how many."""
        meant = [
            session
            for session in self.all(client, "session").values()
            if session.revoked is None and not session.expired and meant(session)
        ]
        for session in meant:
            self.change(client, session, revoked=reason)
        return len(meant)

    # Transactions

    def begin(self, client, read_only, old_snapshot):
        client.layers = [Layer("", client.token, client.lasting_token)]
        client.read_only, client.old_snapshot = read_only, old_snapshot

    def savepoint(self, client):
        client.savepoints += 1
        name = f"s{client.savepoints}"
        client.layers.append(Layer(name, client.token, client.lasting_token))
        return name

    def rollback_to(self, client, depth):
        layer = client.layers[depth]
        del client.layers[depth + 1 :]
        layer.facts = {}
        client.token, client.lasting_token = layer.token, layer.lasting_token
        client.aborted = False

    def release(self, client, depth):
        released = client.layers[depth:]
        del client.layers[depth:]
        for layer in released:
            client.layers[-1].facts.update(layer.facts)

    def commit(self, client):
        for layer in client.layers:
            self.committed.update(layer.facts)
        self._end(client)
        client.token = client.lasting_token

    def rollback(self, client):
        first = client.layers[0]
        client.token, client.lasting_token = first.lasting_token, first.lasting_token
        self._end(client)

    def _end(self, client):
        client.layers, client.locks = [], set()
        client.aborted = client.read_only = client.old_snapshot = False

    # Who waits for whom

    def free(self, client, *locks):
        """Whether nobody else has locked any of these."""
        return all(
            other is client or not self._meet(lock, held)
            for other in self.clients
            for held in other.locks
            for lock in locks
        )

    @staticmethod
    def _meet(one, other):
        """`("all", kind)` meets every lock of the kind."""
        if one[0] == "all" or other[0] == "all":
            kinds = {
                one[1] if one[0] == "all" else one[0],
                other[1] if other[0] == "all" else other[0],
            }
            return len(kinds) == 1
        return one == other

    def lock(self, client, *locks):
        """Kept until the transaction ends, rolled back to a savepoint or not."""
        if client.in_transaction:
            client.locks.update(locks)

    # Verdicts

    def verdict(self, client, token):
        """The living session of a token, or None and the reason why there is none."""
        id, kid = self.tokens.get(token.removeprefix("web:"), (None, None))
        session = self.get(client, ("session", id))
        if session is None or not self.good_key(client, kid):
            return None, "invalid"
        if token.startswith("web:") and session.tag != "web":
            return None, "invalid"
        homeless = self.get(client, ("env", session.env_name)) != session.env or (
            session.tag and self.get(client, ("definition", session.tag)) != session.definition
        )
        if session.revoked or homeless:
            return None, session.revoked or "revoked"
        if session.expired:
            return None, "expired"
        return session, None

    def good_key(self, client, kid):
        key = self.get(client, ("key", kid))
        return key is not None and key[1] != "revoked"
