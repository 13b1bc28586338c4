"""An opaque token with a wrong MAC is refused without touching a table."""

import json

import pytest
from support.formats import b64, unb64
from support.service import call, verify


def unpack(token):
    prefix = token[: token.index("_live_") + len("_live_")]
    text = token[len(prefix) :]
    return prefix, bytearray(unb64(text))


def flipped(token, at):
    prefix, body = unpack(token)
    body[at] ^= 1
    return prefix + b64(body)


def blocks(connection, token):
    """How many buffers the verification of a token hits, reads, dirties or writes."""
    row = connection.execute(
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT * FROM dialstack.session_verify(%s)",
        [token],
    ).fetchone()
    plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
    parts = [plan[0]["Plan"], plan[0].get("Planning", {})]
    return sum(n for part in parts for name, n in part.items() if name.endswith("Blocks"))


@pytest.fixture(params=["account_session_create", "client_session_create"])
def token(admin, place, request):
    if request.param == "account_session_create":
        return call(admin, request.param, account="acct_1", **place).client_secret
    return call(admin, request.param, **place).token


@pytest.fixture
def loaded(connect, token):
    """A connection that has the key ring, and has looked up all it needs to plan the call."""
    connection = connect()
    for _ in range(2):
        assert verify(connection, token).valid
        assert blocks(connection, "rubbish") >= 0
    return connection


FORGERIES = {
    "another key": lambda token: flipped(token, 0),
    "another session": lambda token: flipped(token, 4),
    "the last bit of the MAC": lambda token: flipped(token, 51),
    "the other family": lambda token: (
        "cs_" + token[4:] if token.startswith("cst_") else "cst_" + token[3:]
    ),
    "rubbish": lambda token: "rubbish",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_touches_no_buffer(loaded, token, forgery):
    forged = FORGERIES[forgery](token)
    assert verify(loaded, forged).reason == "invalid"
    assert blocks(loaded, forged) == 0


def test_a_good_token_does_touch_some(loaded, token):
    # Else the measurement would show nothing.
    loaded.execute("SET dialstack_sessions.verdict_cache_size = 0")
    assert blocks(loaded, token) > 0
    loaded.execute("RESET dialstack_sessions.verdict_cache_size")


def test_a_token_that_the_connection_knows_touches_none(loaded, token):
    # It remembers what comes again.
    for _ in range(2):
        assert verify(loaded, token).valid
    assert blocks(loaded, token) == 0
