"""Sessions live through an upgrade: under the old tables the new library does what it did, and after
ALTER EXTENSION … UPDATE tokens, lists and dashboards go on as if nothing had happened."""

import json
import random
from collections import Counter
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone

import naive
import pytest
from frozen import OLDER, UPDATE
from history import ENVS, Writer, age
from support import service
from support.formats import SEALED, Ring, unb64
from support.service import REPEATABLE_READ, call, value
from test_exact import check, check_any, clock

OF_DASHBOARD = "SELECT dialstack.session_dashboard(%s, %s, start_at => now() - interval '80 days')"


@pytest.mark.parametrize("version", OLDER)
def test_tokens_live_on(version, database):
    # Given the moment of every package upgrade: the new library under the old functions
    admin = database("live", version)
    shop = service.Shop.make(admin, reuse_interval="0 seconds")
    session = shop.create(admin, "user_1", note="kept")
    refreshed = shop.create(admin, "user_1")
    first = service.refresh(admin, refreshed.refresh_token)
    dead, stolen = shop.create(admin, "user_2"), shop.create(admin, "user_2")
    assert shop.revoke(admin, dead.session_id) == 1
    assert service.refresh(admin, stolen.refresh_token).ok
    assert service.refresh(admin, stolen.refresh_token).reason == "reused"
    call(admin, "session_extend", session_id=session.session_id, by=timedelta(days=1))
    call(admin, "session_update_data", session_id=session.session_id, data='{"userId": "user_1", "a": 1}')
    assert service.verify(admin, session.token).valid
    assert service.info(admin, dead.session_id).revoke_reason == "revoked"
    assert shop.living(admin, "user_1") == {session.session_id, refreshed.session_id}
    keys = admin.execute("SELECT * FROM dialstack.signing_key_list()").fetchall()
    assert len(keys) == 3
    call(admin, "signing_key_rotate", purpose="jwt")
    known = admin.execute("SELECT * FROM dialstack.sessions ORDER BY session_id").fetchall()

    admin.execute(UPDATE)

    # Then here and in a new connection
    with service.connect(dbname="live") as other:
        for connection in (admin, other):
            verdict = service.verify(connection, session.token)
            assert (verdict.valid, verdict.identifier) == (True, "user_1")
            assert verdict.data == {"userId": "user_1", "a": 1}
            assert service.verify(connection, first.token).valid
            assert service.verify(connection, dead.token).reason == "revoked"
            assert service.verify(connection, stolen.token).reason == "reused"
        assert admin.execute("SELECT * FROM dialstack.sessions ORDER BY session_id").fetchall() == known
        assert service.refresh(other, first.refresh_token).ok
        assert service.refresh(admin, session.refresh_token).ok
        assert service.refresh(other, refreshed.refresh_token).reason == "reused"
        assert service.verify(admin, first.token).reason == "reused"
        assert shop.revoke_all(other, "user_1") == 1
        assert service.verify(admin, session.token).reason == "revoked"
    assert shop.create(admin, "user_1").token


# As the libraries before 0.2.0 sealed it, and as it is shown.
OF_TEXT = '{"n":[1.10,{"é":" "}],"userId":"user_1"}'
SHOWN = '{"n": [1.10, {"é": " "}], "userId": "user_1"}'
TEXT_OF_DATA = "SELECT data::text FROM dialstack.session_verify(%s)"


@pytest.mark.parametrize("version", OLDER)
def test_data_that_an_old_library_sealed_lives_on(version, database):
    # Given a session as the old library stored it
    admin = database("live", version)
    shop = service.Shop.make(admin)
    session, ring = shop.create(admin, "user_1"), Ring(admin)
    ring.put_sealed(admin, session.session_id, OF_TEXT.encode())
    assert value(admin, TEXT_OF_DATA, session.token) == SHOWN

    admin.execute(UPDATE)

    # Then it is shown
    assert value(admin, TEXT_OF_DATA, session.token) == SHOWN
    details = call(admin, "session_user_details", product=shop.product, tag=shop.tag, identifier="user_1")
    assert details.session_user_details["latestSessionData"] == json.loads(SHOWN)
    # Goes into new tokens, and stays as it is
    token = service.refresh(admin, session.refresh_token).token
    assert value(admin, TEXT_OF_DATA, token) == SHOWN
    claims = json.loads(unb64(token.split(".")[1]))
    assert ring.open_dat(claims["dat"]).decode() == OF_TEXT
    assert ring.sealed_of(admin, session.session_id) == OF_TEXT.encode()
    # Until it is replaced
    call(admin, "session_update_data", session_id=session.session_id, data=SHOWN)
    assert ring.sealed_of(admin, session.session_id).startswith(SEALED)
    assert value(admin, TEXT_OF_DATA, token) == SHOWN


@pytest.mark.parametrize("version", OLDER)
def test_old_tokens_show_rows(version, database, role):
    admin = database("live", version)
    shop = service.Shop.make(admin)
    tokens = {user: shop.create(admin, user).token for user in ("ann", "bob")}

    admin.execute(UPDATE)

    admin.execute(
        "CREATE TABLE public.orders (id int, of_user text);"
        "INSERT INTO public.orders VALUES (1, 'ann'), (2, 'bob'), (3, 'bob')"
    )
    call(
        admin, "protect_table", relation="public.orders", column_name="of_user",
        product=shop.product, env=shop.env, by="identifier",
    )
    admin.execute(f"GRANT SELECT ON public.orders TO {role}; SELECT dialstack.grant_access('{role}', 'client')")
    with service.connect(dbname="live", user=role) as app:
        seen = "SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM public.orders"
        assert value(app, seen) == []
        for user, rows in (("ann", [1]), ("bob", [2, 3])):
            call(app, "session_use", token=tokens[user], is_local=False)
            assert value(app, "SELECT dialstack.current_identifier()") == user
            assert value(app, seen) == rows
    admin.execute(f"SELECT dialstack.revoke_access('{role}', 'client'); DROP OWNED BY {role}")


def lists(connection, place):
    """What the lists of a definition in one environment say."""
    sessions = connection.execute(
        "SELECT session_id, identifier, active, total FROM dialstack.session_list("
        "%(product)s, %(env)s, %(tag)s, per_page => 1000, active_only => false)",
        place,
    )
    users = connection.execute(
        "SELECT identifier, first_seen, total_sessions, active_sessions "
        "FROM dialstack.session_users(%(product)s, %(tag)s, %(env)s, per_page => 1000)",
        place,
    )
    return sorted(sessions.fetchall()), sorted(users.fetchall())


def naive_lists(tables, now):
    """What they have to say at the moment `now`."""
    living = {s.session_id: s.revoked_at is None and s.expires_at > now for s in tables.sessions}
    sessions = [(s.session_id, s.subject, living[s.session_id], len(living)) for s in tables.sessions]
    per_user = Counter(s.subject for s in tables.sessions if living[s.session_id])
    users = [
        (u.identifier, u.first_seen, u.total_sessions, per_user[u.identifier])
        for u in tables.users
    ]
    return sorted(sessions), sorted(users)


def check_lists(reader, shop):
    """In one snapshot; where time that passes matters, once more. See check."""
    for env in ENVS:
        for _ in range(20):
            with reader.transaction():
                tables = naive.Tables.read(reader, shop, env)
                before = clock(reader)
                found = lists(reader, {**shop.place, "env": env})
                after = clock(reader)
            expected = naive_lists(tables, before)
            if expected == naive_lists(tables, after):
                assert found == expected
                break
        else:
            raise AssertionError("no two moments are alike")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("version", OLDER)
def test_lists_and_dashboards_are_right(version, seed, database):
    chance = random.Random(seed)
    with ExitStack() as stack:

        def connect(**options):
            return stack.enter_context(service.connect(dbname="live", **options))

        # Given a random history under the old tables, whose sessions are of all ages
        admin = database("live", version)
        shop = service.Shop.make(
            admin, expiry=2, period="seconds", refresh_expiry=3, refresh_period="seconds",
            max_sessions=3, reuse_interval="0.05 seconds", log_verify=True,
        )
        call(admin, "env_create", product=shop.product, env="staging", live=False)
        writers = [Writer(connect(), shop, f"w{n}", chance) for n in range(4)]
        for _ in range(160):
            chance.choice(writers).step()
        for writer in writers:
            writer.finish()
            for user in writer.users:
                if chance.random() < 0.7:
                    by = timedelta(seconds=chance.randrange(5_000_000))
                    age(admin, user, by, ends=False)
        # And one month that somebody emptied
        admin.execute("DELETE FROM dialstack.activity WHERE subject = %s", [writers[0].users[0]])
        reader = connect(isolation=REPEATABLE_READ)

        admin.execute(UPDATE)

        check_lists(reader, shop)
        for _ in range(3):
            check_any(reader, shop, chance)
        # Then the connections of before go on, before and amid maintenance
        for _ in range(60):
            chance.choice(writers).step()
        check_any(reader, shop, chance)
        call(admin, "maintain", batch=7)
        for _ in range(30):
            chance.choice(writers).step()
        for writer in writers:
            writer.finish()
        check_any(reader, shop, chance)
        call(admin, "maintain")
        for _ in range(3):
            check_any(reader, shop, chance)
        check_lists(reader, shop)


@pytest.mark.parametrize("version", OLDER)
def test_maintenance_after_it_changes_nothing_that_is_seen(version, database):
    admin = database("live", version)
    shop = service.Shop.make(admin)
    for user in ("ann", "ann", "bob", "eve"):
        session = shop.create(admin, user)
    service.refresh(admin, session.refresh_token)
    shop.revoke_all(admin, "bob")
    admin.execute(UPDATE)
    before = value(admin, OF_DASHBOARD, shop.product, shop.tag)
    assert (before["totalSessions"], before["activeSessions"], before["revokedSessions"]) == (4, 3, 1)
    assert (before["totalUsers"], before["activeUsers"], before["inactiveUsers"]) == (3, 2, 1)

    done = call(admin, "maintain").maintain

    assert done["activity_rolled_up"] == 6 and not done["more"]
    assert value(admin, OF_DASHBOARD, shop.product, shop.tag) == before
    with service.connect(dbname="live", isolation=REPEATABLE_READ) as reader:
        now = datetime.now(timezone.utc)
        check(reader, shop, None, naive.Zone("UTC", "day"), now - timedelta(days=3), now)


@pytest.mark.parametrize("version", OLDER)
def test_verifying_goes_on_meanwhile_and_the_rest_waits(version, database):
    admin = database("live", version)
    shop = service.Shop.make(admin)
    session, other = shop.create(admin), shop.create(admin)
    with ExitStack() as stack:
        verifier, creator, refresher = (
            stack.enter_context(service.connect(dbname="live")) for _ in range(3)
        )
        # The creator has its statements planned for the old tables.
        shop.create(creator, "before")
        with admin.transaction():
            admin.execute(UPDATE)
            assert service.verify(verifier, session.token).valid
            waiting = [
                service.Background(shop.create, creator, "meanwhile"),
                service.Background(service.refresh, refresher, other.refresh_token),
            ]
            for connection in (creator, refresher):
                service.await_lock(verifier, connection)
            assert service.verify(verifier, session.token).valid
        made, refreshed = [one.result() for one in waiting]
        assert service.verify(verifier, made.token).valid and refreshed.ok
        # What waited was done with the new tables in mind: the dashboard misses nothing.
        reader = stack.enter_context(service.connect(dbname="live", isolation=REPEATABLE_READ))
        now = datetime.now(timezone.utc)
        check(reader, shop, None, naive.Zone("UTC", "day"), now - timedelta(days=3), now)
