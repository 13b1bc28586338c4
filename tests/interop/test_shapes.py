"""Access tokens of another shape than ours, and longer ones, presented through SQL."""

import base64
import json

import pytest
from refused import assert_all_invalid, assert_invalid
from support.formats import b64, compact_json, unb64
from support.service import info, refresh, value, verify


def payloads(mint):
    claims = compact_json(mint.claims)
    yield "array", b"[" + claims + b"]"
    yield "array of values", compact_json(list(mint.claims.values()))
    yield "string", json.dumps(claims.decode()).encode()
    yield "number", b"1"
    yield "null", b"null"
    yield "empty object", b"{}"
    yield "two objects", claims + claims
    yield "trailing comma", claims[:-1] + b",}"
    yield "trailing nul", claims + b"\0"
    yield "byte order mark", b"\xef\xbb\xbf" + claims
    yield "not utf-8", claims.replace(b"user_456", b"user\xff456")
    yield "comment", b"/**/" + claims
    yield "nested too deep", b"[" * 3000 + b"]" * 3000
    yield "a token in the token", mint.token().encode()


def test_a_payload_that_is_no_plain_object_is_refused(admin, mint):
    header = compact_json(mint.header)
    assert_all_invalid(admin, ((what, mint.raw(header, payload)) for what, payload in payloads(mint)))


def misshapen(mint):
    good = mint.token()
    head, payload, signature = good.split(".")
    yield "extra part", good + ".AAAA"
    yield "extra empty part", good + "."
    yield "empty first part", "." + good
    yield "two parts", f"{head}.{payload}"
    yield "one part", head
    yield "only dots", ".."
    yield "blank", " "
    yield "space before", " " + good
    yield "line end after", good + "\n"
    yield "line end inside", f"{head}.\n{payload}.{signature}"
    yield "bearer", "Bearer " + good
    yield "empty tag", ":" + good
    yield "another tag", "mobile:" + good
    yield "two tags", "web:web:" + good
    yield "flattened json", json.dumps({"protected": head, "payload": payload, "signature": signature})
    yield "percent encoded", good.replace(".", "%2E")
    yield "its own data", mint.claims["dat"]

    def pad(part):
        return part + "=" * (-len(part) % 4 or 4)

    # Signed as they stand: only the encoding is wrong.
    for what, text in (
        ("padded header", f"{pad(head)}.{payload}"),
        ("padded payload", f"{head}.{pad(payload)}"),
        ("spaces in the payload", f"{head}.{payload[:8]} {payload[8:]}"),
    ):
        yield what, f"{text}.{b64(mint.sign(text.encode()))}"
    yield "padded signature", f"{head}.{payload}.{pad(signature)}"
    plus = base64.b64encode(unb64(signature)).decode().rstrip("=")
    if plus != signature:
        yield "standard base64", f"{head}.{payload}.{plus}"
    # 32 bytes make 43 characters, whose last one has two bits to spare.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare = alphabet[alphabet.index(signature[-1]) | 1]
    yield "spare bits in the signature", f"{head}.{payload}.{signature[:-1]}{spare}"
    yield "signature cut short", good[:-1]
    yield "signature cut by a byte", f"{head}.{payload}.{b64(unb64(signature)[:-1])}"
    yield "signature with a byte more", f"{head}.{payload}.{b64(unb64(signature) + bytes(1))}"
    for place in (0, 15, 31):
        flipped = bytearray(unb64(signature))
        flipped[place] ^= 0x80
        yield f"bit of signature byte {place}", f"{head}.{payload}.{b64(bytes(flipped))}"
    changed = compact_json({**mint.claims, "sub": "admin"})
    yield "changed payload", f"{head}.{b64(changed)}.{signature}"


def test_a_token_of_another_shape_is_refused(admin, mint):
    assert verify(admin, mint.token()).valid
    assert_all_invalid(admin, misshapen(mint))


def of_length(mint, length):
    """A token of just so many bytes, with a perfect signature."""
    for stuffing in range(length):
        token = mint.token(claims={"dat": "A" * (length * 3 // 4 - 900 + stuffing)})
        if len(token) >= length:
            return token


def test_a_token_of_8_kib_is_read_and_a_longer_one_is_not(admin, mint):
    longest, too_long = of_length(mint, 8191), of_length(mint, 8193)
    assert len(longest) <= 8192 < len(too_long)

    assert verify(admin, longest).valid
    assert_invalid(admin, too_long)


def test_the_limit_of_8_kib_counts_the_tag_in_front(admin, shop, mint):
    token = of_length(mint, 8190)
    assert verify(admin, token).valid
    assert_invalid(admin, f"{shop.tag}:{token}")


def test_ten_megabytes_are_refused_without_ado(admin, mint):
    for token in ("A" * 10_000_000, mint.token() + "A" * 10_000_000, "." * 10_000_000):
        assert_invalid(admin, token)


@pytest.mark.parametrize("token", [None, ""])
def test_no_token_is_an_answer_too(admin, token):
    answer = verify(admin, token)
    assert (answer.valid, answer.reason) == (False, "missing")
    assert refresh(admin, token)[:2] == (False, "missing")


def test_refused_tokens_change_nothing(admin, mint, session):
    before = value(admin, "SELECT count(*) FROM dialstack.activity")

    for _, token in misshapen(mint):
        verify(admin, token)

    assert value(admin, "SELECT count(*) FROM dialstack.activity") == before
    assert info(admin, session.session_id).active
