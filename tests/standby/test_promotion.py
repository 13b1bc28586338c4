"""After a failover the standby does everything, with the tokens that were made before."""

import pytest
from support.cluster import configure
from support.service import call, keep_presenting, present, refresh, until, value, verify
from support.tenants import KINDS, READER, ROWS, owners


def promote(connection):
    assert value(connection, "SELECT pg_promote(true, 60)")
    until(lambda: not value(connection, "SELECT pg_is_in_recovery()"), "the promotion")


@pytest.fixture
def sessions(clone, shop):
    """One that lives, one that was refreshed, and one that was revoked."""
    living, refreshed, dead = (shop.create(clone.admin, f"user-{n}") for n in range(3))
    refreshed = refresh(clone.admin, refreshed.refresh_token)
    shop.revoke(clone.admin, dead.session_id)
    clone.catch_up()
    return living, refreshed, dead


def test_a_promoted_standby_goes_on_with_every_token(clone, shop, tenants, sessions):
    living, refreshed, dead = sessions
    # Given connections that were made, and asked, while it was a standby
    old, reader = clone.connect(), clone.connect(user=READER)
    for session in sessions:
        verify(old, session.token)
    keep_presenting(reader, tenants.all[0].tokens["user"])
    assert set(owners(reader, "user")) == {"tenant-0"}

    promote(old)

    for connection in (old, clone.connect()):
        assert verify(connection, living.token).valid
        assert verify(connection, refreshed.token).valid
        assert verify(connection, dead.token).reason == "revoked"
    assert refresh(old, refreshed.refresh_token).ok
    assert refresh(old, dead.refresh_token).reason == "revoked"
    new = shop.create(old, "user-0")
    assert verify(reader, new.token).valid
    assert shop.revoke(old, living.session_id) == 1
    assert verify(reader, living.token).reason == "revoked"
    assert call(old, "session_revoke_all", **shop.place, identifier="user-0")[0] == 1
    call(old, "signing_key_rotate")
    assert verify(reader, shop.create(old).token).valid
    # What was presented before is obeyed still, and revocable.
    assert set(owners(reader, "user")) == {"tenant-0"}
    with reader.transaction():
        for kind in KINDS:
            present(reader, tenants.all[2].tokens[kind])
            assert owners(reader, kind) == ["tenant-2"] * ROWS
    with clone.connect() as admin:
        keep_presenting(admin, tenants.all[0].tokens["user"])
        assert call(admin, "session_end")[0] == 1
    assert owners(reader, "user") == []


def test_a_refresh_that_the_failover_lost_costs_nobody_the_session(clone, shop):
    session = shop.create(clone.admin)
    clone.catch_up()
    # Given a standby that hears no more of its primary, where the user refreshes
    standby = clone.connect()
    configure(standby, "primary_conninfo", "")
    until(
        lambda: value(standby, "SELECT count(*) FROM pg_stat_wal_receiver") == 0,
        "the end of the stream",
    )
    ahead = refresh(clone.admin, session.refresh_token)

    promote(standby)

    # Then the token of a generation that was never heard of here is honoured, and rotates.
    assert verify(standby, ahead.token).valid
    after = refresh(standby, ahead.refresh_token)
    assert after.ok and after.session_id == session.session_id
    assert refresh(standby, after.refresh_token).ok
    assert verify(standby, session.token).valid
