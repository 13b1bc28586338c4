"""What an administrator may do next, by function and by direct write."""

from places import ENVS, PRODUCT, ROLE, TAGS, definition

KEYS_OF_A_PURPOSE = 4


def table_of(session):
    return "dialstack.client_sessions" if session.kind == "client" else "dialstack.sessions"


class Upkeep:
    """More actions of a Player."""

    # Direct writes of an administrator in psql

    def _direct_write(self, client, statement):
        """Whether the row was changed: an old snapshot may not show it."""
        cursor = self.run(client, f"RESET ROLE; {statement}; SET ROLE {ROLE}")
        cursor.nextset()
        assert cursor.rowcount == 1 or client.in_transaction
        return cursor.rowcount == 1

    def expire_directly(self, client):
        session = self.any_session(client)
        if session is None:
            return False
        if self._direct_write(
            client,
            f"UPDATE {table_of(session)} SET expires_at = '2020-01-01' "
            f"WHERE session_id = '{session.id}'",
        ):
            self.model.change(client, session, expired=True)

    def delete_directly(self, client):
        session = self.any_session(client, living=False)
        if session is None:
            return False
        if self._direct_write(
            client, f"DELETE FROM {table_of(session)} WHERE session_id = '{session.id}'"
        ):
            self.model.set(client, ("session", session.id), None)

    # Environments, definitions, keys

    def _delete(self, client, kind, name, function, **arguments):
        number = self.model.get(client, (kind, name))
        locks = [("all", "creates"), ("all", "session"), ("all", "user"), (kind, name)]
        if number is None or not self.take(client, *locks):
            return False
        self.call(client, function, product=PRODUCT, **arguments)
        self.model.revoke(client, "revoked", lambda s: getattr(s, kind) == number)
        self.model.set(client, (kind, name), None)

    def env_delete(self, client):
        env = self.random.choice(ENVS)
        return self._delete(client, "env", env, "env_delete", env=env)

    def definition_delete(self, client):
        tag = self.random.choice(TAGS)
        return self._delete(client, "definition", tag, "definition_delete", tag=tag)

    def env_create(self, client):
        env = self.random.choice(ENVS)
        if self.model.get(client, ("env", env)) or not self.take(client, ("env", env)):
            return False
        self.call(client, "env_create", product=PRODUCT, env=env)
        self.model.set(client, ("env", env), next(self.numbers))

    def definition_create(self, client):
        tag = self.random.choice(TAGS)
        fact = ("definition", tag)
        if self.model.get(client, fact) or not self.take(client, fact):
            return False
        self.call(client, "definition_create", **definition(tag))
        self.model.set(client, fact, next(self.numbers))

    def _keys(self, client, purpose):
        keys = self.model.all(client, "key").items()
        return {kid: state for kid, (of, state) in keys if of == purpose and state != "revoked"}

    def key_rotate(self, client):
        purpose = self.random.choice(("jwt", "jwt", "seal", "token"))
        if len(self._keys(client, purpose)) >= KEYS_OF_A_PURPOSE:
            return False
        if not self.take(client, ("keys", 0)):
            return False
        key = self.call(client, "signing_key_rotate", purpose=purpose)
        self._activate(client, purpose, key.kid)

    def _activate(self, client, purpose, kid):
        self.model.set(client, ("key", self.active_key(client, purpose)), (purpose, "retired"))
        self.model.set(client, ("key", kid), (purpose, "active"))

    def key_revoke(self, client):
        purpose = self.random.choice(("jwt", "jwt", "seal", "token"))
        if not self.take(client, ("keys", 0), ("all", "session"), ("all", "creates")):
            return False
        kid = self.random.choice([*self._keys(client, purpose)])
        # One that is active gets a successor first.
        active = kid == self.active_key(client, purpose)
        self.call(client, "signing_key_revoke", kid=kid)
        if active:
            (successor,) = self.run(
                client,
                "SELECT kid FROM dialstack.signing_key_list() "
                "WHERE purpose = %s AND state = 'active'",
                [purpose],
            ).fetchone()
            self._activate(client, purpose, successor)
        self.model.set(client, ("key", kid), (purpose, "revoked"))
        # What only that key could open is lost, and its sessions with it.
        self.model.revoke(client, "revoked", lambda session: session.seal_key == kid)

    def instance_reset(self, client):
        kinds = ("creates", "session", "user", "env", "definition", "keys")
        if not self.take(client, *(("all", kind) for kind in kinds)):
            return False
        self.call(client, "instance_reset")
        self.model.revoke(client, "revoked", lambda s: True)
        for kid, _ in self.model.all(client, "key").items():
            self.model.set(client, ("key", kid), None)
        self.adopt_keys(client)
