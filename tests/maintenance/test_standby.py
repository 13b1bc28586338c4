"""Users, activity and maintenance on a hot standby, and log_verify, which is skipped there."""

import pytest
from psycopg import errors
from support.cluster import Cluster
from support.service import call, until, value, verify


@pytest.fixture(scope="module")
def standby():
    standby = Cluster.clone("standby", Cluster.given(), max_prepared_transactions=4)
    yield standby
    standby.destroy()


@pytest.fixture
def there(installed, admin, standby):
    """A connection to the standby."""
    with standby.connect() as connection:
        yield connection


def replayed(admin, there):
    """Returns once the standby has all that was committed."""
    lsn = value(admin, "SELECT pg_current_wal_lsn()")
    until(
        lambda: value(there, "SELECT pg_last_wal_replay_lsn() >= %s", lsn),
        "the standby to replay",
    )


def verifications(connection, shop):
    return value(
        connection,
        "SELECT count(*) FROM dialstack.session_activity_logs(%s) WHERE operation = 'verify'",
        shop.product,
    )


def test_a_verification_is_logged_where_it_can_be_and_works_where_it_can_not(admin, there, shop):
    shop.define(admin, log_verify=True)
    session = shop.create(admin)
    assert verify(admin, session.token).valid
    assert verifications(admin, shop) == 1
    replayed(admin, there)

    assert verify(there, session.token).valid
    assert verify(there, session.token, product="other").reason == "mismatch"
    with there.transaction():
        there.execute("SET TRANSACTION READ ONLY")
        assert verify(there, session.token).valid
    with admin.transaction():
        admin.execute("SET TRANSACTION READ ONLY")
        assert verify(admin, session.token).valid
        assert verify(admin, session.token, product="other").reason == "mismatch"

    assert verifications(admin, shop) == 1


def test_users_and_activity_are_shown_there(admin, there, shop):
    shop.create(admin, user="ann", note="hello")
    replayed(admin, there)

    place = {"product": shop.product, "tag": shop.tag}
    assert call(there, "session_users", **place).identifier == "ann"
    details = call(there, "session_user_details", **place, identifier="ann")[0]
    assert details["latestSessionData"] == {"userId": "ann", "note": "hello"}
    assert call(there, "session_activity_logs", product=shop.product).operation == "create"
    assert value(there, "SELECT count(*) FROM dialstack.active_sessions") >= 1


@pytest.mark.parametrize("function", ["maintain", "schedule_maintenance"])
def test_maintenance_is_the_primarys(there, function):
    with pytest.raises((errors.ReadOnlySqlTransaction, errors.ObjectNotInPrerequisiteState)):
        call(there, function)
    assert verify(there, "rubbish").reason == "invalid"
