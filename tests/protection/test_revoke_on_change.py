"""revoke_on_change beside whoever makes sessions, at each isolation level."""

import pytest
from psycopg import errors
from support.levels import LEVELS, OLD_SNAPSHOTS
from support.service import retrying, together, value, verify

@pytest.fixture
def users(admin, shop):
    """A table of users whose sessions end with their password, their row, or the table's rows."""
    table = f'users_{shop.product.replace("-", "_")}'
    place = f"'{shop.product}', '{shop.env}', '{shop.tag}'"
    admin.execute(f"""
        CREATE TABLE {table} (id text PRIMARY KEY, password_hash text);
        CREATE TRIGGER revoke AFTER UPDATE OF password_hash OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION dialstack.revoke_on_change({place}, 'id');
        CREATE TRIGGER revoke_all AFTER TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION dialstack.revoke_on_change({place});
        INSERT INTO {table} SELECT concat('user_', n), 'old' FROM generate_series(1, 20) AS n""")
    yield table
    admin.execute(f"DROP TABLE {table}")


CHANGES = {
    "update": "UPDATE {} SET password_hash = concat(password_hash, 'x') WHERE id = 'user_1'",
    "delete": "DELETE FROM {} WHERE id = 'user_1'",
    "truncate": "TRUNCATE {}",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@LEVELS
def test_others_obey_when_it_commits_and_not_before(admin, connect, shop, users, isolation, change):
    token = shop.create(admin, "user_1").token
    changer = connect(isolation=isolation)
    with changer.transaction():
        changer.execute(change.format(users))
        assert verify(changer, token).reason == "revoked"
        assert verify(admin, token).valid
    assert verify(admin, token).reason == "revoked"


def test_a_session_that_is_being_created_is_waited_for(admin, behind, shop, users):
    delete = lambda connection: connection.execute(CHANGES["delete"].format(users))
    session, waiting = behind(lambda connection: shop.create(connection, "user_1"), delete)
    waiting.result()
    assert verify(admin, session.token).reason == "revoked"


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@OLD_SNAPSHOTS
def test_a_session_that_the_snapshot_does_not_show_is_not_missed(
    admin, connect, shop, users, isolation, change
):
    changer = connect(isolation=isolation)
    with pytest.raises(errors.SerializationFailure):
        with changer.transaction():
            changer.execute("SELECT count(*) FROM dialstack.sessions").fetchone()
            token = shop.create(admin, "user_1").token
            changer.execute(change.format(users))
    assert verify(admin, token).valid
    changer.execute(change.format(users))
    assert verify(admin, token).reason == "revoked"


@LEVELS
def test_no_session_survives_its_user(admin, shop, users, isolation):
    """Creators check that the user is there, under a lock, as an application does."""

    def create(connection):
        tokens = []
        for n in range(40):
            user = f"user_{n % 5 + 1}"

            def once(user=user):
                with connection.transaction():
                    query = f"SELECT 1 FROM {users} WHERE id = %s FOR KEY SHARE"
                    if connection.execute(query, [user]).fetchone():
                        tokens.append((user, shop.create(connection, user).token))

            retrying(once)
        return tokens

    def change(connection):
        for n in range(1, 6):
            for statement in ("UPDATE {} SET password_hash = 'new' WHERE id = %s", "DELETE FROM {} WHERE id = %s"):
                retrying(lambda s=statement, n=n: connection.execute(s.format(users), [f"user_{n}"]))

    *created, _ = together([create, create, create, change], isolation)

    tokens = [token for answers in created for _, token in answers]
    assert [token for token in tokens if verify(admin, token).valid] == []
    assert value(admin, f"SELECT count(*) FROM {users} WHERE id IN ('user_1', 'user_5')") == 0


def test_many_rows_at_once_neither_deadlock_nor_leave_one_alive(admin, shop, users):
    tokens = [shop.create(admin, f"user_{n}").token for n in range(1, 21) for _ in range(2)]

    def even(connection):
        connection.execute(f"DELETE FROM {users} WHERE substr(id, 6)::int %% 2 = 0", [])

    def odd(connection):
        connection.execute(f"UPDATE {users} SET password_hash = 'new' WHERE substr(id, 6)::int %% 2 = 1", [])

    together([even, odd])

    assert {verify(admin, token).reason for token in tokens} == {"revoked"}
