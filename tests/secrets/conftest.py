"""A server that writes everything down, and a tour of all functions on it."""

import base64
import json
import re
import time
from uuid import uuid4

import psycopg
import pytest
from support import service, tour
from support.cluster import Cluster

# Marks what the client itself sends, with all its parameters: that is the client's to answer for.
MARK = "/* by the client */"

# Label, SQLSTATE and process of a line begin it: log_line_prefix is '%m [%p] %e '.
LINE = re.compile(r"^\d{4}-\d\d-\d\d \S+ \S+ \[(?P<pid>\d+)\] (?P<state>\w{5}) (?P<label>[A-Z0-9]+):  ")
OF_THE_ONE_BEFORE = {"DETAIL", "HINT", "CONTEXT", "STATEMENT", "QUERY", "LOCATION", "BACKTRACE"}


def entries(text):
    """The entries of a server log, each with the lines that belong to it."""
    entries, latest = [], {}
    for line in text.splitlines():
        begin = LINE.match(line)
        if not begin:
            if entries:
                latest["line"].append(line)
            continue
        if begin["label"] in OF_THE_ONE_BEFORE and begin["pid"] in latest:
            latest["line"] = latest[begin["pid"]]
            latest["line"].append(line)
        else:
            latest["line"] = latest[begin["pid"]] = [line]
            entries.append(latest["line"])
    return ["\n".join(lines) for lines in entries]


def spellings(secret):
    """A secret as it may be written: as it is, as bytea, in base64; without its prefix too."""
    if isinstance(secret, bytes):
        yield secret.hex()
        yield base64.b64encode(secret).decode()
        yield base64.urlsafe_b64encode(secret).decode().rstrip("=")
        return
    yield secret
    yield secret.encode().hex()
    if re.match(r"[a-z]+_(live|test)_", secret):
        yield secret[len(secret.split("_")[0]) + 6 :]


class Secrets:
    """What must not be found, with what each is."""

    def __init__(self):
        self.known = {}

    def add(self, what, secret):
        for spelling in spellings(secret):
            self.known.setdefault(spelling, what)

    def found_in(self, text):
        return {what for secret, what in self.known.items() if secret in text}


class Guide:
    """Takes the tour with bound parameters, and keeps all that came back as message or error."""

    def __init__(self, connection):
        self.connection = connection
        self.messages = []
        connection.add_notice_handler(lambda notice: self.messages.append(_told(notice)))

    def call(self, function, **arguments):
        name = function.partition("/")[0]
        named = ", ".join(f"{name} => %({name})s" for name in arguments)
        try:
            return self.connection.execute(
                f"{MARK} SELECT * FROM dialstack.{name}({named})", arguments
            ).fetchone()
        except psycopg.Error as error:
            self.messages.append(_told(error.diag))
            return None


def _told(diagnostic):
    fields = ("message_primary", "message_detail", "message_hint", "context", "internal_query")
    return "\n".join(filter(None, (getattr(diagnostic, field) for field in fields)))


class Toured:
    """Everything that was written while the tour went on, and what must not be in it."""

    def __init__(self):
        self.cluster = Cluster.given()
        self.everything, self.only_ours = Secrets(), Secrets()
        with service.connect() as admin:
            admin.execute("CREATE EXTENSION IF NOT EXISTS dialstack_sessions")
            self.modules = service.value(admin, "SHOW shared_preload_libraries")
            if "pg_stat_statements" in self.modules:
                admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            admin.execute("CREATE ROLE tourist")
            tour.prepare(admin)
            self._roots(admin)
            with service.connect() as connection:
                guide = Guide(connection)
                self._tour(guide, admin)
                self._show_again(guide)
                self._fail(guide, admin)
                self.activity = "\n".join(
                    row.query for row in admin.execute("SELECT query FROM pg_stat_activity")
                )
            self._roots(admin)
            self.messages = "\n".join(guide.messages)
            self.statements = None
            if "pg_stat_statements" in self.modules:
                self.statements = "\n".join(
                    row.query for row in admin.execute("SELECT query FROM pg_stat_statements")
                )
            self.entries = entries(self._log(admin))

    def _roots(self, admin):
        root = service.value(admin, f"{MARK} SELECT root_key FROM dialstack.instance")
        for secrets in (self.everything, self.only_ours):
            secrets.add("root key", bytes(root))

    def _tour(self, guide, admin):
        """Everything is called; what came out of it, and what went in as data, is secret."""

        def call(function, **arguments):
            row = guide.call(function, **arguments)
            if function == "root_key_rotate":
                self._roots(admin)
            return row

        made = tour.take(call)
        for secret, what in made.secrets.items():
            self.everything.add(what, secret)
        self.everything.add("session data", tour.CANARY)

    def _show_again(self, guide):
        """Values that only the service has said, and no client has ever sent."""
        place = {"product": "shown", "env": "production"}
        guide.call("product_create", product="shown")
        guide.call("env_create", **place)
        key = {"user_identifier_key": f"shown-{uuid4()}"}
        self.everything.add("user_identifier_key", key["user_identifier_key"])
        self.user_identifier_key = key["user_identifier_key"]
        rows = [
            guide.call("client_session_create", **key, **place),
            guide.call("client_session_get_or_create", **key, **place),
            guide.call("client_session_get", **key, **place),
            guide.call("client_session_list", **place),
            guide.call(
                "client_session_grant_access",
                **key,
                connected_account_ids=[tour.ACCOUNT],
                **place,
            ),
        ]
        assert len({row.token for row in rows}) == 1
        self._say("client session token", rows[0].token)
        row = guide.call("account_session_create", account="a", **place)
        self._say("client secret", row.client_secret)
        for kind in ("secret", "publishable"):
            row = guide.call("api_key_create", **place, kind=kind)
            self._say("API key", row.api_key)
        guide.call("definition_create", product="shown", tag="web", name="Web", description="",
                   schema='{"userId": "u"}', selector="$Session{userId}", expiry=1, period="hours", reuse_interval="0")
        row = guide.call("session_create", **place, tag="web", data='{"userId": "u"}')
        self._say("access token", row.token)
        first = row.refresh_token
        row = guide.call("session_refresh", refresh_token=first)
        self._say("access token", row.token)
        self._say("refresh token", row.refresh_token)
        self.everything.add("refresh token", first)
        guide.call("session_refresh", refresh_token=first)

    def _say(self, what, secret):
        self.everything.add(what, secret)
        self.only_ours.add(what, secret)

    def _fail(self, guide, admin):
        """Errors of each kind, with a secret among their parameters."""
        place = {"product": "shown", "env": "production"}
        secret = {"userId": "u", "note": tour.CANARY}
        token = guide.call("account_session_create", account="a", **place).client_secret
        key = guide.call("api_key_create", **place, kind="publishable").api_key
        self.everything.add("client secret", token)
        self.everything.add("API key", key)
        guide.call("session_require", token=token, scope="nope")
        guide.call("session_require", token=token[:-1])
        guide.call("session_refresh", refresh_token=token)
        guide.call("session_create", **place, tag="web", data=json.dumps({**secret, "userId": 5}))
        guide.call("session_create", **place, tag="web", data=json.dumps([secret]))
        guide.call("session_create", **place, tag="web", data=json.dumps(secret)[:-1])
        guide.call("session_create", **place, tag="web", data=json.dumps({**secret, "x": "x" * 4000}))
        guide.call("session_create", **place, tag="nope", data=json.dumps(secret))
        guide.call("client_session_get", client_session_id=token)
        guide.call("client_session_create", user_identifier_key="", **place)
        guide.call("product_create", product=token)
        guide.call("account_session_create", account=token * 10, **place)
        connection = guide.connection
        for presented in (key, token, key[:-1]):
            connection.execute(
                f"{MARK} SELECT set_config('dialstack_sessions.api_key', %s, false)", [presented]
            )
            guide.call("client_session_list")
            guide.call("account_session_create", account="a")
        connection.execute("RESET dialstack_sessions.api_key")
        connection.execute(
            f"{MARK} SELECT set_config('dialstack_sessions.token', %s, false)", [token]
        )
        guide.call("client_session_get")
        connection.execute("RESET dialstack_sessions.token")

    def _log(self, admin):
        """The server's log, once it has written what was said before."""
        end = f"the end {time.time_ns()}"
        admin.execute(f"DO $$ BEGIN RAISE LOG '{end}'; END $$")
        deadline = time.monotonic() + service.PATIENCE
        while True:
            text = self.cluster.log_text()
            if end in text:
                return text
            assert time.monotonic() < deadline, "waited in vain for the server's log"
            time.sleep(0.05)


@pytest.fixture(scope="session")
def toured():
    return Toured()
