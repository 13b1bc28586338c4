"""Tables with rows of many tenants, which policies show to the session of the presented token only."""

import uuid
from dataclasses import dataclass, field

from support.service import Shop, call

# Acts for the tenants: may read the tables, and is subject to their policies.
READER = "tenant_reader"

# Which table a kind of session reads; each has ROWS rows a tenant.
KINDS = ("user", "account", "client")
# Where the sessions of each kind are.
TABLES = {"user": "dialstack.sessions", "account": "dialstack.sessions", "client": "dialstack.client_sessions"}
ROWS = 5

_TABLES = """
CREATE SCHEMA tenants;
CREATE TABLE tenants.by_user (owner text NOT NULL, key text NOT NULL);
CREATE TABLE tenants.by_account (owner text NOT NULL, key text NOT NULL);
CREATE TABLE tenants.by_client (owner text NOT NULL, key uuid NOT NULL);
GRANT USAGE ON SCHEMA tenants TO {reader};
GRANT SELECT ON ALL TABLES IN SCHEMA tenants TO {reader};
ALTER TABLE tenants.by_user ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants.by_account ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants.by_client ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tenants.by_user
    USING (key = (SELECT dialstack.current_identifier('{product}', '{env}', '{tag}')));
CREATE POLICY own ON tenants.by_account
    USING (key = (SELECT dialstack.current_account('{product}', '{env}')));
CREATE POLICY own ON tenants.by_client
    USING (key = ANY ((SELECT dialstack.current_connected_accounts('{product}', '{env}'))::uuid[]));
"""


@dataclass
class Tenant:
    """A tenant and its living sessions: the ids and the tokens, by kind."""

    name: str
    account: uuid.UUID = field(default_factory=uuid.uuid4)
    sessions: dict = field(default_factory=dict)
    tokens: dict = field(default_factory=dict)
    refresh_token: str = ""

    def key(self, kind):
        """What its rows are found by."""
        return str(self.account) if kind == "client" else self.name


class Tenants:
    """The tables in a connection's database, with the extension created there already."""

    def __init__(self, connection, count, role=READER):
        self.shop = Shop.make(connection)
        self.role = role
        connection.execute(f"CREATE ROLE {role} LOGIN")
        call(connection, "grant_access", role=role, access="client")
        connection.execute(_TABLES.format(reader=role, **self.shop.place))
        self.all = [self.add(connection, f"tenant-{n}") for n in range(count)]
        connection.execute("ANALYZE tenants.by_user, tenants.by_account, tenants.by_client")

    def add(self, connection, name):
        """One more tenant."""
        tenant = Tenant(name)
        for kind in KINDS:
            connection.execute(
                f"INSERT INTO tenants.by_{kind} SELECT %s, %s FROM generate_series(1, {ROWS})",
                [name, tenant.key(kind)],
            )
        place = self.shop.home
        user = self.shop.create(connection, name)
        account = call(connection, "account_session_create", account=name, **place)
        client = call(
            connection,
            "client_session_create",
            user_identifier_key=name,
            connected_account_ids=[tenant.account],
            **place,
        )
        tenant.refresh_token = user.refresh_token
        tenant.tokens = dict(zip(KINDS, (user.token, account.client_secret, client.token)))
        for kind, token in tenant.tokens.items():
            tenant.sessions[kind] = call(connection, "session_verify", token=token).session_id
        return tenant


def owners(connection, kind):
    """Whose rows a connection sees, one by one."""
    return [row.owner for row in connection.execute(f"SELECT owner FROM tenants.by_{kind}")]
