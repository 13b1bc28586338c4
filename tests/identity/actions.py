"""What a connection may do next. Each action is done in the database and in the model; one that is
not possible now answers False, and nothing was done."""

import json

import psycopg
from model import Session
from places import ENVS, PRODUCT, SCOPES, TAGS, TENANTS
from psycopg import sql
from world import uuid

# How often, relative to each other.
READ_ONLY = {
    "set_token": 8, "session_use": 8, "session_clear": 1, "reset": 1, "error": 1, "savepoint": 7,
    "rollback_to": 7, "release": 3, "commit": 6, "rollback": 3,
}  # fmt: skip

ANYTIME = {
    **READ_ONLY, "begin": 14, "create_account": 4, "create_client": 4, "create_user": 4,
    "session_end": 2, "session_revoke": 2, "session_revoke_all": 2, "client_session_revoke": 2,
    "client_session_delete": 1, "grant": 4, "update_data": 3, "extend": 1, "refresh": 5,
    "reuse": 5, "expire_directly": 1, "delete_directly": 1, "env_delete": 2, "env_create": 5,
    "definition_delete": 1, "definition_create": 5, "key_rotate": 1,
    "key_revoke": 1, "instance_reset": 0.1,
}  # fmt: skip

ISOLATION = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


class Actions:
    """The actions of a Player, which has the model, the connections and the dice."""

    # Presenting a token

    def set_token(self, client):
        token = self.any_token()
        local = self.random.random() < 0.6
        statement = "SET LOCAL {} TO {}" if local else "SET {} TO {}"
        name = sql.Identifier("dialstack_sessions", "token")
        self.run(client, sql.SQL(statement).format(name, sql.Literal(token)))
        client.set_token(token, local)

    def session_use(self, client):
        token = self.any_token()
        local = self.random.random() < 0.6
        session, reason = self.model.verdict(client, token)
        statement = "SELECT * FROM dialstack.session_use(%s, %s)"
        if session is None:
            failure = self.fails(
                client, psycopg.errors.InsufficientPrivilege, statement, [token, local]
            )
            assert failure.diag.message_detail == f"reason: {reason}"
            return
        assert self.run(client, statement, [token, local]).fetchone().session_id == session.id
        client.set_token(token, local)

    def session_clear(self, client):
        self.call(client, "session_clear")
        client.set_token("", local=False)

    def reset(self, client):
        self.run(client, "RESET dialstack_sessions.token")
        client.set_token("", local=False)

    # Transactions

    def begin(self, client):
        if client.in_transaction:
            return False
        level = self.random.choice(ISOLATION)
        read_only = self.random.random() < 0.2
        mode = "READ ONLY" if read_only else "READ WRITE"
        self.run(client, f"BEGIN ISOLATION LEVEL {level} {mode}")
        self.model.begin(client, read_only, old_snapshot=level != "READ COMMITTED")

    def savepoint(self, client):
        if not client.in_transaction or len(client.layers) > 5:
            return False
        self.run(client, f"SAVEPOINT {self.model.savepoint(client)}")

    def rollback_to(self, client):
        if len(client.layers) < 2:
            return False
        depth = self.random.randrange(1, len(client.layers))
        self.run(client, f"ROLLBACK TO SAVEPOINT {client.layers[depth].name}")
        self.model.rollback_to(client, depth)

    def release(self, client):
        if len(client.layers) < 2:
            return False
        depth = self.random.randrange(1, len(client.layers))
        self.run(client, f"RELEASE SAVEPOINT {client.layers[depth].name}")
        self.model.release(client, depth)

    def commit(self, client):
        if not client.in_transaction:
            return False
        self.run(client, "COMMIT")
        self.model.commit(client)

    def rollback(self, client):
        if not client.in_transaction:
            return False
        self.run(client, "ROLLBACK")
        self.model.rollback(client)

    def error(self, client):
        self.fails(client, psycopg.errors.DivisionByZero, "SELECT 1/0")

    # Creating

    def _place(self, client, *names):
        """An environment (and a definition) that the client sees, and that nobody is deleting."""
        if not self.take(client, ("creates", client.number)):
            return None
        numbers = [self.model.get(client, name) for name in names]
        return numbers if None not in numbers else None

    def create_account(self, client):
        env, n = self.random.choice(ENVS), self.random.choice(TENANTS)
        place = self._place(client, ("env", env))
        if place is None:
            return False
        scopes = self.random.sample(SCOPES, self.random.randrange(1, 3))
        made = self.call(
            client, "account_session_create", account=f"acct_{n}", product=PRODUCT, env=env,
            components=json.dumps({scope: {"enabled": True} for scope in scopes}),
        )  # fmt: skip
        self._created(client, made.client_secret, "account", f"acct_{n}", env, place, scopes=scopes)

    def create_client(self, client):
        env = self.random.choice(ENVS)
        place = self._place(client, ("env", env))
        if place is None:
            return False
        accounts = self.random.sample(TENANTS, self.random.randrange(0, 3))
        ids = [uuid(n) for n in accounts]
        key = f"key_{next(self.numbers)}" if self.random.random() < 0.5 else None
        made = self.call(
            client, "client_session_create", user_identifier_key=key, product=PRODUCT, env=env,
            connected_account_ids=ids, user_identity_ids=ids,
        )  # fmt: skip
        self._created(client, made.token, "client", key, env, place, accounts=accounts)

    def create_user(self, client):
        env, tag = self.random.choice(ENVS), self.random.choice(TAGS)
        n = self.random.choice(TENANTS)
        if not self.model.free(client, ("user", (env, tag, n))):
            return False
        place = self._place(client, ("env", env), ("definition", tag))
        if place is None:
            return False
        self.model.lock(client, ("user", (env, tag, n)))
        data = json.dumps({"userId": f"user_{n}", "n": next(self.numbers)})
        made = self.call(client, "session_start", product=PRODUCT, env=env, tag=tag, data=data)
        key = self.active_key(client, "token")
        self._created(
            client, made.token, "user", f"user_{n}", env, place, tag=tag, data=data,
            seal_key=self.active_key(client, "seal"), refresh_tokens=((made.refresh_token, key),),
        )  # fmt: skip

    def _created(self, client, token, kind, subject, env, place, **more):
        id = self.run(
            client, "SELECT session_id FROM dialstack.session_verify(%s)", [token]
        ).fetchone()[0]
        for name in ("scopes", "accounts"):
            if name in more:
                # As stored: scopes in the order of their names.
                more[name] = tuple(sorted(more[name]) if name == "scopes" else more[name])
        session = Session(
            id=id, kind=kind, subject=subject, env=place[0], env_name=env,
            definition=place[1] if len(place) > 1 else None, **more,
        )  # fmt: skip
        self.model.set(client, ("session", session.id), session)
        self.model.lock(client, ("session", session.id))
        self.remember(client, token, session)

    # Ending

    def session_end(self, client):
        session, reason = self.model.verdict(client, client.token)
        id, _ = self.model.tokens.get(client.token.removeprefix("web:"), (None, None))
        if session is None and reason == "invalid":
            self.fails(
                client, psycopg.errors.InsufficientPrivilege,
                "SELECT dialstack.session_end()",
            )  # fmt: skip
            return
        if (session or reason == "expired") and not self.take(client, ("session", id)):
            return False
        assert self.call(client, "session_end")[0] == (1 if session else 0)
        if session:
            self.model.change(client, session, revoked="revoked")

    def session_revoke(self, client):
        session = self.any_session(client, "user")
        if session is None:
            return False
        assert (
            self.call(client, "session_revoke", **self._of(session), session_id=session.id)[0] == 1
        )
        self.model.change(client, session, revoked="revoked")

    @staticmethod
    def _of(session):
        return {"product": PRODUCT, "env": session.env_name, "tag": session.tag}

    def session_revoke_all(self, client):
        env, tag = self.random.choice(ENVS), self.random.choice(TAGS)
        n = self.random.choice(TENANTS)
        locks = [("user", (env, tag, n)), ("all", "session")]
        if not self.model.free(client, *locks):
            return False
        place = self._place(client, ("env", env), ("definition", tag))
        if place is None:
            return False
        self.model.lock(client, *locks)
        self.call(
            client, "session_revoke_all", product=PRODUCT, env=env, tag=tag, identifier=f"user_{n}"
        )
        self.model.revoke(
            client,
            "revoked",
            lambda s: (s.env, s.definition, s.subject) == (*place, f"user_{n}"),
        )

    def client_session_revoke(self, client):
        session = self.any_session(client, "client")
        if session is None:
            return False
        self._client(client, "client_session_revoke", session)
        self.model.change(client, session, revoked="revoked")

    def client_session_delete(self, client):
        session = self.any_session(client, "client")
        if session is None:
            return False
        self._client(client, "client_session_delete", session)
        self.model.set(client, ("session", session.id), None)

    def _client(self, client, function, session, **more):
        return self.call(
            client, function, client_session_id=session.id, product=PRODUCT, env=session.env_name,
            **more,
        )  # fmt: skip

    # Changing

    def grant(self, client):
        session = self.any_session(client, "client")
        if session is None:
            return False
        more = self.random.sample(TENANTS, self.random.randrange(1, 3))
        ids = [uuid(n) for n in more]
        self._client(
            client, "client_session_grant_access", session,
            connected_account_ids=ids, user_identity_ids=ids,
        )  # fmt: skip
        added = tuple(n for n in more if n not in session.accounts)
        self.model.change(client, session, accounts=session.accounts + added)

    def update_data(self, client):
        session = self.any_session(client, "user")
        if session is None:
            return False
        data = json.dumps({"userId": session.subject, "n": next(self.numbers)})
        self.call(client, "session_update_data", session_id=session.id, data=data)
        self.model.change(client, session, data=data, seal_key=self.active_key(client, "seal"))

    def extend(self, client):
        session = self.any_session(client, "user")
        if session is None:
            return False
        self.run(
            client, "SELECT * FROM dialstack.session_extend(%s, interval '1 day')", [session.id]
        )

    def refresh(self, client):
        session = self.any_session(client, "user")
        if session is None:
            return False
        token, key = session.refresh_tokens[-1]
        if not self.model.good_key(client, key):
            return False
        made = self.call(client, "session_refresh", refresh_token=token)
        assert (made.ok, made.session_id) == (True, session.id)
        again = (made.refresh_token, self.active_key(client, "token"))
        self.model.change(client, session, refresh_tokens=(*session.refresh_tokens, again))
        self.remember(client, made.token, session)

    def reuse(self, client):
        """A refresh token of the last but one generation: somebody has copied it."""
        session = self.any_session(client, "user")
        if session is None or len(session.refresh_tokens) < 3:
            return False
        token, key = session.refresh_tokens[-3]
        if not self.model.good_key(client, key):
            return False
        assert self.call(client, "session_refresh", refresh_token=token).reason == "reused"
        self.model.change(client, session, revoked="reused")
