"""An independent program opens what we make, and we accept what it makes."""

import json
import struct
import uuid

import pytest
from cryptography.exceptions import InvalidTag
from jwcrypto import jwe, jwk, jws
from support.formats import SEALED, Mint, Ring, b64, of_jsonb, unb64
from support.service import Shop, call, info, refresh, value, verify

ALGORITHMS = pytest.mark.parametrize("alg", ["HS256", "EdDSA", "ES256"])


def parts(token):
    return [unb64(part) for part in token.split(".")]


def claims_of(token):
    return json.loads(parts(token)[1])


def test_the_ring_opens_with_the_root_key_of_the_row(ring):
    # The fixture has unwrapped it: every key authenticates under its kid.
    assert {key.purpose for key in ring.keys} == {"jwt", "seal", "token"}
    assert all(len(key.material) == 32 for key in ring.keys)


@ALGORITHMS
def test_a_library_verifies_our_access_token_with_the_rings_key(admin, shop, signed_with, alg):
    signed_with(alg)
    token = shop.create(admin).token
    header = json.loads(parts(token)[0])
    key = Ring(admin).by_kid(header["kid"])

    received = jws.JWS()
    received.deserialize(token, key.jwk, alg)

    assert header == {"alg": alg, "typ": "at+jwt", "kid": key.kid}
    assert key.alg == alg
    assert json.loads(received.payload) == claims_of(token)


@pytest.mark.parametrize("alg", ["EdDSA", "ES256"])
def test_a_gateway_verifies_our_access_token_with_nothing_but_jwks(admin, shop, signed_with, alg):
    signed_with(alg)
    token = shop.create(admin).token
    published = jwk.JWKSet.from_json(json.dumps(value(admin, "SELECT dialstack.jwks()")))

    received = jws.JWS()
    received.deserialize(token)
    received.verify(published.get_key(received.jose_header["kid"]))

    assert received.is_valid


def test_jwks_publishes_public_members_only(admin, signed_with):
    for alg in ("EdDSA", "ES256"):
        signed_with(alg)

    published = value(admin, "SELECT dialstack.jwks()")["keys"]

    assert {key["kty"] for key in published} == {"OKP", "EC"}
    members = {"kid", "kty", "crv", "x", "y", "alg", "use"}
    assert all(set(key) <= members for key in published)


def test_the_claims_say_what_the_format_promises(admin, shop, ring):
    session = shop.create(admin, "üser/456")

    claims = claims_of(session.token)

    assert uuid.UUID(claims.pop("jti")).version == 4
    assert isinstance(claims.pop("dat"), str)
    assert claims.pop("iat") <= int(session.expires_at.timestamp())
    assert claims == {
        "iss": ring.issuer,
        "aud": f"{shop.product}/{shop.env}",
        "client_id": shop.product,
        "sub": "üser/456",
        "sid": str(session.session_id),
        "tag": shop.tag,
        "exp": int(session.expires_at.timestamp()),
    }


def test_a_gateway_reads_the_public_claims_without_a_key_of_ours(admin, shop, signed_with):
    signed_with("ES256")
    changes = json.dumps({"public_claims": ["role", "plan.name", "absent"]})
    call(admin, "definition_update", product=shop.product, tag=shop.tag, changes=changes)
    data = {"role": "admin", "plan": {"name": "pro", "price": 9}, "secret": "s3cret"}
    session = shop.create(admin, **data)
    published = jwk.JWKSet.from_json(json.dumps(value(admin, "SELECT dialstack.jwks()")))

    received = jws.JWS()
    received.deserialize(session.token)
    received.verify(published.get_key(received.jose_header["kid"]))

    claims = json.loads(received.payload)
    assert claims["public"] == {"role": "admin", "plan": {"name": "pro"}}
    assert claims["iss"] == value(admin, "SELECT dialstack.issuer()")
    assert verify(admin, session.token).data == {"userId": "user_456", **data}


def test_a_library_opens_the_session_data_inside_our_access_token(admin, shop, ring):
    session = shop.create(admin, "user_456", name="Zoë", roles=["a", "b"], nested={"n": 1.5})

    opened = ring.open_dat(claims_of(session.token)["dat"])

    assert json.loads(opened) == {
        "userId": "user_456",
        "name": "Zoë",
        "roles": ["a", "b"],
        "nested": {"n": 1.5},
    }


def test_the_data_of_two_tokens_is_encrypted_with_two_content_keys(admin, shop):
    def encrypted(token):
        return claims_of(token)["dat"].split(".")

    first, second = (encrypted(shop.create(admin).token) for _ in range(2))

    assert [a == b for a, b in zip(first, second, strict=True)] == [
        True,
        False,
        False,
        False,
        False,
    ]


def test_the_session_data_of_a_row_opens_and_belongs_to_that_row_alone(admin, shop, ring):
    more = {"plan": "gold", "roles": ["ä", {}, [None, True]], "nested": {"no": False, "": []}}
    sessions = [shop.create(admin, **more) for _ in range(2)]
    query = "SELECT key_number, sealed_data FROM dialstack.sessions WHERE session_id = %s"
    number, sealed = admin.execute(query, [sessions[0].session_id]).fetchone()

    opened = ring.open_sealed(sessions[0].session_id, number, sealed)

    assert opened[:4] == SEALED
    assert of_jsonb(opened[4:]) == {"userId": "user_456", **more}
    with pytest.raises(InvalidTag):
        ring.open_sealed(sessions[1].session_id, number, sealed)


# Data as a token carries it, and as it is shown.
OF_TEXT = '{"n":[1.10,12345678901234567890.5,{"é":"\\"  \\""}],"userId":"user_456"}'
SHOWN = '{"n": [1.10, 12345678901234567890.5, {"é": "\\"  \\""}], "userId": "user_456"}'
IN_DETAILS = """
    SELECT d -> 'latestSessionData'
      FROM dialstack.session_user_details(%s, %s, 'user_456') AS d
"""


def test_a_refreshed_token_carries_the_same_text_as_the_first(admin, session, ring):
    call(admin, "session_update_data", session_id=session.session_id, data=SHOWN)

    token = refresh(admin, session.refresh_token).token

    assert ring.open_dat(claims_of(token)["dat"]).decode() == OF_TEXT


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b"[1]",
        b"null",
        b'{"userId": "s3cret"}',
        b"\x01",
        SEALED[::-1] + struct.pack("=I", 0x20000000),
    ],
)
def test_what_is_no_session_data_is_lost_data(admin, shop, session, ring, plaintext):
    ring.put_sealed(admin, session.session_id, plaintext)

    assert verify(admin, session.token).reason == "invalid"
    assert refresh(admin, session.refresh_token).reason == "invalid"
    assert value(admin, IN_DETAILS, shop.product, shop.tag) is None
    explained = "SELECT passed FROM dialstack.session_explain(%s) WHERE checked = 'data'"
    assert value(admin, explained, session.token) is False


@pytest.mark.parametrize("live, prefix", [(True, "rt_live_"), (False, "rt_test_")])
def test_a_refresh_token_is_the_one_that_the_format_determines(admin, ring, live, prefix):
    session = Shop.make(admin, live=live).create(admin)

    assert session.refresh_token == ring.make_refresh_token(prefix, session.session_id, 0)

    next_one = refresh(admin, session.refresh_token).refresh_token
    assert next_one == ring.make_refresh_token(prefix, session.session_id, 1)


@ALGORITHMS
def test_we_accept_an_access_token_that_a_library_made(admin, shop, session, signed_with, alg):
    signed_with(alg)
    token = Mint(Ring(admin), shop, session).by_library()

    answer = verify(admin, token, **shop.place)

    assert (answer.valid, answer.session_id, answer.identifier) == (
        True,
        session.session_id,
        "user_456",
    )


def test_we_accept_it_with_its_tag_in_front(admin, shop, mint):
    assert verify(admin, f"{shop.tag}:{mint.by_library()}").valid


def test_we_accept_a_token_of_a_key_that_retired(admin, mint, signed_with):
    token = mint.by_library()
    signed_with("EdDSA")
    assert verify(admin, token).valid


def test_we_refuse_a_token_of_a_key_that_was_revoked(admin, mint):
    token = mint.by_library()
    call(admin, "signing_key_revoke", kid=mint.key.kid)
    assert verify(admin, token).reason == "invalid"


def test_we_accept_a_refresh_token_that_the_format_determines(admin, ring, session):
    token = ring.make_refresh_token("rt_live_", session.session_id, 0)

    assert refresh(admin, token).ok
    assert info(admin, session.session_id).generation == 1


def test_we_take_a_refresh_token_ahead_of_the_row_for_authentic(admin, ring, session):
    answer = refresh(admin, ring.make_refresh_token("rt_live_", session.session_id, 41))

    assert answer.refresh_token == ring.make_refresh_token("rt_live_", session.session_id, 42)
    assert info(admin, session.session_id).generation == 42


def test_we_have_no_refresh_token_after_the_last_generation(admin, ring, session):
    answer = refresh(admin, ring.make_refresh_token("rt_live_", session.session_id, 2**31 - 1))

    assert (answer.ok, answer.reason) == (False, "expired")


def altered_refresh_tokens(ring, session):
    good = ring.make_refresh_token("rt_live_", session.session_id, 0)
    prefix, body = good[:8], good[8:]
    sealed = unb64(body)
    seal = ring.active("seal")
    yield "made for a test environment", ring.make_refresh_token("rt_test_", session.session_id, 0)
    yield "relabelled as test", "rt_test_" + body
    yield "relabelled as an API key", "sk_live_" + body
    yield "without its prefix", body
    yield "prefix in capitals", prefix.upper() + body
    yield "of no session", ring.make_refresh_token("rt_live_", uuid.uuid4(), 0)
    yield (
        "of a key of another purpose",
        ring.make_refresh_token("rt_live_", session.session_id, 0, seal),
    )
    yield "of a key number that does not exist", prefix + b64(b"\xff" * 4 + sealed[4:])
    yield "padded", good + "=" * (-len(body) % 4 or 4)
    yield "one byte more", prefix + b64(sealed + b"\0")
    yield "one byte less", prefix + b64(sealed[:-1])
    yield "with a line end", good + "\n"
    yield "twice", good + good
    yield "prefix only", prefix
    yield "very long", prefix + "A" * 10_000_000
    yield "an access token", session.token
    for place in range(0, len(sealed), 5):
        flipped = bytearray(sealed)
        flipped[place] ^= 1
        yield f"a bit of byte {place} flipped", prefix + b64(bytes(flipped))


def test_we_refuse_every_alteration_of_a_refresh_token(admin, ring, session):
    accepted = [
        what
        for what, token in altered_refresh_tokens(ring, session)
        if refresh(admin, token)[:2] != (False, "invalid")
    ]

    assert accepted == []
    # And none of them was taken for a stolen one.
    assert refresh(admin, session.refresh_token).ok


def test_an_authentic_token_of_another_family_does_not_open_a_user_session(admin, ring, session):
    for prefix in ("cs_live_", "cs_test_", "cst_live_", "cst_test_"):
        token = ring.make_opaque_token(prefix, session.session_id)
        assert verify(admin, token).reason == refresh(admin, token).reason == "invalid"


def test_a_refresh_token_is_no_access_token(admin, session):
    assert verify(admin, session.refresh_token).reason == "invalid"


def test_a_changed_dat_does_not_open(session, ring):
    head, *middle, tag = claims_of(session.token)["dat"].split(".")
    changed = bytearray(unb64(tag))
    changed[0] ^= 1
    with pytest.raises(jwe.InvalidJWEData):
        ring.open_dat(".".join([head, *middle, b64(bytes(changed))]))
