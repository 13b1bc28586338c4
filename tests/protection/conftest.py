"""A table of an application's, and the roles around it."""

import itertools

import pytest
from support.service import call, present, value

_numbers = itertools.count(1)


class Landlord:
    """A role without rights beside access `admin`, which owns a schema and what is in it."""

    def __init__(self, admin, shop):
        self.admin, self.shop = admin, shop
        self.role = self.schema = f"landlord_{next(_numbers)}"
        admin.execute(f"CREATE ROLE {self.role}; CREATE SCHEMA {self.schema} AUTHORIZATION {self.role}")
        call(admin, "grant_access", role=self.role, access="admin")

    def table(self, name="orders", columns="id int, account text", rows="(1, 'blue'), (2, 'red')"):
        table = f"{self.schema}.{name}"
        self.admin.execute(f"CREATE TABLE {table} ({columns})")
        self.admin.execute(f"INSERT INTO {table} VALUES {rows}")
        self.admin.execute(f"ALTER TABLE {table} OWNER TO {self.role}")
        return table

    def protect(self, connection, table, column="account", **more):
        arguments = {**self.shop.home, **more}
        return call(connection, "protect_table", relation=table, column_name=column, **arguments)

    def policies(self, table):
        """Names and conditions, written with every name qualified that is not the server's."""
        with self.admin.transaction():
            self.admin.execute("SET LOCAL search_path = pg_catalog")
            rows = self.admin.execute(
                "SELECT polname, pg_get_expr(polqual, polrelid) FROM pg_policy "
                "WHERE polrelid = %s::regclass ORDER BY 1",
                [table],
            ).fetchall()
        return dict(rows)

    def registered(self, table):
        return self.admin.execute(
            "SELECT k ->> 'column' AS column, k ->> 'env' AS env, k ->> 'by' AS by, k ->> 'scope' AS scope "
            "FROM pg_policy p, CAST(obj_description(p.oid, 'pg_policy') AS jsonb) AS k "
            "WHERE polrelid = %s::regclass AND polname = 'dialstack_sessions_access'",
            [table],
        ).fetchall()

    def leave(self):
        # Whatever was tried, it is still nobody.
        query = "SELECT rolsuper OR rolcreaterole OR rolbypassrls FROM pg_roles WHERE rolname = %s"
        assert not value(self.admin, query, self.role)
        self.admin.execute(f"DROP OWNED BY {self.role} CASCADE; DROP ROLE {self.role}")


@pytest.fixture
def landlord(admin, shop):
    landlord = Landlord(admin, shop)
    yield landlord
    landlord.leave()


@pytest.fixture
def as_landlord(connect, landlord):
    """Opens connections that act as the owner."""

    def open_one(**options):
        connection = connect(**options)
        connection.execute(f"SET ROLE {landlord.role}")
        return connection

    return open_one


@pytest.fixture
def tenant(connect, admin, landlord):
    """Asks, with a token, as a role that may query the owner's tables and has access `client`."""
    role = f"{landlord.role}_tenant"
    admin.execute(f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA {landlord.schema} TO {role}")
    call(admin, "grant_access", role=role, access="client")
    connection = connect()
    connection.execute(f"SET ROLE {role}")
    granted = set()

    def ids(account, table):
        if table not in granted:
            admin.execute(f"GRANT SELECT ON {table} TO {role}")
            granted.add(table)
        place = landlord.shop.home
        token = call(admin, "account_session_create", account=account, **place).client_secret
        with connection.transaction():
            present(connection, token)
            return {row.id for row in connection.execute(f"SELECT id FROM {table}")}

    yield ids
    connection.close()
    admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
