"""Erasing a person who is logging in meanwhile."""

from contextlib import suppress

import pytest
from psycopg import errors
from support.service import Shop, call, refresh, retrying, together, until, value, verify


def erase(shop, connection, user="user_456"):
    (erased,) = call(connection, "user_erase", product=shop.product, identifier=user)
    return erased


def kept(admin, shop, user="user_456"):
    """How many sessions there are of the user, and how many the user's row counts."""
    query = """
        WITH definition AS (
            SELECT definition_id FROM dialstack.session_definitions JOIN dialstack.products USING (product_id)
             WHERE product = %(product)s)
        SELECT (SELECT count(*) FROM dialstack.sessions JOIN definition USING (definition_id) WHERE subject = %(user)s),
               (SELECT coalesce(sum(total_sessions), 0) FROM dialstack.session_users
                  JOIN definition USING (definition_id) WHERE identifier = %(user)s)"""
    return tuple(admin.execute(query, {"product": shop.product, "user": user}).fetchone())


def verified(connection, session):
    assert verify(connection, session.token).valid


def refused(connection, session):
    stale = session.refresh_token
    assert not refresh(connection, stale, tag="another").ok


@pytest.mark.parametrize("use", [verified, refused])
def test_what_is_noted_while_its_user_is_erased_is_emptied_by_maintenance(admin, connect, use):
    """Whoever notes it neither waits for an erasure nor holds one up."""
    shop = Shop.make(admin, log_verify=True)
    session = shop.create(admin)
    using = connect()
    with using.transaction():
        use(using, session)
        erase(shop, admin)
    named = "SELECT count(*) FROM dialstack.activity WHERE session_id = %s AND subject IS NOT NULL"
    assert value(admin, named, session.session_id) == 1
    other = shop.create(admin, "user_789")
    verify(admin, other.token)

    # Rows of transactions that are as young as the oldest that runs wait.
    until(lambda: call(admin, "maintain").maintain["activity_waiting"] == 0, "the activity to be counted")

    assert value(admin, named, session.session_id) == 0
    assert value(admin, named, other.session_id) == 2


def test_erasures_that_race_creates_leave_no_session_that_its_user_does_not_count(admin, shop):
    def create(connection):
        for _ in range(150):
            retrying(lambda: shop.create(connection))

    def remove(connection):
        for _ in range(150):
            with suppress(errors.NoDataFound):
                retrying(lambda: erase(shop, connection))

    together([create] * 3 + [remove] * 2)

    sessions, counted = kept(admin, shop)
    assert sessions == counted
