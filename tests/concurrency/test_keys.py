"""Keys that change while everybody works with them."""

import json
import threading
import time
from collections import namedtuple

import pytest
from support.formats import unb64
from support.levels import LEVELS
from support.service import call, refresh, together, value, verify

WORKERS = 4

Use = namedtuple("Use", "key began ended accepted")


def kid(token):
    return json.loads(unb64(token.split(".")[0]))["kid"]


def key_number(refresh_token):
    """The number of the key that a refresh token was made with."""
    return int.from_bytes(unb64(refresh_token.split("_", 2)[2])[:4], "big")


def worker(shop, user, stop, uses):
    """Creates, verifies and refreshes, and notes how each use of a token went."""

    def use(token, key, present):
        began = time.monotonic()
        accepted = present(token)
        uses.append(Use(key, began, time.monotonic(), accepted))
        return accepted

    def work(connection):
        valid = lambda token: verify(connection, token).valid
        while not stop.is_set():
            session = shop.create(connection, user)
            tokens = [session.token]
            refresh_token = session.refresh_token
            for _ in range(3):
                for token in tokens:
                    use(token, kid(token), valid)
                answers = []

                def rotate(token):
                    answers.append(refresh(connection, token))
                    return answers[0].ok

                if not use(refresh_token, key_number(refresh_token), rotate):
                    break
                refresh_token = answers[0].refresh_token
                tokens.append(answers[0].token)

    return work


def under_load(shop, change):
    """Runs `change` while workers work, and returns what they noted."""
    stop, uses = threading.Event(), []

    def changing(connection):
        try:
            change(connection)
        finally:
            stop.set()

    workers = [worker(shop, f"user_{number}", stop, uses) for number in range(WORKERS)]
    together([*workers, changing])
    return uses


def rotate_ring(connection):
    for alg in ("EdDSA", "ES256", "HS256"):
        call(connection, "signing_key_rotate", purpose="jwt", alg=alg)
        call(connection, "signing_key_rotate", purpose="seal")
        call(connection, "signing_key_rotate", purpose="token")
        time.sleep(0.05)  # lets the workers come to use them


def rotate_root(connection):
    for _ in range(3):
        call(connection, "root_key_rotate")
        time.sleep(0.05)


@pytest.mark.parametrize("rotate, keys", [(rotate_ring, 6), (rotate_root, 1)], ids=["ring", "root"])
def test_rotating_under_load_refuses_no_good_token(shop, rotate, keys):
    uses = under_load(shop, lambda connection: [rotate(connection) for _ in range(3)])

    assert len(uses) > 20
    assert len({use.key for use in uses}) > keys
    assert [use for use in uses if not use.accepted] == []


@pytest.mark.parametrize("purpose", ["jwt", "token"])
def test_revoking_keys_under_load_refuses_all_of_theirs_and_nothing_else(admin, shop, purpose):
    revoked = {}

    def change(connection):
        for _ in range(6):
            key = connection.execute(
                "SELECT kid, key_number FROM dialstack.signing_keys "
                "WHERE purpose = %s AND state = 'active'",
                [purpose],
            ).fetchone()
            time.sleep(0.05)
            began = time.monotonic()
            call(connection, "signing_key_revoke", kid=key.kid)
            name = key.kid if purpose == "jwt" else key.key_number
            revoked[name] = (began, time.monotonic())
        time.sleep(0.05)

    uses = under_load(shop, change)

    never = (float("inf"), float("inf"))
    refused_good = [
        use for use in uses if not use.accepted and use.ended < revoked.get(use.key, never)[0]
    ]
    accepted_dead = [
        use for use in uses if use.accepted and use.began > revoked.get(use.key, never)[1]
    ]
    assert (refused_good, accepted_dead) == ([], [])
    # It was a race: some were refused, most were not.
    assert {use.accepted for use in uses} == {True, False}


@LEVELS
def test_an_open_transaction_accepts_a_token_signed_with_a_key_made_after_it_began(admin, connect, shop, isolation):
    session, reader = shop.create(admin), connect(isolation=isolation)
    with reader.transaction():
        assert value(reader, "SELECT count(*) >= 0 FROM dialstack.sessions")
        assert verify(reader, session.token).valid
        for purpose in ("jwt", "seal", "token"):
            call(admin, "signing_key_rotate", purpose=purpose)

        answer = verify(reader, shop.create(admin).token)

        assert (answer.valid, answer.data) == (True, {"userId": "user_456"})


def test_keys_that_two_connections_rotate_at_once_leave_one_active(admin):
    together([lambda c: [call(c, "signing_key_rotate") for _ in range(5)]] * 4)

    query = (
        "SELECT count(*) FROM dialstack.signing_key_list() "
        "WHERE purpose = 'jwt' AND state = 'active'"
    )
    assert value(admin, query) == 1


def test_a_key_that_waits_for_a_new_root_key_is_wrapped_with_it(admin, behind, connect, shop):
    session = shop.create(admin)

    rotate_root = lambda connection: call(connection, "root_key_rotate")
    _, waiting = behind(rotate_root, lambda connection: call(connection, "signing_key_rotate"))
    waiting.result()

    with connect() as fresh:
        assert verify(fresh, session.token).valid
        assert verify(fresh, shop.create(fresh).token).valid


def test_an_open_transaction_that_has_verified_keeps_no_index_from_being_rebuilt(
    admin, connect, shop
):
    session = shop.create(admin)
    keeper, caller = connect(), connect()
    keeper.execute("SET lock_timeout = '5s'")

    with caller.transaction():
        assert verify(caller, session.token).valid
        for table in ("sessions", "environments", "products", "session_definitions"):
            keeper.execute(f"REINDEX TABLE dialstack.{table}")

        assert refresh(caller, session.refresh_token).ok
