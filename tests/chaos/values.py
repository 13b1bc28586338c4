"""Random values for the arguments of a function, by their names and types: good ones, good ones that were
changed, and rubbish."""

import json
import uuid

PRODUCT, ENVS, TAG = "chaos", ("production", "staging"), "web"

RUBBISH = (
    "", " ", "'", '"', "\\", "%s", "$1", "../..", "ﷺ" * 50, "\u202e", "😀", "a" * 5000, "null", "-1",
    "'; DROP TABLE x; --", "e30.e30.e30", "web:e30.e30.e30", "rt_live_AAAA", "cs_test_AAAA", "cst_live_", "sk_live_x",
)  # fmt: skip

NAMED = {
    "product": (PRODUCT,),
    "env": ENVS,
    "tag": (TAG,),
    "kind": ("secret", "publishable"),
    "purpose": ("jwt", "seal", "token"),
    "alg": ("HS256", "EdDSA", "ES256"),
    "group_by": ("hour", "day", "week", "month"),
    "time_zone": ("Europe/Berlin", "UTC", "Nowhere/Land"),
    "scope": ("call_logs", "voicemails", "fax"),
    "identifier": ("ann", "bob", "eve"),
    "account": ("acct_1", "acct_2"),
    "access": ("admin", "server", "client"),
    "period": ("minutes", "hours", "days"),
    "expiry": (1, 15),
    "selector": ("$Session{userId}",),
    "per_page": (1, 20),
    "page": (1, 2),
    "batch": (1, 100),
}

DOCUMENTS = (
    {"userId": "ann"},
    {"userId": "eve", "plan": [1, {"a": None}]},
    {"userId": {"type": "string", "required": True}},
    {"call_logs": {"enabled": True}},
    {"expiry": 2},
    {"userId": 1e300},
    [],
    [[[[[[]]]]]],
    "x",
    {"userId": "x" * 4000},
)


def changed(random, token):
    """The token with one change."""
    at = random.randrange(len(token))
    return random.choice((
        token[:at] + random.choice("Ab9_-.=% ") + token[at + 1 :],
        token[:at],
        token[:at] + token[at + 1 :],
        token + random.choice("A.= "),
        token[at:] + token[:at],
    ))


class Values:
    """What a player draws its arguments from."""

    def __init__(self, random):
        self.random = random
        self.tokens, self.ids = ["e30.e30.e30"], [uuid.UUID(int=0)]

    def text(self, name):
        if self.random.random() < 0.1:
            return self.random.choice(RUBBISH)
        if name in NAMED:
            return str(self.random.choice(NAMED[name]))
        token = self.random.choice(self.tokens)
        return changed(self.random, token) if self.random.random() < 0.3 else token

    def draw(self, name, kind):
        """A value, as text that the server reads as this type, or None."""
        random = self.random
        if random.random() < 0.08:
            return None
        if kind.endswith("[]"):
            parts = [self.draw(name, kind[:-2]) for _ in range(random.randrange(4))]
            return "{" + ",".join('"%s"' % str(p).replace("\\", "").replace('"', "") for p in parts) + "}"
        return {
            "text": lambda: self.text(name).replace("\0", ""),
            "name": lambda: random.choice(("account", "ctid", "nowhere")),
            "uuid": lambda: str(random.choice((random.choice(self.ids), uuid.UUID(int=random.getrandbits(128))))),
            "jsonb": lambda: json.dumps(random.choice(DOCUMENTS)),
            "integer": lambda: str(random.choice(NAMED.get(name, (0, 1, -1, 2**31 - 1)))),
            "bigint": lambda: str(random.choice((0, 1, -1, 2**63 - 1))),
            "boolean": lambda: random.choice(("true", "false")),
            "interval": lambda: random.choice(("1 hour", "-1 day", "100 years", "30 days", "0", "999999999 years")),
            "timestamp with time zone": lambda: random.choice(
                ("now", "yesterday", "2020-01-01", "infinity", "294000-01-01", "4714-01-01 BC")
            ),
            "inet": lambda: random.choice(("10.0.0.1", "::1", "10.0.0.0/8")),
            "regclass": lambda: random.choice(("chaos.orders", "pg_class", "dialstack.sessions")),
            "regrole": lambda: "chaos_nobody",
        }.get(kind, lambda: "x")()
