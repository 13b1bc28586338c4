//! The keys that sign access tokens, by algorithm. Signing is deterministic with each.

use ed25519_dalek::pkcs8::{EncodePrivateKey, KeypairBytes};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{DecodingKey, EncodingKey, crypto};
use p256::ecdsa::Signature;
use serde_json::{Value, json};

use super::primitives::{from_base64url, to_base64url};
use super::{KeyError, Secret};
use crate::text_enum::text_enum;

/// The bytes of a key: an HS256 secret, an Ed25519 seed, a P-256 scalar (big endian), or, for
/// purposes `seal` and `token`, the input of HKDF. Its type makes a short HMAC key impossible.
pub type Material = Secret<32>;

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

/// A key that signs access tokens and checks their signatures.
pub(super) struct SigningKey {
    pub(super) alg: Algorithm,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl SigningKey {
    /// The key of this algorithm with these bytes.
    ///
    /// # Errors
    /// [`KeyError::Material`] for an ES256 scalar of zero or not below the order of the group.
    pub(super) fn new(alg: Algorithm, material: &Material) -> Result<Self, KeyError> {
        let encoding = encoding_key(alg, material)?;
        let decoding = match public_half(alg, &encoding)? {
            Some(jwk) => DecodingKey::from_jwk(&jwk).map_err(|_| KeyError::Material)?,
            None => DecodingKey::from_secret(material.expose()),
        };
        Ok(Self { alg, encoding, decoding })
    }

    /// The signature of a text, in base64url.
    pub(super) fn sign(&self, text: &str) -> Result<String, KeyError> {
        let signature =
            crypto::sign(text.as_bytes(), &self.encoding, self.alg.jose()).map_err(|_| KeyError::Material)?;
        Ok(self.lower_of_two(&signature).unwrap_or(signature))
    }

    /// Whether `signature`, in canonical base64url, is the key's for this text.
    pub(super) fn has_signed(&self, text: &str, signature: &str) -> bool {
        let is_true = crypto::verify(signature, text.as_bytes(), &self.decoding, self.alg.jose());
        is_true.unwrap_or(false) && self.lower_of_two(signature).is_none()
    }

    /// The other one of the two ES256 signatures (r, s) and (r, n − s), where this is the one with the greater s.
    /// Both are true; only the one with the lower s is ours, so that a token has one spelling.
    fn lower_of_two(&self, signature: &str) -> Option<String> {
        if self.alg != Algorithm::Es256 {
            return None;
        }
        let signature = Signature::from_slice(&from_base64url(signature)?).ok()?;
        signature.normalize_s().map(|lower| to_base64url(lower.to_bytes()))
    }
}

impl Algorithm {
    const fn jose(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
        }
    }
}

/// A key in the form in which `jsonwebtoken` signs with it.
fn encoding_key(alg: Algorithm, material: &Material) -> Result<EncodingKey, KeyError> {
    let secret = material.expose();
    Ok(match alg {
        Algorithm::Hs256 => EncodingKey::from_secret(secret),
        Algorithm::EdDsa => {
            let pair = KeypairBytes { secret_key: *secret, public_key: None };
            EncodingKey::from_ed_der(pair.to_pkcs8_der().map_err(|_| KeyError::Material)?.as_bytes())
        }
        Algorithm::Es256 => {
            let key = p256::SecretKey::from_slice(secret).map_err(|_| KeyError::Material)?;
            EncodingKey::from_ec_der(key.to_pkcs8_der().map_err(|_| KeyError::Material)?.as_bytes())
        }
    })
}

/// The public half of a key. `None` for HS256, which has none.
fn public_half(alg: Algorithm, key: &EncodingKey) -> Result<Option<Jwk>, KeyError> {
    if alg == Algorithm::Hs256 {
        return Ok(None);
    }
    Jwk::from_encoding_key(key, alg.jose()).map(Some).map_err(|_| KeyError::Material)
}

/// The public half of a signing key as a JWK (RFC 7517; RFC 7518, section 6.2; RFC 8037, section
/// 2). `None` for HS256, which has no public half.
///
/// # Errors
/// As [`SigningKey::new`].
pub fn public_jwk(kid: &str, alg: Algorithm, material: &Material) -> Result<Option<Value>, KeyError> {
    let jwk = public_half(alg, &encoding_key(alg, material)?)?;
    Ok(jwk.map(|mut jwk| {
        jwk.common.key_id = Some(kid.to_owned());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        json!(jwk)
    }))
}
