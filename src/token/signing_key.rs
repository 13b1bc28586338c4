//! The keys that sign access tokens, by algorithm. Signing is deterministic with each.

use ed25519_dalek::Verifier;
use ed25519_dalek::ed25519::signature::Signer;
use hmac::{Hmac, Mac};
use p256::ecdsa;
use serde_json::{Value, json};
use sha2::Sha256;

use super::primitives::to_base64url;
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
pub(super) enum SigningKey {
    Hs256(Material),
    EdDsa(Box<ed25519_dalek::SigningKey>),
    Es256(Box<ecdsa::SigningKey>),
}

impl SigningKey {
    /// The key of this algorithm with these bytes.
    ///
    /// # Errors
    /// [`KeyError::Material`] for an ES256 scalar of zero or not below the order of the group.
    pub(super) fn new(alg: Algorithm, material: &Material) -> Result<Self, KeyError> {
        Ok(match alg {
            Algorithm::Hs256 => Self::Hs256(material.clone()),
            Algorithm::EdDsa => {
                Self::EdDsa(Box::new(ed25519_dalek::SigningKey::from_bytes(material.expose())))
            }
            Algorithm::Es256 => {
                let key = ecdsa::SigningKey::from_slice(material.expose());
                Self::Es256(Box::new(key.map_err(|_| KeyError::Material)?))
            }
        })
    }

    pub(super) const fn alg(&self) -> Algorithm {
        match self {
            Self::Hs256(_) => Algorithm::Hs256,
            Self::EdDsa(_) => Algorithm::EdDsa,
            Self::Es256(_) => Algorithm::Es256,
        }
    }

    /// The signature of a text.
    pub(super) fn sign(&self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Hs256(secret) => hmac(secret, text).finalize().into_bytes().to_vec(),
            Self::EdDsa(key) => key.sign(text).to_vec(),
            Self::Es256(key) => {
                let signature: ecdsa::Signature = key.sign(text);
                signature.normalize_s().unwrap_or(signature).to_bytes().to_vec()
            }
        }
    }

    /// Whether this is the key's signature of the text. Of the two ES256 signatures (r, s) and (r, n − s), which are
    /// both true, only that with the lower s is ours, so that a token has one spelling.
    pub(super) fn has_signed(&self, text: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hs256(secret) => hmac(secret, text).verify_slice(signature).is_ok(),
            Self::EdDsa(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(text, &signature).is_ok()),
            Self::Es256(key) => ecdsa::Signature::from_slice(signature).is_ok_and(|signature| {
                signature.normalize_s().is_none() && key.verifying_key().verify(text, &signature).is_ok()
            }),
        }
    }
}

fn hmac(secret: &Material, text: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(secret.expose())
        .expect("HMAC takes a key of any length")
        .chain_update(text)
}

/// The public half of a signing key as a JWK (RFC 7517; RFC 7518, section 6.2; RFC 8037, section
/// 2). `None` for HS256, which has no public half.
///
/// # Errors
/// [`KeyError::Material`] for an ES256 scalar of zero or not below the order of the group.
pub fn public_jwk(kid: &str, alg: Algorithm, material: &Material) -> Result<Option<Value>, KeyError> {
    let mut jwk = match SigningKey::new(alg, material)? {
        SigningKey::Hs256(_) => return Ok(None),
        SigningKey::EdDsa(key) => {
            let public = key.verifying_key();
            json!({"kty": "OKP", "crv": "Ed25519", "x": to_base64url(public.as_bytes())})
        }
        SigningKey::Es256(key) => {
            let point = key.verifying_key().to_encoded_point(false);
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
