"""A users table that arrives by logical replication revokes where it arrives."""


import pytest
from support.cluster import Cluster
from support.service import until, value, verify

CHANGES = {
    "update": "UPDATE people SET password_hash = 'new' WHERE id = 'ann'",
    "delete": "DELETE FROM people WHERE id = 'ann'",
    "truncate": "TRUNCATE people",
}


@pytest.fixture(scope="module")
def publisher():
    """The server where people change their passwords; the extension is not there."""
    cluster = Cluster.start("publisher", wal_level="logical")
    with cluster.connect() as connection:
        connection.execute("CREATE TABLE people (id text PRIMARY KEY, password_hash text)")
        connection.execute("CREATE PUBLICATION people FOR TABLE people")
        connection.uri = cluster.uri()
        yield connection
    cluster.destroy()


@pytest.fixture(params=["ALWAYS", "REPLICA"])
def subscriber(request, admin, publisher, shop):
    """Receives the table; its triggers also fire for changes that are replicated."""
    place = f"'{shop.product}', '{shop.env}', '{shop.tag}'"
    publisher.execute("INSERT INTO people VALUES ('ann', 'old'), ('bob', 'old')")
    admin.execute(f"""
        CREATE TABLE people (id text PRIMARY KEY, password_hash text);
        CREATE TRIGGER revoke AFTER UPDATE OF password_hash OR DELETE ON people
            FOR EACH ROW EXECUTE FUNCTION dialstack.revoke_on_change({place}, 'id');
        CREATE TRIGGER revoke_all AFTER TRUNCATE ON people
            FOR EACH STATEMENT EXECUTE FUNCTION dialstack.revoke_on_change({place});
        ALTER TABLE people ENABLE {request.param} TRIGGER revoke;
        ALTER TABLE people ENABLE {request.param} TRIGGER revoke_all""")
    admin.execute(f"CREATE SUBSCRIPTION people CONNECTION '{publisher.uri}' PUBLICATION people")
    until(lambda: value(admin, "SELECT count(*) FROM people") == 2, "the first copy")
    query = "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel"
    until(lambda: value(admin, query), "the subscription to follow")
    yield admin
    admin.execute("DROP SUBSCRIPTION people")
    admin.execute("DROP TABLE people")
    publisher.execute("TRUNCATE people")


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_replicated_revokes(subscriber, publisher, connect, shop, change):
    ann, bob = (shop.create(subscriber, user).token for user in ("ann", "bob"))
    # Remembers both, in a connection of its own.
    caller = connect()
    assert verify(caller, ann).valid and verify(caller, bob).valid

    # Not a change of the password.
    publisher.execute("UPDATE people SET id = id")
    publisher.execute(CHANGES[change])

    until(lambda: verify(caller, ann).reason == "revoked", "the change to arrive")
    assert verify(caller, bob).valid == (change != "truncate")
