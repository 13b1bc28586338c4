"""What is given to a session, or taken from it, appears at the next statement too."""

import json
from datetime import datetime, timedelta, timezone

from changes import KINDS
from support.service import call, present, value, verify
from world import NOTHING, error


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
