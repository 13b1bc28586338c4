//! The signed envelope of an access token (RFC 7515, compact), with the one header that is ours.

use serde::{Deserialize, Serialize};

use super::key_ring::{KeyRing, RingKey};
use super::primitives::{from_base64url, parse_object, to_base64url};
use super::signing_key::SigningKey;
use super::{KeyError, Rejected};

/// RFC 9068, section 2.1.
const TYP: &str = "at+jwt";

/// Exactly these three members: whatever else a header can hold (`crit`, `zip`, `jku`, `jwk`,
/// `x5u`, `b64` …) only ever weakened a verifier.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// Signs a payload: header, payload and signature in base64url, joined by dots.
pub(super) fn sign(key: &RingKey<SigningKey>, payload: &[u8]) -> Result<String, KeyError> {
    let alg = key.keys.alg.as_str().to_owned();
    let header = Header { alg, typ: TYP.to_owned(), kid: key.kid.clone() };
    let header = serde_json::to_vec(&header).map_err(|_| KeyError::Encoding)?;
    let input = format!("{}.{}", to_base64url(header), to_base64url(payload));
    let signature = key.keys.sign(&input)?;
    Ok(input + "." + &signature)
}

/// Checks header and signature; returns the number of the key and the payload, which is authentic.
///
/// The key comes from `kid`, the algorithm from the key; the header's `alg` must agree.
pub(super) fn verify(ring: &KeyRing, token: &str) -> Result<(u32, Vec<u8>), Rejected> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Rejected::Malformed("not three parts"));
    };
    let signing_input = &token[..header.len() + 1 + payload.len()];
    if header.is_empty() || payload.is_empty() || signature.is_empty() {
        return Err(Rejected::Malformed("an empty part"));
    }

    let key = key_of(ring, header)?;
    if !key.keys.has_signed(signing_input, signature) {
        return Err(Rejected::BadSignature);
    }
    let payload = from_base64url(payload).ok_or(Rejected::Malformed("a part is not base64url"))?;
    Ok((key.number, payload))
}

fn key_of<'a>(ring: &'a KeyRing, header: &str) -> Result<&'a RingKey<SigningKey>, Rejected> {
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
