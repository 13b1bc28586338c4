"""Access tokens that must not pass, presented through SQL.

All but the forged ones carry a perfect signature of the active key: what refuses them is the check
that the test names, and nothing else.
"""

import hmac
import json
import time
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwcrypto import jwk
from refused import assert_all_invalid, assert_invalid
from support.formats import Mint, Ring, compact_json, other_signature, sha256_hmac, unb64
from support.service import Shop, call, value, verify

ALGORITHMS = pytest.mark.parametrize("alg", ["HS256", "EdDSA", "ES256"])


@ALGORITHMS
def test_the_unchanged_token_passes(admin, shop, session, signed_with, alg):
    signed_with(alg)
    mint = Mint(Ring(admin), shop, session)
    assert verify(admin, mint.token()).valid
    assert verify(admin, mint.by_library()).valid


# `...` leaves a member out.
MEMBERS = {
    "alg": ["none", "NONE", ..., None, "", ["HS256"], "hs256", "HS384", "RS256", "EdDSA"],
    "typ": ["JWT", ..., None, "AT+JWT", "application/at+jwt", "logout+jwt"],
    "kid": [..., None, 1, "", "0" * 32, "../../dev/null", "' OR state = 'active"],
    "crit": [["exp"], []],
    "b64": [False],
    "zip": ["DEF"],
    "jku": ["https://attacker.example/keys"],
    "jwk": [{"kty": "oct", "k": "AAAA"}],
    "x5u": ["https://attacker.example/cert"],
    "x5c": [[]],
    "x5t": ["AAAA"],
    "cty": ["JWT"],
    "unknown": ["hello"],
}


def test_a_header_that_is_not_exactly_ours_is_refused(admin, mint):
    headers = [{name: member} for name, members in MEMBERS.items() for member in members]
    headers.append({"crit": ["b64"], "b64": True})
    assert_all_invalid(admin, ((header, mint.token(header)) for header in headers))


def test_a_key_of_another_purpose_signs_nothing(admin, mint, ring):
    for key in (ring.active("seal"), ring.active("token")):
        assert_invalid(admin, mint.token({"kid": key.kid}, sign=sha256_hmac(key.material)))


def test_a_token_without_a_signature_is_refused(admin, mint):
    for alg in ("none", "HS256"):
        head, payload, _ = mint.token({"alg": alg}).split(".")
        assert_invalid(admin, f"{head}.{payload}.", f"{head}.{payload}")
    assert_invalid(admin, mint.token(sign=sha256_hmac(b"")))


def test_a_longer_hmac_with_the_right_secret_is_refused(admin, mint):
    for digest, alg in (("sha384", "HS384"), ("sha512", "HS512")):
        sign = lambda text: hmac.digest(mint.key.material, text, digest)
        assert_invalid(admin, mint.token({"alg": alg}, sign=sign))
        assert_invalid(admin, mint.token(sign=sign))


def public_forms(key):
    """What an attacker may hope is taken as an HMAC secret: the public key in its usual forms."""
    public = key.jwk.get_op_key("verify")
    yield "der", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield "pem", public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield "pem stripped", public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip()
    yield "x", unb64(key.jwk.export_public(as_dict=True)["x"])
    yield "x as text", key.jwk.export_public(as_dict=True)["x"].encode()
    if key.alg == "ES256":
        yield "point", public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        yield "short point", public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


@pytest.mark.parametrize("alg", ["EdDSA", "ES256"])
def test_the_public_key_is_no_hmac_secret(admin, shop, session, signed_with, alg):
    signed_with(alg)
    mint = Mint(Ring(admin), shop, session)
    published = [
        key for key in value(admin, "SELECT dialstack.jwks()")["keys"] if key["kid"] == mint.key.kid
    ]
    secrets = dict(public_forms(mint.key))
    secrets["jwk as published"] = json.dumps(published[0]).encode()

    for claimed in ("HS256", alg):
        forged = ((form, mint.token({"alg": claimed}, sign=sha256_hmac(secrets[form]))) for form in secrets)
        assert_all_invalid(admin, forged)


def test_an_algorithm_confusion_with_another_public_key_type_is_refused(
    admin, shop, session, signed_with
):
    signed_with("EdDSA")
    eddsa = Mint(Ring(admin), shop, session)
    signed_with("ES256")
    es256 = Mint(Ring(admin), shop, session)

    assert_invalid(admin, eddsa.token({"kid": es256.key.kid}))
    assert_invalid(admin, es256.token({"kid": eddsa.key.kid}))
    assert_invalid(admin, eddsa.token({"kid": es256.key.kid, "alg": "ES256"}))


def test_an_ecdsa_signature_has_one_spelling_and_is_not_blank(admin, shop, session, signed_with):
    signed_with("ES256")
    mint = Mint(Ring(admin), shop, session)

    def der(text):
        raw = mint.sign(text)
        numbers = (int.from_bytes(half, "big") for half in (raw[:32], raw[32:]))
        return encode_dss_signature(*numbers)

    assert verify(admin, mint.token()).valid
    assert_invalid(admin, mint.token(sign=lambda text: other_signature(mint.sign(text))))
    assert_invalid(admin, mint.token(sign=lambda text: bytes(64)))
    assert_invalid(admin, mint.token(sign=lambda text: b"\0" * 31 + b"\1" + b"\0" * 31 + b"\1"))
    assert_invalid(admin, mint.token(sign=der))


def test_the_attackers_own_key_inside_the_header_is_not_asked(admin, shop, session, signed_with):
    signed_with("EdDSA")
    mint = Mint(Ring(admin), shop, session)
    own = jwk.JWK.generate(kty="OKP", crv="Ed25519")
    header = {"jwk": own.export_public(as_dict=True)}

    sign = lambda text: own.get_op_key("sign").sign(text)

    assert_invalid(admin, mint.token(header, sign=sign))
    assert_invalid(admin, mint.token({**header, "kid": ...}, sign=sign))


RAW_HEADERS = {
    "duplicate_alg": b'{"alg":"none","alg":"HS256","typ":"at+jwt","kid":"KID"}',
    "duplicate_alg_at_the_end": b'{"alg":"HS256","typ":"at+jwt","kid":"KID","alg":"HS256"}',
    "duplicate_kid": b'{"alg":"HS256","typ":"at+jwt","kid":"KID","kid":"KID"}',
    "escaped_duplicate": b'{"alg":"HS256","typ":"at+jwt","kid":"KID","\\u0061lg":"none"}',
    "array": b'["HS256","at+jwt","KID"]',
    "string": b'"HS256"',
    "null": b"null",
    "not_json": b"HS256",
    "empty_object": b"{}",
    "trailing_text": b'{"alg":"HS256","typ":"at+jwt","kid":"KID"}{}',
    "byte_order_mark": b'\xef\xbb\xbf{"alg":"HS256","typ":"at+jwt","kid":"KID"}',
    "not_utf8": b'{"alg":"HS256","typ":"at+jwt","kid":"KID\xff"}',
    "deep": b'{"alg":' + b"[" * 3000 + b"]" * 3000 + b"}",
}


def test_a_header_that_is_no_plain_object_is_refused(admin, mint):
    kid, claims = mint.key.kid.encode(), compact_json(mint.claims)
    headers = ((what, header.replace(b"KID", kid)) for what, header in RAW_HEADERS.items())
    assert_all_invalid(admin, ((what, mint.raw(header, claims)) for what, header in headers))


CLAIMS = ["iss", "aud", "client_id", "sub", "sid", "tag", "iat", "exp", "jti", "dat"]


WRONG = [..., None, True, [], {}, "", 1.5]


def test_a_token_without_a_claim_or_with_one_of_a_wrong_type_is_refused(admin, mint):
    cases = [(claim, wrong) for claim in CLAIMS for wrong in (*WRONG, [mint.claims[claim]])]
    cases += [(claim, 1) for claim in CLAIMS if claim not in ("iat", "exp")]
    cases += [(claim, str(int(time.time()) - 5)) for claim in ("iat", "exp", "nbf")]
    assert_all_invalid(admin, ((case, mint.token(claims=dict([case]))) for case in cases))


def test_a_time_that_is_no_plain_number_of_seconds_is_refused(admin, mint):
    header = compact_json(mint.header)
    for claim in ("iat", "exp", "nbf"):
        payload = compact_json({**mint.claims, claim: "TIME"})
        for number in (b"-1", b"1e10", b"4102444800.0", b"253402300800", b"1" + b"0" * 30):
            assert_invalid(admin, mint.raw(header, payload.replace(b'"TIME"', number)))


def test_a_claim_that_comes_twice_is_refused(admin, mint):
    header, payload = compact_json(mint.header), compact_json(mint.claims)
    for claim in CLAIMS:
        again = compact_json({claim: mint.claims[claim]})
        for twice in (payload[:-1] + b"," + again[1:], again[:-1] + b"," + payload[1:]):
            assert_invalid(admin, mint.raw(header, twice))


def test_a_claim_we_do_not_know_is_refused(admin, mint):
    assert_invalid(admin, mint.token(claims={"admin": True}))


def test_another_issuer_or_ours_spelt_another_way_is_refused(admin, mint):
    ours = mint.ring.issuer
    for issuer in (f"urn:uuid:{uuid.uuid4()}", ours.upper(), ours[9:], ours + "/"):
        assert_invalid(admin, mint.token(claims={"iss": issuer}))


def test_a_token_of_a_foreign_instance_is_refused_even_with_our_key_id(admin, mint):
    foreign = sha256_hmac(bytes(range(32)))
    claims = {"iss": f"urn:uuid:{uuid.uuid4()}"}
    assert_invalid(admin, mint.token(sign=foreign))
    assert_invalid(admin, mint.token(claims=claims, sign=foreign))


def test_a_token_is_dead_after_the_instance_was_reset(admin, connect, mint):
    connection = connect()
    with connection.transaction(force_rollback=True):
        call(connection, "instance_reset")
        assert_invalid(connection, mint.token())
    assert verify(connection, mint.token()).valid


def test_a_token_for_another_audience_is_refused(admin, shop, mint):
    other = Shop.make(admin)
    call(admin, "env_create", product=shop.product, env="staging")
    for claims in (
        {"aud": f"{other.product}/{other.env}", "client_id": other.product},
        {"aud": f"{other.product}/{other.env}"},
        {"client_id": other.product},
        {"aud": f"{shop.product}/staging"},
        {"aud": shop.product},
        {"aud": f"{shop.product}/{shop.env}/"},
        {"aud": f"{shop.product}/"},
        {"tag": "mobile"},
    ):
        assert_invalid(admin, mint.token(claims=claims))


def test_a_token_that_names_no_session_of_ours_is_refused(admin, mint):
    for sid in (
        str(uuid.uuid4()),
        str(uuid.UUID(int=0)),
        mint.claims["sid"].upper(),
        mint.claims["sid"].replace("-", ""),
        "{" + mint.claims["sid"] + "}",
    ):
        # A session id of digits alone has no upper case.
        if sid != mint.claims["sid"]:
            assert_invalid(admin, mint.token(claims={"sid": sid}))


def server_time(admin):
    return value(admin, "SELECT extract(epoch FROM clock_timestamp())::float8")


def test_a_token_expires_at_its_second_and_not_after_it(admin, mint):
    for ago in (0, 1):
        answer = verify(admin, mint.token(claims={"exp": int(server_time(admin)) - ago}))
        assert (answer.valid, answer.reason) == (False, "expired")


def test_a_token_that_is_not_valid_yet_is_refused(admin, mint):
    assert_invalid(admin, mint.token(claims={"nbf": int(server_time(admin)) + 30}))


def test_a_token_that_is_valid_since_now_passes(admin, mint):
    assert verify(admin, mint.token(claims={"nbf": int(server_time(admin))})).valid
