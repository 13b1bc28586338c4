//! The `dat` claim: session data as a compact JWE (RFC 7516, section 7.1) with `A256KW`
//! (RFC 7518, section 4.4) and `A256GCM` (section 5.3).

use aes_kw::KekAes256;
use serde_json::json;

use super::primitives::{NONCE, TAG, gcm_seal, to_base64url};
use super::{KeyError, Secret};

/// Bytes of a content key under A256KW: the key and 8 bytes of integrity check.
const WRAPPED_KEY: usize = 40;

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

    let header = to_base64url(json!({"alg": "A256KW", "enc": "A256GCM", "kid": kid}).to_string());
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
