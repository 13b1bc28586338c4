"""A product whose tenants share tables, each row shown to its owner alone by policies."""

import json
from uuid import UUID

from support.service import READ_COMMITTED, REPEATABLE_READ, SERIALIZABLE, Shop, call

# As a connection's options.
KINDS_OF_TRANSACTION = {
    f"{isolation.name.lower()}{'_read_only' * read_only}": {"isolation": isolation, "read_only": read_only}
    for read_only in (False, True)
    for isolation in (READ_COMMITTED, REPEATABLE_READ, SERIALIZABLE)
}

TENANTS = (1, 2, 3)

NOTHING = frozenset()


def uuid(n):
    """The connected account, or the user identity, of a tenant."""
    return UUID(int=n)


# Each table, what it compares its column with, and the column. {here} is the product and the env.
POLICIES = {
    "of_account": ("account text", "account = (SELECT dialstack.current_account({here}))"),
    "of_account_bare": ("account text", "account = dialstack.current_account({here})"),
    "of_account_scoped": (
        "account text",
        "account = (SELECT dialstack.current_account({here}))"
        " AND (SELECT dialstack.has_scope('voicemails', {here}))",
    ),
    "of_user": ("identifier text", "identifier = (SELECT dialstack.current_identifier({here}))"),
    "of_user_bare": ("identifier text", "identifier = dialstack.current_identifier({here})"),
    "of_connected": (
        "account_id uuid",
        "account_id = ANY ((SELECT dialstack.current_connected_accounts({here}))::uuid[])",
    ),
    "of_connected_bare": (
        "account_id uuid",
        "account_id = ANY (dialstack.current_connected_accounts({here}))",
    ),
    "of_identity": (
        "identity uuid",
        "identity = ANY ((SELECT dialstack.current_user_identities({here}))::uuid[])",
    ),
}


def owner_of_row(column, n):
    """What stands in the column of the tenant's rows."""
    name, type = column.split()
    if type == "uuid":
        return uuid(n)
    return {"account": f"acct_{n}", "identifier": f"user_{n}"}[name]


class World:
    """Tables of a product in a schema of their own, and sessions of its tenants."""

    def __init__(self, admin, readers, **options):
        self.admin = admin
        self.shop = Shop.make(admin, **options)
        self.product, self.env = self.shop.product, self.shop.env
        self.schema = self.shop.product.replace("-", "_")
        admin.execute(f"CREATE SCHEMA {self.schema}")
        admin.execute(f"GRANT USAGE ON SCHEMA {self.schema} TO {readers}")
        statements = [
            self._protected(table, column, condition, readers)
            for table, (column, condition) in POLICIES.items()
        ]
        admin.execute("; ".join(statements))

    @property
    def here(self):
        return f"'{self.product}', '{self.env}'"

    @property
    def place(self):
        return self.shop.home

    def _protected(self, table, column, condition, readers):
        """Makes a table with a row of each tenant, and a policy on it."""
        name = f"{self.schema}.{table}"
        rows = ", ".join(f"({n}, '{owner_of_row(column, n)}')" for n in TENANTS)
        return (
            f"CREATE TABLE {name} (tenant int NOT NULL, {column}); "
            f"INSERT INTO {name} VALUES {rows}; "
            f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY; "
            f"CREATE POLICY owned ON {name} USING ({condition.format(here=self.here)}); "
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {readers}"
        )

    def seen(self, connection):
        """All rows that a connection is shown: pairs of table and tenant."""
        query = " UNION ALL ".join(
            f"SELECT '{table}', tenant FROM {self.schema}.{table}" for table in POLICIES
        )
        return frozenset(tuple(row) for row in connection.execute(query))

    def account_session(self, n=1, *scopes, connection=None, **options):
        """A session for the account of a tenant; the token is its client_secret."""
        components = json.dumps({s: {"enabled": True} for s in scopes}) if scopes else None
        return call(
            connection or self.admin,
            "account_session_create",
            account=f"acct_{n}",
            components=components,
            **{**self.place, **options},
        )

    def client_session(self, *tenants, connection=None, **options):
        """A client session with the connected accounts and the user identities of tenants."""
        ids = [uuid(n) for n in tenants]
        return call(
            connection or self.admin,
            "client_session_create",
            connected_account_ids=ids,
            user_identity_ids=ids,
            **{**self.place, **options},
        )

    def user_session(self, n=1, connection=None, **more):
        """A session of the user of a tenant."""
        return self.shop.create(connection or self.admin, f"user_{n}", **more)

    def token(self, family, n=1):
        """A token of a family for a tenant."""
        if family == "account":
            return self.account_session(n).client_secret
        if family == "client":
            return self.client_session(n).token
        return self.user_session(n).token

    def rows_of(self, family, *tenants):
        """The rows that a good token of that family shows."""
        tables = {
            "account": ("of_account", "of_account_bare", "of_account_scoped"),
            "client": ("of_connected", "of_connected_bare", "of_identity"),
            "user": ("of_user", "of_user_bare"),
        }
        return frozenset((table, n) for table in tables[family] for n in tenants)


FAMILIES = ("account", "client", "user")


def error(connection):
    """Why the presented token is refused."""
    return connection.execute("SELECT dialstack.current_session_error()").fetchone()[0]


def session_id(connection):
    return connection.execute("SELECT dialstack.current_session_id()").fetchone()[0]
