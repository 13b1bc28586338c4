"""What a database holds and answers before the upgrade."""

import json
from uuid import UUID

from support.service import Shop, call, refresh, value

# The connected account of the client session, and how many devices it has.
ACCOUNT, DEVICES = UUID(int=7), 3
# Figures that do not depend on the day.
FIGURES = (
    *("totalSessions", "activeSessions", "revokedSessions", "expiredSessions", "totalUsers", "activeUsers"),
    *("averageSessionDuration", "averageSessionsPerUser", "environmentBreakdown", "successRate", "errorRate"),
)

_TABLES = """
    CREATE ROLE app_server LOGIN; CREATE ROLE app_client LOGIN; CREATE ROLE billing LOGIN;
    CREATE TABLE orders (id int, owner text);
    INSERT INTO orders SELECT n, 'user-' || n % 3 FROM generate_series(1, 9) n;
    CREATE TABLE devices (id int, account uuid);
    INSERT INTO devices SELECT n, '{account}' FROM generate_series(1, {devices}) n;
    INSERT INTO devices VALUES (99, '{other}');
    CREATE TABLE users (id text PRIMARY KEY, password_hash text);
    INSERT INTO users VALUES ('user-0', 'a'), ('user-1', 'b'), ('erin', 'c'), ('frank', 'd');
    GRANT SELECT ON orders, devices TO app_client, billing;
    CREATE TABLE notes (id int);
    INSERT INTO notes VALUES (1);
    GRANT SELECT ON notes TO app_client;
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    CREATE POLICY known ON notes USING ((SELECT dialstack.current_identifier('{product}', '{env}', '{tag}')) = 'user-0');
"""


def answers(connection, shop):
    """What the database says of itself, as text: it must be the same afterwards."""
    queries = {
        "definitions": "SELECT * FROM dialstack.definition_list(product => %(product)s)",
        "environments": "SELECT * FROM dialstack.env_list(%(product)s)",
        "scopes": "SELECT * FROM dialstack.scope_list(product => %(product)s)",
        "API keys": "SELECT * FROM dialstack.api_key_list(product => %(product)s, env => %(env)s)",
        "signing keys": "SELECT * FROM dialstack.signing_key_list()",
        "jwks": "SELECT dialstack.jwks()",
        "issuer": "SELECT dialstack.issuer()",
        "access": "SELECT * FROM dialstack.access_list()",
        "lint": "SELECT * FROM dialstack.policy_lint()",
    }
    for view in connection.execute("SELECT viewname AS name FROM pg_views WHERE schemaname = 'dialstack'").fetchall():
        # Ages differ at each look.
        ages = "'{active_seconds,expires_in_seconds}'::text[]"
        queries[view.name] = f"SELECT to_jsonb(v) - {ages} FROM dialstack.{view.name} v"
    return {
        what: sorted(str(tuple(row)) for row in connection.execute(query, shop.place))
        for what, query in queries.items()
    }


def figures(connection, shop):
    """The figures of the dashboard, and those of one user."""
    of = {"product": shop.product, "tag": shop.tag}
    dashboard = call(connection, "session_dashboard", **of)[0]
    of_user = call(connection, "session_user_dashboard", **shop.place, identifier="user-0")[0]
    return {key: dashboard[key] for key in FIGURES} | {"totalLogs": of_user["totalLogs"]}


class Before:
    def __init__(self, cluster):
        cluster.create_database("app")
        # One where nothing was ever done.
        cluster.create_database("bare")
        with cluster.connect("bare") as connection:
            connection.execute("CREATE EXTENSION dialstack_sessions")
        with cluster.connect("app") as connection:
            connection.execute("CREATE EXTENSION dialstack_sessions")
            self._fill(connection)

    def _fill(self, admin):
        self.shop = shop = Shop.make(admin, log_verify=True)
        self.place = place = shop.home
        admin.execute(_TABLES.format(account=ACCOUNT, devices=DEVICES, other=UUID(int=8), **shop.place))
        call(admin, "grant_access", role="app_server", access="server")
        call(admin, "grant_access", role="app_client", access="client")
        by_identifier = {"by": "identifier", "tag": shop.tag, "open_to": "{billing}"}
        call(admin, "protect_table", relation="orders", column_name="owner", **place, **by_identifier)
        by_account = {"by": "connected_account", "device": True}
        call(admin, "protect_table", relation="devices", column_name="account", **place, **by_account)
        watched = {"identifier_column": "id", "columns": "{password_hash}", "tag": shop.tag}
        call(admin, "revoke_sessions_on", relation="users", **place, **watched)

        first = [shop.create(admin, f"user-{n}", note="private") for n in range(3)]
        # Some keys are older than the keys of today, and some of what is below is of today's.
        call(admin, "signing_key_rotate", purpose="jwt", alg="EdDSA")
        call(admin, "signing_key_rotate", purpose="token")
        self.living, self.refreshed, self.stolen = first
        # The steps of the stolen one that were taken already.
        self.spent = self.stolen.refresh_token
        self.refreshed = refresh(admin, self.refreshed.refresh_token)
        self.stolen = refresh(admin, refresh(admin, self.stolen.refresh_token).refresh_token)
        self.dead = shop.create(admin, "user-0")
        shop.revoke(admin, self.dead.session_id)
        self.erin, self.frank = shop.create(admin, "erin"), shop.create(admin, "frank")
        components = json.dumps({"call_logs": {"enabled": True}})
        self.account = call(admin, "account_session_create", account="acct_1", components=components, **place)
        self.client = call(admin, "client_session_create", connected_account_ids=[ACCOUNT], **place)
        self.api_key = call(admin, "api_key_create", **place, name="a key").api_key
        self.revoked_key = call(admin, "api_key_create", **place)
        call(admin, "api_key_revoke", api_key_id=self.revoked_key.api_key_id)
        self.revoked_key = self.revoked_key.api_key

        # Rolled up before, and activity that only the new server will roll up.
        value(admin, "SELECT dialstack.maintain()")
        self.rolled_up = value(admin, "SELECT xid FROM dialstack.rollup_state")
        call(admin, "session_verify", token=self.living.token)
        shop.create(admin, "user-1")
        self.answers, self.figures = answers(admin, shop), figures(admin, shop)
