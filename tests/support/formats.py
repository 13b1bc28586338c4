"""Tokens and keys by the formats of docs/reference/token-formats.md, without any code of ours."""

import hashlib
import hmac
import json
import struct
import time
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwcrypto import jwe, jwk, jws


def b64(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact_json(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def u32(number):
    return number.to_bytes(4, "big")


# What sealed session data begins with.
SEALED = struct.pack("=I", 1)


def of_jsonb(content):
    """The value of an object or array as PostgreSQL keeps it (src/include/utils/jsonb.h); no numbers."""
    (header,) = struct.unpack_from("=I", content)
    is_object, count = header & 0x20000000, header & 0x0FFFFFFF
    if is_object:
        count *= 2
    entries = struct.unpack_from(f"={count}I", content, 4)
    begin, values = 0, []
    for entry in entries:
        length = entry & 0x0FFFFFFF
        end = length if entry & 0x80000000 else begin + length
        value = content[4 + 4 * count :][begin:end]
        match entry & 0x70000000:
            case 0x00000000:
                values.append(value.decode())
            case 0x20000000 | 0x30000000 | 0x40000000 as constant:
                values.append({0x2: False, 0x3: True, 0x4: None}[constant >> 28])
            case 0x50000000:
                values.append(of_jsonb(value[-begin % 4 :]))
        begin = end
    return dict(zip(values[: count // 2], values[count // 2 :], strict=True)) if is_object else values


# The order of P-256.
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def lower_signature(raw):
    """Of the ES256 signatures (r, s) and (r, n - s), both true, the one whose s is lower: the other is refused."""
    s = int.from_bytes(raw[32:], "big")
    return raw[:32] + min(s, ORDER - s).to_bytes(32, "big")


def derive(key, salt, info, more=b""):
    return HKDF(SHA256(), 32, salt, b"dialstack_sessions/v1/" + info.encode() + more).derive(key)


@dataclass(frozen=True)
class Key:
    """A key of the ring, unwrapped."""

    kid: str
    number: int
    purpose: str
    alg: str | None
    state: str
    material: bytes

    @property
    def jwk(self):
        """A `jwt` key for a JOSE library."""
        if self.alg == "HS256":
            return jwk.JWK(kty="oct", k=b64(self.material))
        if self.alg == "EdDSA":
            return jwk.JWK.from_pyca(ed25519.Ed25519PrivateKey.from_private_bytes(self.material))
        scalar = int.from_bytes(self.material, "big")
        return jwk.JWK.from_pyca(ec.derive_private_key(scalar, ec.SECP256R1()))


class Ring:
    """The key ring of an instance whose root key lies in its row, or is given."""

    def __init__(self, connection, root_key=None):
        row = connection.execute("SELECT * FROM dialstack.instance").fetchone()
        self.instance = row.instance_id.bytes
        self.issuer = f"urn:uuid:{row.instance_id}"
        root_key = root_key or row.root_key
        self.fingerprint = derive(root_key, None, "root/fingerprint")[:8]
        assert row.root_fingerprint == self.fingerprint
        wrapping = AESGCM(derive(root_key, None, "root/wrap"))
        self.keys = [
            Key(
                key.kid,
                key.key_number,
                key.purpose,
                key.alg,
                key.state,
                wrapping.decrypt(key.wrapped[:12], key.wrapped[12:], key.kid.encode()),
            )
            for key in connection.execute("SELECT * FROM dialstack.signing_keys")
        ]

    def active(self, purpose):
        (key,) = [key for key in self.keys if (key.purpose, key.state) == (purpose, "active")]
        return key

    def by_kid(self, kid):
        (key,) = [key for key in self.keys if key.kid == kid]
        return key

    def by_number(self, number):
        (key,) = [key for key in self.keys if key.number == number]
        return key

    def dat_key(self, seal):
        """The key encryption key of `dat`, for a JOSE library."""
        return jwk.JWK(kty="oct", k=b64(derive(seal.material, self.instance, "seal/dat")))

    def open_dat(self, dat):
        kid = json.loads(unb64(dat.split(".")[0]))["kid"]
        opened = jwe.JWE()
        opened.deserialize(dat, self.dat_key(self.by_kid(kid)))
        return opened.payload

    def make_dat(self, data):
        seal = self.active("seal")
        header = {"alg": "A256KW", "enc": "A256GCM", "kid": seal.kid}
        made = jwe.JWE(data, compact_json(header).decode(), recipient=self.dat_key(seal))
        return made.serialize(compact=True)

    def open_sealed(self, session_id, key_number, sealed):
        seal = self.by_number(key_number)
        key = derive(seal.material, self.instance, "seal/session", session_id.bytes)
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], session_id.bytes)

    def make_refresh_token(self, prefix, session_id, generation, key=None):
        key = key or self.active("token")
        secret = derive(key.material, self.instance, "token/refresh")
        plain = session_id.bytes + u32(generation)
        associated = prefix.encode() + self.instance + u32(key.number)
        sealed = AESGCMSIV(secret).encrypt(bytes(12), plain, associated)
        return prefix + b64(u32(key.number) + sealed)

    def make_opaque_token(self, prefix, session_id):
        key = self.active("token")
        secret = derive(key.material, self.instance, "token/opaque")
        text = prefix.encode() + self.instance + u32(key.number) + session_id.bytes
        mac = hmac.digest(secret, text, "sha256")
        return prefix + b64(u32(key.number) + session_id.bytes + mac)


class Mint:
    """Makes access tokens for one living session, good ones and bad ones."""

    def __init__(self, ring, shop, session, user="user_456"):
        self.ring, self.key = ring, ring.active("jwt")
        now = int(time.time())
        self.header = {"alg": self.key.alg, "typ": "at+jwt", "kid": self.key.kid}
        self.claims = {
            "iss": ring.issuer,
            "aud": f"{shop.product}/{shop.env}",
            "client_id": shop.product,
            "sub": user,
            "sid": str(session.session_id),
            "tag": shop.tag,
            "iat": now,
            "exp": now + 600,
            "jti": str(uuid.uuid4()),
            "dat": ring.make_dat(compact_json({"userId": user})),
        }

    def by_library(self):
        """A good token, made by a JOSE library from beginning to end."""
        made = jws.JWS(compact_json(self.claims))
        made.add_signature(self.key.jwk, protected=compact_json(self.header).decode())
        signed, signature = made.serialize(compact=True).rsplit(".", 1)
        if self.key.alg == "ES256":
            signature = b64(lower_signature(unb64(signature)))
        return f"{signed}.{signature}"

    def sign(self, signing_input):
        """The signature over any text, well-formed or not: a library would refuse to make it."""
        if self.key.alg == "HS256":
            return hmac.digest(self.key.material, signing_input, "sha256")
        core = jws.JWSCore(self.key.alg, self.key.jwk, None, b"", algs=[self.key.alg])
        signature = core.engine.sign(self.key.jwk, signing_input)
        return lower_signature(signature) if self.key.alg == "ES256" else signature

    def token(self, header=None, claims=None, sign=None):
        """A token that differs in these members; `...` leaves one out."""

        def changed(members, changes):
            merged = {**members, **(changes or {})}
            return compact_json({name: value for name, value in merged.items() if value is not ...})

        text = f"{b64(changed(self.header, header))}.{b64(changed(self.claims, claims))}"
        return f"{text}.{b64((sign or self.sign)(text.encode()))}"


def sha256_hmac(key):
    return lambda text: hmac.new(key, text, hashlib.sha256).digest()
