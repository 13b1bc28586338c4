"""Many clients who share few connections: each transaction is somebody else's, and much goes wrong."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from psycopg import errors
from support.tenants import KINDS, READER, ROWS

_TOKEN = "dialstack_sessions.token"


class Client:
    """One client of the pooler. Compares whatever it reads with what it may see."""

    def __init__(self, pooler, tenants, seed, scope="LOCAL"):
        self._pooler, self._tenants = pooler, tenants
        self._random = random.Random(seed)
        self._scope = scope
        self._connection = pooler.connect(READER)
        self._who, self._kind, self._in_transaction = None, None, False
        self.counts, self.wrong, self.servers = Counter(), [], set()

    def run(self, reads):
        try:
            while self.counts["reads"] < reads and not self.wrong:
                self._transaction()
        finally:
            # One that fails must not keep a connection that the others wait for.
            self._connection.close()
        return self

    def _do(self, statement):
        return self._connection.execute(statement)

    def _transaction(self):
        ending = self._random.choices(
            ["commit", "rollback", "error", "refusal", "death", "outside"], [75, 10, 5, 4, 2, 4]
        )[0]
        self.counts[ending] += 1
        self._who, self._kind, self._in_transaction = None, None, ending != "outside"
        if not self._in_transaction:
            self._read()
            return
        self._do("BEGIN")
        try:
            self._inside()
            if ending == "error":
                self._do("SELECT 1 / 0")
            if ending == "refusal":
                self._do("SELECT * FROM dialstack.session_use('nonsense')")
        except (errors.DivisionByZero, errors.InsufficientPrivilege):
            ending = "rollback"
        except errors.InvalidSqlStatementName:
            self._do("ROLLBACK")
            self._prepare()
            return
        if ending == "death":
            self._connection.close()
            self._connection = self._pooler.connect(READER)
        else:
            self._do(ending)

    def _prepare(self):
        """Prepares in a connection to the server that has no statements yet. They stay in it."""
        try:
            self._do("BEGIN")
            for kind in KINDS:
                self._do(f"PREPARE by_{kind} AS SELECT owner FROM tenants.by_{kind}")
            self._do("COMMIT")
            self.counts["prepared"] += 1
        except errors.DuplicatePreparedStatement:
            # Another client did, or this is another connection.
            self._do("ROLLBACK")

    def _inside(self):
        if self._random.random() < 0.9:
            self._present(self._somebody())
        for _ in range(self._random.randint(1, 5)):
            step = self._random.random()
            if step < 0.05:
                self._present(self._somebody())
            elif step < 0.1:
                self._nested()
            self._read()
        if self._random.random() < 0.02:
            self.servers.add(self._do("SELECT pg_backend_pid() AS pid").fetchone().pid)

    def _nested(self):
        """As somebody else for the length of a savepoint."""
        outer = self._who, self._kind
        self._do("SAVEPOINT nested")
        self._present(self._somebody())
        self._read()
        self._do("ROLLBACK TO SAVEPOINT nested")
        self._who, self._kind = outer

    def _somebody(self):
        """A tenant and a kind of its sessions; the tenant's name, or that of nobody, and the token."""
        kind = self._random.choice(KINDS)
        chance = self._random.random()
        if chance < 0.05:
            return None, kind, self._tenants.dead.tokens[kind]
        tenant = self._random.choice(self._tenants.all)
        if chance < 0.1:
            return None, kind, tenant.tokens[kind][:-4]
        return tenant.name, kind, tenant.tokens[kind]

    def _present(self, somebody):
        who, kind, token = somebody
        if who and self._scope == "LOCAL" and self._random.random() < 0.3:
            self._do(f"SELECT * FROM dialstack.session_use('{token}')")
        else:
            self._do(f"SET {self._scope} {_TOKEN} = '{token}'")
        self._who, self._kind = who, kind

    def _read(self):
        kind = self._kind if self._random.random() < 0.8 else self._random.choice(KINDS)
        kind = kind or "user"
        if self._in_transaction and self._random.random() < 0.2:
            rows = self._do(f"EXECUTE by_{kind}")
        else:
            rows = self._do(f"SELECT owner FROM tenants.by_{kind}")
        seen = [row.owner for row in rows]
        self.counts["reads"] += 1
        self.counts["rows"] += len(seen)
        if seen != self._expected(kind):
            self.wrong.append((self._who, self._kind, kind, seen))

    def _expected(self, kind):
        return [self._who] * ROWS if self._who and kind == self._kind else []


def run(pooler, tenants, clients, reads, **options):
    """Lets so many clients read so often in all, and returns them."""
    made = [Client(pooler, tenants, seed, **options) for seed in range(clients)]
    with ThreadPoolExecutor(clients) as executor:
        return list(executor.map(lambda client: client.run(reads // clients), made))
