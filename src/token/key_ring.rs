//! The key ring: every key that is not revoked, with its subkeys derived once.

use std::collections::HashSet;
use std::fmt;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::{DecodingKey, EncodingKey};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use serde_json::{Value, json};

use super::primitives::{expand, extract, to_base64url};
use super::{InstanceId, KeyError, Secret};
use crate::text_enum::text_enum;

const INFO_DAT: &[u8] = b"dialstack_sessions/v1/seal/dat";
const INFO_IDENTIFIER_KEY: &[u8] = b"dialstack_sessions/v1/seal/user_identifier_key";
const INFO_REFRESH: &[u8] = b"dialstack_sessions/v1/token/refresh";
const INFO_OPAQUE: &[u8] = b"dialstack_sessions/v1/token/opaque";

/// The bytes of a key: an HS256 secret, an Ed25519 seed, a P-256 scalar (big endian), or, for
/// purposes `seal` and `token`, the input of HKDF. Its type makes a short HMAC key impossible.
pub type Material = Secret<32>;

text_enum! {
    /// What a key is for. A key of one purpose is never used for another.
    pub enum Purpose {
        /// Signs access tokens.
        Jwt = "jwt",
        /// Encrypts session data, in the row and in the `dat` claim, and the `user_identifier_key` of client sessions.
        Seal = "seal",
        /// Makes refresh tokens, client secrets and client session tokens.
        Token = "token",
    }
}

text_enum! {
    /// A signature algorithm, by its JOSE name.
    pub enum Algorithm {
        /// HMAC with SHA-256 (RFC 7518, section 3.2).
        Hs256 = "HS256",
        /// Ed25519 (RFC 8037, section 3.1).
        EdDsa = "EdDSA",
        /// ECDSA with P-256 and SHA-256 (RFC 7518, section 3.4).
        Es256 = "ES256",
    }
}

text_enum! {
    /// Where a key is in its life.
    pub enum KeyState {
        /// Is published, and signs later. Verifies.
        Pending = "pending",
        /// Makes tokens and verifies them.
        Active = "active",
        /// Verifies only.
        Retired = "retired",
        /// Neither.
        Revoked = "revoked",
    }
}

impl KeyState {
    /// Whether it makes tokens, now or later.
    pub fn may_sign(self) -> bool {
        matches!(self, Self::Pending | Self::Active)
    }
}

impl Algorithm {
    pub(super) const fn jose(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
        }
    }
}

/// One unwrapped row of the key table.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    /// Unique in the ring; opaque and refresh tokens name their key by it.
    pub number: u32,
    /// Unique in the ring, 1–64 visible ASCII characters; JWS and JWE name their key by it.
    pub kid: String,
    /// What the key is for.
    pub purpose: Purpose,
    /// `Some` exactly for purpose `jwt`.
    pub alg: Option<Algorithm>,
    /// Where the key is in its life.
    pub state: KeyState,
    /// The key itself.
    pub material: Material,
}

/// A key as the ring holds it; `K` is what its purpose needs.
pub(super) struct RingKey<K> {
    pub(super) number: u32,
    pub(super) kid: String,
    pub(super) keys: K,
}

pub(super) struct JwtKey {
    pub(super) alg: Algorithm,
    /// The header of every token that this key signs, in base64url.
    pub(super) header: String,
    pub(super) encoding: EncodingKey,
    pub(super) decoding: DecodingKey,
}

pub(super) struct SealKey {
    /// Wraps the content keys of `dat`.
    pub(super) dat: Secret<32>,
    /// Gives each session the key of its row, see [`super::sealed`].
    pub(super) prk: Secret<32>,
    /// Seals the `user_identifier_key` of client sessions.
    pub(super) identifier_key: Secret<32>,
}

pub(super) struct TokenKey {
    pub(super) refresh: Secret<32>,
    pub(super) opaque: Secret<32>,
}

/// The keys of one purpose.
pub(super) struct Shelf<K> {
    purpose: Purpose,
    active: Option<usize>,
    keys: Vec<RingKey<K>>,
}

impl<K> Shelf<K> {
    const fn empty(purpose: Purpose) -> Self {
        Self { purpose, active: None, keys: Vec::new() }
    }

    fn put(&mut self, state: KeyState, key: RingKey<K>) -> Result<(), KeyError> {
        if state == KeyState::Active && self.active.replace(self.keys.len()).is_some() {
            return Err(KeyError::Inconsistent("two active keys of one purpose"));
        }
        self.keys.push(key);
        Ok(())
    }

    /// The key that makes what is new.
    pub(super) fn active(&self) -> Result<&RingKey<K>, KeyError> {
        self.active.and_then(|index| self.keys.get(index)).ok_or(KeyError::Unavailable(self.purpose))
    }

    /// All keys, the active one first.
    pub(super) fn active_first(&self) -> Result<impl Iterator<Item = &RingKey<K>>, KeyError> {
        let active = self.active()?;
        let others = self.keys.iter();
        let others = others.filter(move |key| key.number != active.number);
        Ok(std::iter::once(active).chain(others))
    }

    // A ring has a handful of keys: a search is faster than a hash.
    pub(super) fn by_number(&self, number: u32) -> Option<&RingKey<K>> {
        self.keys.iter().find(|key| key.number == number)
    }

    pub(super) fn by_kid(&self, kid: &str) -> Option<&RingKey<K>> {
        self.keys.iter().find(|key| key.kid == kid)
    }
}

impl Shelf<JwtKey> {
    pub(super) fn by_header(&self, header: &str) -> Option<&RingKey<JwtKey>> {
        self.keys.iter().find(|key| key.keys.header == header)
    }
}

/// All usable keys of one instance.
pub struct KeyRing {
    instance: InstanceId,
    pub(super) jwt: Shelf<JwtKey>,
    pub(super) seal: Shelf<SealKey>,
    pub(super) token: Shelf<TokenKey>,
}

impl KeyRing {
    /// Builds the ring and derives every subkey once. Revoked entries are dropped unread.
    ///
    /// # Errors
    /// [`KeyError::Material`] as [`check_material`]; [`KeyError::Inconsistent`] for a repeated
    /// number or key id, a key id that is empty, long or not visible ASCII, or two active keys of
    /// one purpose.
    pub fn new(instance: InstanceId, entries: Vec<KeyEntry>) -> Result<Self, KeyError> {
        let mut ring = Self {
            instance,
            jwt: Shelf::empty(Purpose::Jwt),
            seal: Shelf::empty(Purpose::Seal),
            token: Shelf::empty(Purpose::Token),
        };
        let (mut numbers, mut kids) = (HashSet::new(), HashSet::new());
        for entry in entries {
            if entry.state == KeyState::Revoked {
                continue;
            }
            if !numbers.insert(entry.number) || !kids.insert(entry.kid.clone()) {
                return Err(KeyError::Inconsistent("a key number or key id is repeated"));
            }
            ring.add(entry)?;
        }
        Ok(ring)
    }

    fn add(&mut self, entry: KeyEntry) -> Result<(), KeyError> {
        let KeyEntry { number, kid, purpose, alg, state, material } = entry;
        if kid.is_empty() || kid.len() > 64 || !kid.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::Inconsistent("a key id is not 1-64 visible ASCII characters"));
        }
        check_material(purpose, alg, &material)?;
        // The salt binds every subkey to the instance.
        let prk = || extract(&self.instance.0, &material);
        match (purpose, alg) {
            (Purpose::Jwt, Some(alg)) => {
                self.jwt.put(state, RingKey { number, keys: jwt_key(alg, &kid, &material)?, kid })
            }
            (Purpose::Jwt, None) => Err(ALG_MISSING),
            (Purpose::Seal, _) => {
                let prk = prk();
                let keys = SealKey {
                    dat: expand(&prk, &[INFO_DAT]),
                    identifier_key: expand(&prk, &[INFO_IDENTIFIER_KEY]),
                    prk,
                };
                self.seal.put(state, RingKey { number, kid, keys })
            }
            (Purpose::Token, _) => {
                let prk = prk();
                let keys =
                    TokenKey { refresh: expand(&prk, &[INFO_REFRESH]), opaque: expand(&prk, &[INFO_OPAQUE]) };
                self.token.put(state, RingKey { number, kid, keys })
            }
        }
    }

    /// The instance that the ring belongs to.
    pub const fn instance(&self) -> InstanceId {
        self.instance
    }

    /// The number of the active key of this purpose.
    pub fn active_number(&self, purpose: Purpose) -> Option<u32> {
        match purpose {
            Purpose::Jwt => self.jwt.active().map(|key| key.number),
            Purpose::Seal => self.seal.active().map(|key| key.number),
            Purpose::Token => self.token.active().map(|key| key.number),
        }
        .ok()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("instance", &self.instance)
            .field("jwt", &self.jwt.keys.len())
            .field("seal", &self.seal.keys.len())
            .field("token", &self.token.keys.len())
            .finish()
    }
}

const ALG_MISSING: KeyError = KeyError::Inconsistent("a jwt key without an algorithm");

/// Prepares the keys in the forms that `jsonwebtoken` takes.
fn jwt_key(alg: Algorithm, kid: &str, material: &Material) -> Result<JwtKey, KeyError> {
    let (encoding, decoding) = match alg {
        Algorithm::Hs256 => {
            (EncodingKey::from_secret(material.expose()), DecodingKey::from_secret(material.expose()))
        }
        Algorithm::EdDsa => {
            let key = SigningKey::from_bytes(material.expose());
            let der = key.to_pkcs8_der().map_err(|_| KeyError::Material)?;
            let public = DecodingKey::from_ed_der(key.verifying_key().as_bytes());
            (EncodingKey::from_ed_der(der.as_bytes()), public)
        }
        Algorithm::Es256 => {
            let key = p256_key(material)?;
            let der = key.to_pkcs8_der().map_err(|_| KeyError::Material)?;
            let point = key.public_key().to_encoded_point(false);
            (EncodingKey::from_ec_der(der.as_bytes()), DecodingKey::from_ec_der(point.as_bytes()))
        }
    };
    Ok(JwtKey { alg, header: super::header::write(alg.as_str(), kid)?, encoding, decoding })
}

/// Refuses a scalar of zero or not below the order of the group.
fn p256_key(material: &Material) -> Result<p256::SecretKey, KeyError> {
    p256::SecretKey::from_slice(material.expose()).map_err(|_| KeyError::Material)
}

/// Whether fresh bytes may become a key; draw again if not.
///
/// # Errors
/// [`KeyError::Material`] for 32 zero bytes, or an ES256 scalar of zero or not below the order of
/// the group; [`KeyError::Inconsistent`] when `alg` is absent for purpose `jwt` or present for
/// another.
pub fn check_material(purpose: Purpose, alg: Option<Algorithm>, material: &Material) -> Result<(), KeyError> {
    if material.is_zero() {
        return Err(KeyError::Material);
    }
    match (purpose, alg) {
        (Purpose::Jwt, None) => Err(ALG_MISSING),
        (Purpose::Jwt, Some(Algorithm::Es256)) => p256_key(material).map(drop),
        (Purpose::Jwt, Some(Algorithm::Hs256 | Algorithm::EdDsa)) => Ok(()),
        (Purpose::Seal | Purpose::Token, None) => Ok(()),
        (Purpose::Seal | Purpose::Token, Some(_)) => {
            Err(KeyError::Inconsistent("an algorithm on a key that signs no access token"))
        }
    }
}

/// The public half of a signing key as a JWK (RFC 7517; RFC 7518, section 6.2; RFC 8037, section
/// 2). `None` for HS256, which has no public half.
///
/// # Errors
/// [`KeyError::Material`] as [`check_material`].
pub fn public_jwk(kid: &str, alg: Algorithm, material: &Material) -> Result<Option<Value>, KeyError> {
    check_material(Purpose::Jwt, Some(alg), material)?;
    let mut jwk = match alg {
        Algorithm::Hs256 => return Ok(None),
        Algorithm::EdDsa => {
            let public = SigningKey::from_bytes(material.expose()).verifying_key();
            json!({"kty": "OKP", "crv": "Ed25519", "x": to_base64url(public.as_bytes())})
        }
        Algorithm::Es256 => {
            let point = p256_key(material)?.public_key().to_encoded_point(false);
            let (Some(x), Some(y)) = (point.x(), point.y()) else {
                return Err(KeyError::Material);
            };
            json!({"kty": "EC", "crv": "P-256", "x": to_base64url(x), "y": to_base64url(y)})
        }
    };
    jwk["kid"] = json!(kid);
    jwk["alg"] = json!(alg.as_str());
    jwk["use"] = json!("sig");
    Ok(Some(jwk))
}
