"""maintain() always makes progress, whatever is in its way, and says what that is."""

from contextlib import contextmanager

import pytest
from conftest import maintain
from support.service import call, refresh, value, verify


@pytest.fixture(autouse=True)
def from_nothing(clean, admin):
    # What a run says of the whole day begins anew.
    admin.execute("UPDATE dialstack.rollup_state SET done = NULL")


def record(connection):
    return connection.execute("SELECT * FROM dialstack.stat_maintenance").fetchone()


def test_each_run_keeps_what_it_did_under_a_timeout(admin, connect, shop, past):
    # Given more than can be done within the timeout, a row at a time
    dead = past.dead(15_000)
    shop.create(admin)
    keeper = connect()
    keeper.execute("SET statement_timeout = '2s'")

    # When maintenance runs
    done = maintain(keeper, batch=1)

    # Then it keeps what it did, and the next runs do the rest
    assert done["activity_rolled_up"] > 0
    assert 0 < done["sessions_purged"] == len(dead) - len(past.left(dead))
    while past.left(dead):
        assert maintain(keeper)["sessions_purged"] > 0


@contextmanager
def referencing(admin, table):
    """A table of the application's whose rows reference ours."""
    admin.execute(f"CREATE TABLE public.orders (id uuid REFERENCES dialstack.{table})")
    try:
        yield
    finally:
        admin.execute("DROP TABLE public.orders")


def test_a_session_that_the_application_references_stays_and_the_rest_goes(admin, past):
    with referencing(admin, "sessions"):
        dead = past.dead(100)
        (held, *_) = dead
        admin.execute("INSERT INTO public.orders VALUES (%s)", [held])

        done = maintain(admin)

        assert past.left(dead) == {held}
        assert (done["sessions_purged"], done["sessions_kept"], done["more"]) == (99, 1, False)
        assert done["kept_for"] == ["public.orders"]
        # It is looked at again on the next day; until then every run says so.
        done = maintain(admin)
        assert (done["sessions_purged"], done["sessions_kept"]) == (0, 1)
        assert done["kept_for"] == record(admin).kept_for == ["public.orders"]

    admin.execute("UPDATE dialstack.sessions SET purge_after = purge_after - 1")
    assert maintain(admin)["sessions_purged"] == 1


def test_other_rows_that_the_application_references_stay_too(admin, shop, past):
    dead = past.dead(2)
    keys = [call(admin, "api_key_create", **shop.home).api_key_id for _ in range(3)]
    admin.execute("UPDATE dialstack.api_keys SET revoked_at = now() - interval '40 days'")
    with referencing(admin, "api_keys"):
        admin.execute("INSERT INTO public.orders VALUES (%s)", [keys[0]])
        done = maintain(admin)
        assert (done["api_keys_purged"], done["other_rows_kept"]) == (2, 1)
        assert (done["sessions_purged"], done["sessions_kept"]) == (len(dead), 0)
        assert done["kept_for"] == ["public.orders"]
    assert maintain(admin)["api_keys_purged"] == 1


def test_deferred_triggers_of_the_caller_run_as_the_caller(admin, connect, past):
    """Foreign keys that are checked late are checked at once, and with them whatever else was put off."""
    admin.execute("""
        CREATE ROLE keeper LOGIN;
        SELECT dialstack.grant_access('keeper', 'admin');
        CREATE TABLE public.orders (id uuid REFERENCES dialstack.sessions DEFERRABLE INITIALLY DEFERRED);
        CREATE SCHEMA keepers AUTHORIZATION keeper;
        SET ROLE keeper;
        CREATE TABLE keepers.work (by name);
        CREATE FUNCTION keepers.note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN UPDATE keepers.work SET by = current_user; RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER note AFTER INSERT ON keepers.work DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION keepers.note();
        RESET ROLE""")
    try:
        past.dead(1)
        keeper = connect(user="keeper")
        with keeper.transaction():
            keeper.execute("INSERT INTO keepers.work DEFAULT VALUES")
            assert maintain(keeper)["sessions_purged"] == 1
            assert value(keeper, "SELECT by FROM keepers.work") == "keeper"
    finally:
        admin.execute("DROP TABLE public.orders; DROP OWNED BY keeper CASCADE; DROP ROLE keeper")


def test_what_is_checked_late_about_rows_that_go_with_a_session_keeps_it(admin, past):
    admin.execute("""
        CREATE TABLE public.orders
            (id integer PRIMARY KEY, session uuid REFERENCES dialstack.sessions ON DELETE CASCADE);
        CREATE TABLE public.items (of integer REFERENCES public.orders DEFERRABLE INITIALLY DEFERRED)""")
    try:
        dead = past.dead(3)
        (held, *_) = dead
        admin.execute("INSERT INTO public.orders VALUES (1, %s)", [held])
        admin.execute("INSERT INTO public.items VALUES (1)")
        done = maintain(admin)
        assert (done["sessions_purged"], done["kept_for"]) == (2, ["public.items"])
        assert past.left(dead) == {held}
    finally:
        admin.execute("DROP TABLE public.items, public.orders")


def test_what_the_caller_has_put_off_stays_put_off(admin, past):
    """Unless it is about our tables, or about rows that go with ours."""
    admin.execute("""
        CREATE TABLE public.customers (id integer PRIMARY KEY);
        CREATE TABLE public.orders (of integer REFERENCES public.customers DEFERRABLE INITIALLY DEFERRED)""")
    try:
        past.dead(3)
        with admin.transaction():
            admin.execute("INSERT INTO public.orders VALUES (1)")
            done = maintain(admin)
            assert (done["sessions_purged"], done["sessions_kept"], done["kept_for"]) == (3, 0, [])
            admin.execute("INSERT INTO public.orders VALUES (2)")
            admin.execute("INSERT INTO public.customers VALUES (1), (2)")
    finally:
        admin.execute("DROP TABLE public.orders, public.customers")


@pytest.mark.parametrize("prepared", [False, True], ids=["open", "prepared"])
def test_what_holds_the_horizon_is_named(admin, shop, elsewhere, prepared):
    # Given a transaction of another database, older than what is to be rolled up
    elsewhere.execute("BEGIN")
    elsewhere.execute("SELECT pg_current_xact_id()")
    since = value(elsewhere, "SELECT now()")
    who = f"process {elsewhere.info.backend_pid} of database elsewhere (idle in transaction)"
    if prepared:
        elsewhere.execute("PREPARE TRANSACTION 'forgotten'")
        who = "prepared transaction 'forgotten' of database elsewhere"
    shop.create(admin)

    done = maintain(admin)

    assert (done["activity_rolled_up"], done["activity_waiting"]) == (0, 1)
    assert done["held_by"] == who
    kept = record(admin)
    assert (kept.held_by, kept.activity_waiting) == (who, 1)
    # A prepared transaction counts from when it was prepared.
    assert kept.held_since >= since if prepared else kept.held_since == since

    # When it is over, everything goes on
    elsewhere.execute("ROLLBACK PREPARED 'forgotten'" if prepared else "ROLLBACK")
    done = maintain(admin)
    assert (done["activity_rolled_up"], done["activity_waiting"], done["held_by"]) == (1, 0, None)


def test_a_run_is_on_record(admin, past):
    past.dead(2)
    before = value(admin, "SELECT clock_timestamp()")
    maintain(admin)
    kept = record(admin)
    assert (kept.sessions_purged, kept.more, kept.held_by) == (2, False, None)
    assert kept.last_run_at >= before
    assert kept.last_run_at + kept.duration <= value(admin, "SELECT clock_timestamp()")


def test_one_run_under_a_clock_that_jumped_ahead_deletes_nothing_that_lives(
    admin, connect, shop, past
):
    # Given a living session and key, and activity, when maintenance ran last
    session = shop.create(admin, user="ann")
    key = call(admin, "api_key_create", **shop.home)
    month = past.activity(months=0)

    # When the clock jumps ahead for a year: all that was written is a year old
    admin.execute("UPDATE dialstack.rollup_state SET ran_at = ran_at - interval '1 year'")
    admin.execute(
        """
        UPDATE dialstack.sessions SET created_at = created_at - interval '1 year',
               expires_at = expires_at - interval '1 year',
               last_seen_at = last_seen_at - interval '1 year', purge_after = purge_after - 365
         WHERE session_id = %s
        """,
        [session.session_id],
    )
    admin.execute(
        "UPDATE dialstack.api_keys SET expires_at = now() - interval '360 days' WHERE api_key_id = %s",
        [key.api_key_id],
    )
    older = past.activity(months=10)
    done = maintain(admin)

    # Then nothing of that is gone
    assert (done["sessions_purged"], done["api_keys_purged"]) == (0, 0)
    assert done["more"] is True
    assert done["activity_months"] == []
    assert past.left([session.session_id])

    # When the clock is set right, the session lives as before
    with admin.transaction(force_rollback=True):
        admin.execute(
            "UPDATE dialstack.sessions SET expires_at = expires_at + interval '1 year' WHERE session_id = %s",
            [session.session_id],
        )
        assert verify(admin, session.token).valid
        assert refresh(admin, session.refresh_token).ok

    # And if it was right, the next run goes on
    done = maintain(admin)
    assert (done["sessions_purged"], done["api_keys_purged"]) == (1, 1)
    assert done["activity_months"] == [older] and month not in done["activity_months"]
