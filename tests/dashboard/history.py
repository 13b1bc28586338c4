"""Random histories of user sessions, on several connections whose transactions overlap."""

import json
from datetime import timedelta

from support.service import call, refresh, verify

ENVS = ("production", "staging")


class Writer:
    """A connection that lives through sessions of users of its own, in and out of transactions."""

    def __init__(self, connection, shop, name, random):
        self.connection, self.shop, self.random = connection, shop, random
        self.users = [f"{name}-{number}" for number in range(4)]
        self.tokens = []  # (session id, access token, refresh token), used ones as well
        self.in_transaction = False

    def step(self):
        choice = self.random.random()
        if self.in_transaction and choice < 0.25:
            self.connection.execute("COMMIT" if self.random.random() < 0.7 else "ROLLBACK")
            self.in_transaction = False
        elif not self.in_transaction and choice < 0.12:
            self.connection.execute("BEGIN")
            self.in_transaction = True
        else:
            actions = (
                [self.create] * 5
                + [self.refresh] * 5
                + [self.verify, self.extend, self.revoke, self.revoke_user, self.undone]
            )
            self.random.choice(actions)()

    def finish(self):
        if self.in_transaction:
            self.connection.execute("COMMIT")
            self.in_transaction = False

    def place(self):
        return {**self.shop.place, "env": self.random.choice(ENVS)}

    def create(self):
        data = json.dumps({"userId": self.random.choice(self.users)})
        place = self.place()
        made = call(self.connection, "session_create", **place, data=data)
        self.tokens.append((made.session_id, made.token, made.refresh_token))

    def pick(self):
        return self.random.choice(self.tokens) if self.tokens else (None, "none", "none")

    def refresh(self):
        # Also with tokens that were used before: repeated, or the session is revoked.
        session_id, token, refresh_token = self.pick()
        answer = refresh(self.connection, refresh_token)
        if answer.ok:
            self.tokens.append((session_id, answer.token, answer.refresh_token))

    def verify(self):
        verify(self.connection, self.pick()[1])

    def extend(self):
        # A rollback may have taken it away; the others fail but for being dead, or almost.
        by = timedelta(milliseconds=self.random.randrange(1, 400_000_000))
        self.connection.execute(
            "SELECT dialstack.session_extend(session_id, %s) "
            "FROM dialstack.sessions WHERE session_id = %s "
            "AND revoked_at IS NULL AND expires_at > clock_timestamp() + interval '1 second'",
            [by, self.pick()[0]],
        )

    def revoke(self):
        # A rollback may have taken it away.
        self.connection.execute(
            "SELECT dialstack.session_revoke(session_id => session_id) FROM dialstack.sessions WHERE session_id = %s",
            [self.pick()[0]],
        )

    def revoke_user(self):
        user = self.random.choice(self.users)
        call(self.connection, "session_revoke_all", **self.place(), identifier=user)

    def undone(self):
        with self.connection.transaction(force_rollback=True):
            self.create()
            self.refresh()
        self.tokens = self.tokens[:-1] if self.tokens else []


def age(admin, user, by):
    """Everything that a user has done, as if it were so much earlier; before it is rolled up."""
    admin.execute(
        "UPDATE dialstack.sessions SET created_at = created_at - %(by)s, "
        "expires_at = expires_at - %(by)s, "
        "last_seen_at = last_seen_at - %(by)s, rotated_at = rotated_at - %(by)s, "
        "revoked_at = revoked_at - %(by)s WHERE subject = %(user)s",
        {"user": user, "by": by},
    )
    admin.execute(
        "UPDATE dialstack.activity SET at = at - %(by)s, session_created_at = session_created_at - %(by)s, "
        "expires_before = expires_before - %(by)s, expires_after = expires_after - %(by)s, "
        "month = extract(month FROM (at - %(by)s) AT TIME ZONE 'UTC') WHERE subject = %(user)s",
        {"user": user, "by": by},
    )
    admin.execute(
        "UPDATE dialstack.session_users SET first_seen = first_seen - %(by)s, "
        "last_seen = last_seen - %(by)s WHERE identifier = %(user)s",
        {"user": user, "by": by},
    )
