//! The signed envelope of an access token (RFC 7515, compact), with the one header that is ours.

use jsonwebtoken::{DecodingKey, crypto};
use p256::ecdsa::Signature;

use super::header::{Header, TYP};
use super::key_ring::{Algorithm, JwtKey, KeyRing, RingKey};
use super::primitives::{from_base64url, parse_object, to_base64url};
use super::{KeyError, Rejected};

/// Signs a payload: header, payload and signature in base64url, joined by dots.
pub(super) fn sign(key: &RingKey<JwtKey>, payload: &[u8]) -> Result<String, KeyError> {
    let mut token = format!("{}.{}", key.keys.header, to_base64url(payload));
    let signature = crypto::sign(token.as_bytes(), &key.keys.encoding, key.keys.alg.jose())
        .map_err(|_| KeyError::Material)?;
    token.push('.');
    match lower_of_two(key.keys.alg, &signature) {
        Some(lower) => token.push_str(&lower),
        None => token.push_str(&signature),
    }
    Ok(token)
}

/// The other one of the two ES256 signatures (r, s) and (r, n − s), where this is the one with the greater s.
/// Both are true; only the one with the lower s is ours, so that a token has one spelling.
fn lower_of_two(alg: Algorithm, signature: &str) -> Option<String> {
    if alg != Algorithm::Es256 {
        return None;
    }
    let signature = Signature::from_slice(&from_base64url(signature)?).ok()?;
    signature.normalize_s().map(|lower| to_base64url(lower.to_bytes()))
}

/// Checks header and signature; returns the number of the key and the payload, which is authentic.
///
/// The key comes from `kid`, the algorithm from the key; the header's `alg` must agree.
pub(super) fn verify(ring: &KeyRing, token: &str) -> Result<(u32, Vec<u8>), Rejected> {
    let (signing_input, signature) = token.rsplit_once('.').ok_or(Rejected::Malformed("not three parts"))?;
    let (header, payload) = signing_input.split_once('.').ok_or(Rejected::Malformed("not three parts"))?;
    if payload.contains('.') {
        return Err(Rejected::Malformed("not three parts"));
    }
    if header.is_empty() || payload.is_empty() || signature.is_empty() {
        return Err(Rejected::Malformed("an empty part"));
    }

    let key = key_of(ring, header)?;
    let alg = key.keys.alg;
    if !signature_matches(&key.keys.decoding, alg, signing_input, signature)
        || lower_of_two(alg, signature).is_some()
    {
        return Err(Rejected::BadSignature);
    }
    let payload = from_base64url(payload).ok_or(Rejected::Malformed("a part is not base64url"))?;
    Ok((key.number, payload))
}

fn key_of<'a>(ring: &'a KeyRing, header: &str) -> Result<&'a RingKey<JwtKey>, Rejected> {
    // As we write it ourselves: there is nothing to parse.
    if let Some(key) = ring.jwt.by_header(header) {
        return Ok(key);
    }
    let json = from_base64url(header).ok_or(Rejected::Malformed("a part is not base64url"))?;
    let header: Header = parse_object(&json)
        .ok_or(Rejected::Header("not an object of exactly the strings alg, typ and kid"))?;
    if header.typ != TYP {
        return Err(Rejected::Header("typ is not at+jwt"));
    }
    let key = ring.jwt.by_kid(&header.kid).ok_or(Rejected::UnknownKey)?;
    if header.alg != key.keys.alg.as_str() {
        return Err(Rejected::Header("alg is not the algorithm of the key"));
    }
    Ok(key)
}

/// Whether `signature`, in canonical base64url, is the key's for this text.
pub(super) fn signature_matches(
    key: &DecodingKey,
    alg: Algorithm,
    signing_input: &str,
    signature: &str,
) -> bool {
    crypto::verify(signature, signing_input.as_bytes(), key, alg.jose()).unwrap_or(false)
}
