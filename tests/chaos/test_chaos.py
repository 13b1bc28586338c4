"""No call, however wrong, and no interruption, wherever it comes, breaks a promise."""

import os
import random
import threading
import time
from collections import Counter

import psycopg
from psycopg.pq import TransactionStatus
from support.cluster import Cluster
from support.service import Shop, call, connect, info, refresh, until, value, verify
from values import ENVS, PRODUCT, TAG, Values, changed

SECONDS = float(os.environ.get("DSS_CHAOS_SECONDS", "100"))
SEED = int(os.environ.get("DSS_CHAOS_SEED", "1"))

# Level, how many connections.
PLAYERS = (("admin", 2), ("server", 2), ("client", 2))
CONTENDERS = 3
HONEST = 2

# These would end what the honest clients hold by right.
NOT_CALLED = {"instance_reset", "signing_key_revoke", "revoke_on_change"}

FUNCTIONS = """
    SELECT p.proname AS name, p.pronargs - p.pronargdefaults AS required,
           coalesce(p.proargnames, '{}') AS names,
           ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, n) ORDER BY n) AS types
      FROM pg_proc p
     WHERE p.pronamespace = 'dialstack'::regnamespace AND p.prorettype <> 'trigger'::regtype
       AND has_function_privilege(p.oid, 'EXECUTE') AND p.proname <> ALL (%s)
     ORDER BY p.oid"""

# Each finds rows that break a promise.
INVARIANTS = {
    "a user session without its user": """
        SELECT 1 FROM dialstack.sessions s WHERE definition_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM dialstack.session_users u WHERE (u.env_id, u.definition_id, u.identifier)
                                                      = (s.env_id, s.definition_id, s.subject))""",
    "a user who counts fewer sessions than there are": """
        SELECT 1 FROM dialstack.session_users u JOIN dialstack.sessions s
            ON (u.env_id, u.definition_id, u.identifier) = (s.env_id, s.definition_id, s.subject)
         GROUP BY u.env_id, u.definition_id, u.identifier, u.total_sessions HAVING count(*) > u.total_sessions""",
    "a session that lives without its environment or definition": """
        SELECT s.* FROM dialstack.sessions s WHERE revoked_at IS NULL AND expires_at > now()
           AND (NOT EXISTS (SELECT FROM dialstack.environments e WHERE e.env_id = s.env_id)
                OR definition_id IS NOT NULL AND NOT EXISTS (
                    SELECT FROM dialstack.session_definitions d WHERE d.definition_id = s.definition_id))""",
    "a session whose key is gone": """
        SELECT 1 FROM dialstack.sessions s WHERE revoked_at IS NULL
           AND NOT EXISTS (SELECT FROM dialstack.signing_keys k WHERE k.key_number = s.key_number)""",
    "a session that was not noted once when it was created": """
        SELECT 1 FROM dialstack.sessions s LEFT JOIN dialstack.activity a
            ON a.session_id = s.session_id AND a.operation = 'create'
         GROUP BY s.session_id HAVING count(a.session_id) <> 1""",
    "a key that outlives its environment": """
        SELECT 1 FROM dialstack.api_keys k WHERE revoked_at IS NULL
           AND NOT EXISTS (SELECT FROM dialstack.environments e WHERE e.env_id = k.env_id)""",
    "something that still names an erased user": """
        SELECT 1 FROM (SELECT env_id, definition_id, subject FROM dialstack.activity WHERE definition_id IS NOT NULL
                       UNION ALL SELECT env_id, definition_id, identifier FROM dialstack.rollup_users) a
          JOIN dialstack.environments USING (env_id) JOIN dialstack.session_definitions USING (definition_id)
         WHERE subject IS NOT NULL AND NOT EXISTS (SELECT FROM dialstack.session_users u
                 WHERE (u.env_id, u.definition_id, u.identifier) = (a.env_id, a.definition_id, a.subject))""",
    "figures that count other sessions than live": """
        SELECT coalesce(s.kind, f.kind) AS kind, s.living AS live, f.living AS counted FROM (
            SELECT p.product, e.env, d.tag, s.kind, count(*) AS living
              FROM (SELECT env_id, definition_id, expires_at, revoked_at,
                           CASE WHEN definition_id IS NULL THEN 'account' ELSE 'user' END AS kind FROM dialstack.sessions
                    UNION ALL
                    SELECT env_id, NULL, expires_at, revoked_at, 'client' FROM dialstack.client_sessions) s
              JOIN dialstack.environments e USING (env_id) JOIN dialstack.products p USING (product_id)
              LEFT JOIN dialstack.session_definitions d USING (definition_id)
             WHERE revoked_at IS NULL AND expires_at > now() AND (s.kind <> 'user' OR d.tag IS NOT NULL)
             GROUP BY p.product, e.env, d.tag, s.kind) s
          FULL JOIN dialstack.stat_sessions f ON (f.product, f.env, coalesce(f.tag, ''), f.kind)
                                               = (s.product, s.env, coalesce(s.tag, ''), s.kind)
         WHERE coalesce(s.living, 0) <> coalesce(f.living, 0)""",
    "a purpose without its one active key": """
        SELECT 1 FROM unnest('{jwt,seal,token}'::text[]) p LEFT JOIN dialstack.signing_keys k
            ON k.purpose = p AND k.state = 'active' GROUP BY p HAVING count(k.kid) <> 1""",
}  # fmt: skip


class Client:
    """A connection that is made anew when it was killed, and what it met."""

    def __init__(self, user, seed, stop):
        self.user, self.random, self.stop = user, random.Random(seed), stop
        self.states, self.broken, self.pid, self.connection = Counter(), [], None, None

    def run(self):
        while not self.stop.is_set():
            try:
                if self.connection is None or self.connection.closed:
                    self.connection = connect(user=self.user)
                    self.connection.execute("SET statement_timeout = '3s'; SET lock_timeout = '1s'")
                    self.pid = self.connection.info.backend_pid
                self.step()
                self.states["ok"] += 1
            except psycopg.Error as error:
                state = error.sqlstate or "lost"
                self.states[state] += 1
                # Neither an internal error nor a wrong word about our own tables.
                if state.startswith("XX") or "as it made them" in str(error):
                    self.broken.append(f"{state} {error} of {self.doing}")
            except Exception as error:  # reported by the test's own thread
                self.broken.append(repr(error))
                return
        if self.connection is not None:
            self.connection.close()

    doing = None

    def ask(self, query, *arguments):
        self.doing = query
        return self.connection.execute(query, arguments).fetchall()


class Player(Client):
    """Calls anything with anything."""

    def __init__(self, level, seed, stop, honest):
        super().__init__(f"chaos_{level}", seed, stop)
        self.values, self.honest, self.functions = Values(self.random), honest, None

    def step(self):
        if self.connection.info.transaction_status == TransactionStatus.INERROR:
            self.connection.execute(self.random.choice(("ROLLBACK", "ROLLBACK", "ROLLBACK TO s")))
        self.functions = self.functions or self.ask(FUNCTIONS, list(NOT_CALLED))
        dice = self.random.random()
        if dice < 0.1:
            return self.forge()
        if dice < 0.15:
            return self.statement()
        if dice < 0.2 and self.user == "chaos_admin":
            return set_up(self.connection)
        if dice < 0.4:
            return self.create()
        return self.any_call()

    def statement(self):
        """A step in or out of a transaction, or a token presented."""
        token = self.values.text("token").replace("\0", "")
        isolation = self.random.choice(("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"))
        query, *arguments = self.random.choice((
            (f"BEGIN ISOLATION LEVEL {isolation}",), ("COMMIT",), ("ROLLBACK",), ("SAVEPOINT s",), ("ROLLBACK TO s",),
            ("SELECT set_config('dialstack_sessions.token', %s, true)", token),
            ("SELECT set_config('dialstack_sessions.api_key', %s, true)", token),
            ("RESET ALL",),
        ))  # fmt: skip
        self.doing = query
        self.connection.execute(query, arguments)

    def forge(self):
        """What was changed is never accepted."""
        genuine = self.random.choice([*self.values.tokens, *self.honest.tokens()])
        forged = changed(self.random, genuine).replace("\0", "")
        # A token may carry its tag before it.
        if forged == genuine or forged.endswith(":" + genuine):
            return
        (answer,) = self.ask("SELECT valid FROM dialstack.session_verify(%s)", forged)
        if answer.valid:
            self.broken.append(f"accepted {forged} for {genuine}")

    def create(self):
        """Something that is good, for others to play with."""
        place = f"'{PRODUCT}', '{self.random.choice(ENVS)}'"
        query = self.random.choice((
            f"SELECT * FROM dialstack.session_create({place}, '{TAG}', '{{\"userId\": \"ann\"}}')",
            f"SELECT client_secret FROM dialstack.account_session_create('acct_1', product => '{PRODUCT}', env => 'staging')",
            f"SELECT * FROM dialstack.client_session_create('key', product => '{PRODUCT}', env => 'staging')",
            f"SELECT api_key FROM dialstack.api_key_create({place})",
        ))
        (row,) = self.ask(query)
        for name, made in row._asdict().items():
            if name in ("token", "refresh_token", "client_secret", "api_key") and made:
                self.values.tokens.append(made)
            elif name.endswith("session_id"):
                self.values.ids.append(made)
        del self.values.tokens[1:-40], self.values.ids[1:-40]

    def any_call(self):
        function = self.random.choice(self.functions)
        given = [
            (name, kind, self.values.draw(name, kind))
            for n, (name, kind) in enumerate(zip(function.names, function.types))
            if n < function.required or self.random.random() < 0.7
        ]
        named = ", ".join(f"{name} => %s::{kind}" for name, kind, _ in given)
        self.ask(f"SELECT * FROM dialstack.{function.name}({named}) LIMIT 5", *(drawn for *_, drawn in given))


class Contender(Client):
    """Calls what is good, on few users and environments, in transactions of every isolation level."""

    CALLS = (
        *("session_create('{product}', '{env}', '{tag}', '{{\"userId\": \"{user}\"}}')",) * 4,
        *("account_session_create('acct_1', product => '{product}', env => '{env}', identifier => '{user}')",) * 2,
        "client_session_create('{user}', product => '{product}', env => '{env}')",
        "session_revoke('{product}', identifier => '{user}')",
        "session_revoke_where('{product}', identifier => '{user}', dry_run => false)",
        "account_session_revoke('acct_1', '{product}', '{env}')",
        "user_erase('{product}', '{user}')",
        "user_erase('{product}', '{user}', env => '{env}')",
        "api_key_create('{product}', '{env}')",
        "env_update('{product}', '{env}', live => {live})",
        "env_update('{product}', '{env}', new_name => '{other}')",
        "env_delete('{product}', '{env}')",
        "definition_update('{product}', '{tag}', '{{\"max_sessions\": 3}}')",
        "definition_delete('{product}', '{tag}')",
        "scope_delete('call_logs', '{product}')",
        "maintain(batch => 100)",
        "root_key_rotate()",
    )

    def __init__(self, seed, stop, players):
        super().__init__("chaos_admin", seed, stop)
        self.players = players

    def step(self):
        if self.connection.info.transaction_status != TransactionStatus.IDLE:
            self.connection.execute("ROLLBACK")
        if self.random.random() < 0.2:
            set_up(self.connection)
        isolation = self.random.choice(("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"))
        self.connection.execute(f"BEGIN ISOLATION LEVEL {isolation}")
        for _ in range(self.random.choice((1, 1, 2, 3))):
            if self.random.random() < 0.2:
                token = self.random.choice(self.random.choice(self.players).values.tokens)
                self.ask("SELECT ok FROM dialstack.session_refresh(%s)", token)
                continue
            env, other = self.random.sample(ENVS, 2)
            user, live = self.random.choice(("ann", "bob")), self.random.choice(("true", "false"))
            call = self.random.choice(self.CALLS)
            call = call.format(product=PRODUCT, tag=TAG, env=env, other=other, user=user, live=live)
            self.ask(f"SELECT * FROM dialstack.{call}")
        self.connection.execute(self.random.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK")))


class Honest(Client):
    """Does what applications do, and remembers what it was told."""

    def __init__(self, shop, seed, stop):
        super().__init__("chaos_server", seed, stop)
        self.shop, self.living, self.dead, self.number = shop, {}, {}, 0

    def tokens(self):
        return [session.token for session in list(self.living.values())[-20:]]

    def step(self):
        dice = self.random.random()
        if dice < 0.5 or not self.living:
            self.number += 1
            made = self.shop.create(self.connection, user=f"user-{self.number % 50}")
            self.living[made.session_id] = made
            return
        session_id = self.random.choice(list(self.living))
        session = self.living.pop(session_id)
        if dice < 0.85:
            try:
                stepped = refresh(self.connection, session.refresh_token)
                assert stepped.ok, stepped.reason
                session = stepped
            finally:
                # Where no answer came, the former refresh token is good for another try.
                self.living[session_id] = session
        else:
            # Where no answer came, nobody can say.
            self.shop.revoke(self.connection, session_id)
            self.dead[session_id] = session


def set_up(connection):
    """What the players play with; what is there already stays."""
    for function, arguments in (
        ("product_create", {"product": PRODUCT}),
        *(("env_create", {"product": PRODUCT, "env": env}) for env in ENVS),
        ("definition_create", {"product": PRODUCT, "tag": TAG, "name": "Web", "description": "", "selector": "$Session{userId}",
                               "schema": '{"userId": {"type": "string", "required": true}}', "expiry": 15, "period": "minutes"}),
    ):  # fmt: skip
        try:
            call(connection, function, **arguments)
        except psycopg.errors.InvalidParameterValue:
            pass


def interrupt(clients, stop):
    """Cancels one connection after the other, and kills some."""
    dice = random.Random(SEED)
    with connect() as killer:
        while not stop.wait(0.03):
            function = "pg_terminate_backend" if dice.random() < 0.1 else "pg_cancel_backend"
            killer.execute(f"SELECT {function}(%s)", [dice.choice(clients).pid])


def test_chaos(admin):
    # Given clients of all levels, and honest ones
    admin.execute("CREATE ROLE chaos_nobody; CREATE SCHEMA chaos; CREATE TABLE chaos.orders (account text)")
    for level, _ in PLAYERS:
        admin.execute(f"CREATE ROLE chaos_{level} LOGIN; GRANT USAGE ON SCHEMA chaos TO chaos_{level}")
        call(admin, "grant_access", role=f"chaos_{level}", access=level)
    set_up(admin)
    # A client may come again after a connection was lost in the middle of a refresh, however late.
    shop = Shop.make(admin, reuse_interval="300 seconds")
    stop = threading.Event()
    honest = [Honest(shop, f"{SEED} honest {n}", stop) for n in range(HONEST)]
    players = [
        Player(level, f"{SEED} {level} {n}", stop, honest[n % HONEST]) for level, count in PLAYERS for n in range(count)
    ]

    contenders = [Contender(f"{SEED} contender {n}", stop, players) for n in range(CONTENDERS)]

    # When all work at once, and are interrupted
    clients = [*honest, *players, *contenders]
    threads = [threading.Thread(target=client.run) for client in clients]
    threads.append(threading.Thread(target=interrupt, args=(clients, stop)))
    for thread in threads:
        thread.start()
    time.sleep(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()

    # Then nothing broke
    states = sum((client.states for client in clients), Counter())
    print(sum(states.values()), "calls:", dict(states.most_common()))
    assert [problem for client in clients for problem in client.broken] == []
    assert states["ok"] > 0 and states["57014"] > 0 and states["57P01"] + states["lost"] > 0
    log = Cluster.given().log_text()
    for sign in ("terminated by signal", "PANIC:", "panicked at", "TRAP:"):
        assert sign not in log

    # And what was acknowledged is so
    for client in honest:
        assert len(client.living) > 10 and client.dead
        for session_id, session in client.living.items():
            assert info(admin, session_id).active, session_id
            assert verify(admin, session.token).valid
            assert refresh(admin, session.refresh_token).ok
        for session_id, session in client.dead.items():
            assert verify(admin, session.token).reason == "revoked"
            assert not refresh(admin, session.refresh_token).ok

    # And the tables are sound
    until(lambda: call(admin, "maintain").maintain["activity_waiting"] == 0, "the activity to be counted")
    for what, query in INVARIANTS.items():
        assert admin.execute(query).fetchall() == [], what
    admin.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
    checked = value(
        admin,
        "SELECT count(bt_index_check(c.oid, true)) FROM pg_class c JOIN pg_am a ON a.oid = c.relam"
        " WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind = 'i' AND a.amname = 'btree'",
    )
    assert checked > 10
    corrupt = "SELECT v.* FROM pg_class c, verify_heapam(c.oid) v WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind = 'r'"
    assert admin.execute(corrupt).fetchall() == []
