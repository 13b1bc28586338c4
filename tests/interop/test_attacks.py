"""Access tokens that must not pass, presented through SQL: the attacks on JWT that the world knows.

The form of each header and claim is for the unit tests of `src/token`.
"""

import json
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwcrypto import jwk
from support.formats import Mint, Ring, sha256_hmac, unb64
from support.service import Shop, call, value, verify


def assert_invalid(admin, *tokens):
    for token in tokens:
        answer = verify(admin, token)
        # Nothing is shown of the session.
        assert answer[:2] == (False, "invalid") and set(answer[2:]) == {None}, token


@pytest.mark.parametrize("alg", ["HS256", "EdDSA", "ES256"])
def test_the_unchanged_token_passes(admin, shop, session, signed_with, alg):
    signed_with(alg)
    mint = Mint(Ring(admin), shop, session)
    assert verify(admin, mint.token()).valid
    assert verify(admin, mint.by_library()).valid


def test_a_key_of_another_purpose_signs_nothing(admin, mint, ring):
    for key in (ring.active("seal"), ring.active("token")):
        assert_invalid(admin, mint.token({"kid": key.kid}, sign=sha256_hmac(key.material)))


def test_a_token_without_a_signature_is_refused(admin, mint):
    for alg in ("none", "HS256"):
        head, payload, _ = mint.token({"alg": alg}).split(".")
        assert_invalid(admin, f"{head}.{payload}.", f"{head}.{payload}")
    assert_invalid(admin, mint.token(sign=sha256_hmac(b"")))


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
        for secret in secrets.values():
            assert_invalid(admin, mint.token({"alg": claimed}, sign=sha256_hmac(secret)))


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


def test_a_blank_ecdsa_signature_and_one_in_der_are_refused(admin, shop, session, signed_with):
    """CVE-2022-21449 is a verifier to which r = s = 0 is everybody's signature."""
    signed_with("ES256")
    mint = Mint(Ring(admin), shop, session)

    def der(text):
        raw = mint.sign(text)
        return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))

    one = bytes(31) + b"\1"
    assert verify(admin, mint.token()).valid
    for sign in (lambda _: bytes(64), lambda _: one + one, der):
        assert_invalid(admin, mint.token(sign=sign))


def test_the_attackers_own_key_inside_the_header_is_not_asked(admin, shop, session, signed_with):
    signed_with("EdDSA")
    mint = Mint(Ring(admin), shop, session)
    own = jwk.JWK.generate(kty="OKP", crv="Ed25519")
    header = {"jwk": own.export_public(as_dict=True)}

    sign = lambda text: own.get_op_key("sign").sign(text)

    assert_invalid(admin, mint.token(header, sign=sign))
    assert_invalid(admin, mint.token({**header, "kid": ...}, sign=sign))


def test_a_token_of_a_foreign_instance_is_refused_even_with_our_key_id(admin, mint):
    foreign = sha256_hmac(bytes(range(32)))
    claims = {"iss": f"urn:uuid:{uuid.uuid4()}"}
    assert_invalid(admin, mint.token(sign=foreign))
    assert_invalid(admin, mint.token(claims=claims, sign=foreign))


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


def server_time(admin):
    return value(admin, "SELECT extract(epoch FROM clock_timestamp())::float8")


def test_a_token_expires_at_its_second_and_not_after_it(admin, mint):
    for ago in (0, 1):
        answer = verify(admin, mint.token(claims={"exp": int(server_time(admin)) - ago}))
        assert (answer.valid, answer.reason) == (False, "expired")
