"""What is granted appears at the next statement too."""

import json
from datetime import datetime, timedelta, timezone

import pytest
from changes import KINDS, Tenant
from support.service import call, present, value, verify
from world import FAMILIES, NOTHING, error, uuid


@KINDS
@pytest.mark.parametrize("by_key", [False, True], ids=["by_id", "by_user_identifier_key"])
def test_a_grant_appears_at_the_next_statement(world, admin, visit, kind, by_key):
    session = world.client_session(1, user_identifier_key="somebody")
    visitor = visit(**kind)
    with visitor.transaction():
        present(visitor, session.token)
        assert world.seen(visitor) == world.rows_of("client", 1)

        whose = (
            {"user_identifier_key": "somebody"}
            if by_key
            else {"client_session_id": session.client_session_id}
        )
        call(
            admin,
            "client_session_grant_access",
            **whose,
            connected_account_ids=[uuid(2)],
            user_identity_ids=[uuid(3)],
            **world.place,
        )

        assert world.seen(visitor) == world.rows_of("client", 1) | {
            ("of_connected", 2),
            ("of_connected_bare", 2),
            ("of_identity", 3),
        }


@KINDS
def test_new_data_and_a_new_expiry_appear_at_the_next_statement(world, admin, visit, kind):
    session = world.user_session(1, plan="free")
    visitor = visit(**kind)
    with visitor.transaction():
        present(visitor, session.token)
        assert value(visitor, "SELECT dialstack.current_data() ->> 'plan'") == "free"

        call(
            admin,
            "session_update_data",
            session_id=session.session_id,
            data=json.dumps({"userId": "user_1", "plan": "gold"}),
        )
        assert value(visitor, "SELECT dialstack.current_data() ->> 'plan'") == "gold"
        assert verify(visitor, session.token).data["plan"] == "gold"

        assert call(
            admin, "session_extend", session_id=session.session_id, by=timedelta(hours=1)
        ).expires_at > datetime.now(timezone.utc) + timedelta(minutes=50)
        assert world.seen(visitor) == world.rows_of("user", 1)


@KINDS
def test_a_scope_goes_at_the_next_statement(world, admin, visit, kind):
    visitor = visit(**kind)
    with visitor.transaction():
        present(visitor, world.token("account"))
        assert world.seen(visitor) == world.rows_of("account", 1)
        call(admin, "scope_delete", scope="voicemails", product=world.product)
        assert world.seen(visitor) == {("of_account", 1), ("of_account_bare", 1)}


@KINDS
@pytest.mark.parametrize("family", FAMILIES)
def test_a_session_that_is_made_later_is_known(world, admin, visit, kind, family):
    visitor = visit(**kind)
    with visitor.transaction():
        present(visitor, "not yet")
        assert (world.seen(visitor), error(visitor)) == (NOTHING, "invalid")
        tenant = Tenant(world, family)
        present(visitor, tenant.token)
        assert world.seen(visitor) == tenant.rows


@KINDS
def test_a_token_that_was_presented_too_early_is_good_once_its_session_is_there(
    world, admin, connect, visit, kind
):
    visitor = visit(**kind)
    with visitor.transaction():
        maker = connect()
        with maker.transaction():
            token = world.account_session(1, connection=maker).client_secret
            present(visitor, token)
            assert (world.seen(visitor), error(visitor)) == (NOTHING, "invalid")
        assert world.seen(visitor) == world.rows_of("account", 1)
