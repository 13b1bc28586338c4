"""Keys that come and go on the primary come and go on the standby."""

from support.levels import STANDBY_LEVELS
from support.service import Shop, call, present, value, verify


def identifier(connection):
    return value(connection, "SELECT dialstack.current_identifier()")


@STANDBY_LEVELS
def test_tokens_of_new_keys_are_good_and_those_of_revoked_keys_are_not(apart, isolation):
    # Given a transaction on the standby that has verified a token
    shop = Shop.make(apart.admin)
    old = shop.create(apart.admin)
    apart.catch_up()
    reader = apart.connect(isolation=isolation)
    with reader.transaction():
        present(reader, old.token)
        assert identifier(reader) == "user_456"

        for alg in ("EdDSA", "ES256"):
            call(apart.admin, "signing_key_rotate", alg=alg)
        for purpose in ("seal", "token"):
            call(apart.admin, "signing_key_rotate", purpose=purpose)
        new = shop.create(apart.admin, "somebody")
        apart.catch_up()

        assert verify(reader, new.token).data == {"userId": "somebody"}
        assert identifier(reader) == "user_456"

        oldest = "SELECT kid FROM dialstack.signing_key_list() WHERE purpose = 'jwt' ORDER BY key_number"
        call(apart.admin, "signing_key_revoke", kid=value(apart.admin, oldest))
        apart.catch_up()

        assert identifier(reader) is None
        assert verify(reader, old.token).reason == "invalid"
        assert verify(reader, new.token).valid


@STANDBY_LEVELS
def test_a_new_root_key_in_the_row_arrives(apart, isolation):
    session = Shop.make(apart.admin).create(apart.admin)
    apart.catch_up()
    reader = apart.connect(isolation=isolation)
    with reader.transaction():
        assert verify(reader, session.token).valid
        call(apart.admin, "root_key_rotate")
        apart.catch_up()
        assert verify(reader, session.token).valid
    assert verify(apart.connect(), session.token).valid


@STANDBY_LEVELS
def test_after_a_reset_every_token_is_dead(apart, isolation):
    session = Shop.make(apart.admin).create(apart.admin)
    apart.catch_up()
    reader = apart.connect(isolation=isolation)
    with reader.transaction():
        present(reader, session.token)
        assert identifier(reader) == "user_456"
        call(apart.admin, "instance_reset")
        apart.catch_up()
        assert identifier(reader) is None
        assert verify(reader, session.token).reason == "invalid"
