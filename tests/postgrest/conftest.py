import json
from contextlib import contextmanager

import psycopg
import pytest
from support import service
from support.service import call
from support.tenants import Tenants

# Connects, and may become either of the others; of its own it may do nothing.
AUTHENTICATOR = "authenticator"
# Who sends no JWT; and whose JWT says so: the role of the tag of a definition.
ANONYMOUS, MEMBER = "web_anon", "web"


@pytest.fixture(scope="session")
def tenants(installed):
    with service.connect() as connection:
        tenants = Tenants(connection, 3, role=MEMBER)
        connection.execute(f"ALTER ROLE {MEMBER} NOLOGIN")
        connection.execute(f"CREATE ROLE {ANONYMOUS} NOLOGIN")
        call(connection, "grant_access", role=ANONYMOUS, access="client")
        connection.execute(
            f"GRANT USAGE ON SCHEMA tenants TO {ANONYMOUS};"
            f"GRANT SELECT ON ALL TABLES IN SCHEMA tenants TO {ANONYMOUS};"
            f"CREATE ROLE {AUTHENTICATOR} LOGIN NOINHERIT;"
            f"GRANT {ANONYMOUS}, {MEMBER} TO {AUTHENTICATOR}"
        )
    return tenants


@pytest.fixture
def authenticator(tenants, connect):
    return connect(user=AUTHENTICATOR)


@contextmanager
def requesting(connection, headers, role=ANONYMOUS, mode="READ ONLY"):
    """A request as PostgREST makes it: a transaction, its settings, the function before it."""
    with connection.transaction():
        connection.execute(f"SET TRANSACTION {mode}")
        settings = {
            "search_path": '"tenants", "public"',
            "role": role,
            "request.jwt.claims": json.dumps({"role": role}),
            "request.method": "GET",
            "request.path": "/by_user",
            "request.headers": headers if isinstance(headers, str) else json.dumps(headers),
            "request.cookies": "{}",
        }
        each = ", ".join(f"set_config(%s, %s, true) AS n{n}" for n in range(len(settings)))
        connection.execute(f"SELECT {each}", [word for pair in settings.items() for word in pair])
        connection.execute("SELECT dialstack.postgrest_pre_request()")
        yield connection


@contextmanager
def unauthorized():
    """What is done here ends with the error that PostgREST answers with 401."""
    with pytest.raises(psycopg.DatabaseError, match="^VERIFY_FAILED") as refused:
        yield refused
    assert refused.value.sqlstate == "PT401"


def bearer(token, scheme="Bearer"):
    return {"host": "localhost:3000", "authorization": f"{scheme} {token}"}
