//! The `dat` claim: session data as a compact JWE (RFC 7516, section 7.1) with `A256KW`
//! (RFC 7518, section 4.4) and `A256GCM` (section 5.3).

use aes_kw::KekAes256;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::primitives::{
    NONCE, TAG, fixed_from_base64url, from_base64url, gcm_open, gcm_seal, parse_object, to_base64url,
};
use super::{KeyError, Rejected, Secret};

const ALG: &str = "A256KW";
const ENC: &str = "A256GCM";
/// Bytes of a content key under A256KW: the key and 8 bytes of integrity check.
const WRAPPED_KEY: usize = 40;

/// Exactly these three members; `zip` above all is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    enc: String,
    kid: String,
}

/// Encrypts `plaintext` for the holder of `kek`.
///
/// `random` is the content key (32 bytes) ‖ the nonce (12), fresh for each call: a content key is
/// used once, so nonces need no budget. The header's base64url text is the associated data.
///
/// # Errors
/// [`KeyError::Encoding`] if it cannot be written, which no plaintext of a session reaches.
pub fn encrypt(kek: &Secret<32>, kid: &str, plaintext: &[u8], random: &[u8; 44]) -> Result<String, KeyError> {
    let content_key = Secret::<32>::fill_with(|out| out.copy_from_slice(&random[..32]));
    let nonce: [u8; NONCE] = std::array::from_fn(|index| random[32 + index]);

    let header = Header { alg: ALG.to_owned(), enc: ENC.to_owned(), kid: kid.to_owned() };
    let header = to_base64url(serde_json::to_vec(&header).map_err(|_| KeyError::Encoding)?);
    let mut wrapped = [0; WRAPPED_KEY];
    KekAes256::from(*kek.expose())
        .wrap(content_key.expose(), &mut wrapped)
        .map_err(|_| KeyError::Encoding)?;
    let sealed = gcm_seal(&content_key, &nonce, header.as_bytes(), plaintext).ok_or(KeyError::Encoding)?;
    let (_, body) = sealed.split_at(NONCE);
    let (ciphertext, tag) = body.split_at(body.len() - TAG);

    let parts = [wrapped.as_slice(), &nonce, ciphertext, tag];
    Ok(parts.into_iter().fold(header, |token, part| token + "." + &to_base64url(part)))
}

/// The parts of a compact JWE: header, wrapped key, nonce, ciphertext and tag.
fn split(token: &str) -> Result<[&str; 5], Rejected> {
    if token.len() > super::MAX_TOKEN_BYTES {
        return Err(Rejected::TooLong);
    }
    let parts: Vec<&str> = token.splitn(6, '.').collect();
    parts.try_into().map_err(|_| Rejected::Malformed("not five parts"))
}

/// The key that the header names, which is not authenticated before [`decrypt`].
pub(super) fn key_id(token: &str) -> Result<String, Rejected> {
    let [header, ..] = split(token)?;
    read_header(header).map(|header| header.kid)
}

fn read_header(header: &str) -> Result<Header, Rejected> {
    let json = from_base64url(header).ok_or(NOT_BASE64)?;
    let header: Header = parse_object(&json)
        .ok_or(Rejected::Header("not an object of exactly the strings alg, enc and kid"))?;
    if header.alg != ALG || header.enc != ENC {
        return Err(Rejected::Header("not A256KW with A256GCM"));
    }
    Ok(header)
}

const NOT_BASE64: Rejected = Rejected::Malformed("a part is not base64url of its length");

/// Decrypts what [`encrypt`] made with the same `kek`.
///
/// # Errors
/// [`Rejected::TooLong`], [`Rejected::Malformed`] and [`Rejected::Header`] for another form,
/// [`Rejected::BadSignature`] for another key or altered bytes.
pub fn decrypt(kek: &Secret<32>, token: &str) -> Result<Zeroizing<Vec<u8>>, Rejected> {
    let [header, wrapped, nonce, ciphertext, tag] = split(token)?;
    read_header(header)?;
    let wrapped: [u8; WRAPPED_KEY] = fixed_from_base64url(wrapped).ok_or(NOT_BASE64)?;
    let nonce: [u8; NONCE] = fixed_from_base64url(nonce).ok_or(NOT_BASE64)?;
    let ciphertext = from_base64url(ciphertext).ok_or(NOT_BASE64)?;
    let tag: [u8; TAG] = fixed_from_base64url(tag).ok_or(NOT_BASE64)?;

    let mut unwrapped = Ok(());
    let content_key = Secret::<32>::fill_with(|out| {
        unwrapped = KekAes256::from(*kek.expose()).unwrap(&wrapped, out);
    });
    unwrapped.map_err(|_| Rejected::BadSignature)?;
    let sealed = [nonce.as_slice(), &ciphertext, &tag].concat();
    gcm_open(&content_key, header.as_bytes(), &sealed).ok_or(Rejected::BadSignature)
}
