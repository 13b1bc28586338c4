//! The root key: it wraps the keys of the ring and does nothing else.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::primitives::{NONCE, expand, extract, gcm_open, gcm_seal};
use super::{KeyError, Material, Secret};

const INFO_WRAP: &[u8] = b"dialstack_sessions/v1/root/wrap";
const INFO_FINGERPRINT: &[u8] = b"dialstack_sessions/v1/root/fingerprint";

/// 256 random bits that wrap the ring.
#[derive(Clone, Debug)]
pub struct RootKey(Secret<32>);

impl From<[u8; 32]> for RootKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }
}

impl RootKey {
    /// The bytes, for the row that keeps them where no key file is set.
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Reads the text of a key file: 64 hexadecimal digits, or base64 or base64url of 32 bytes
    /// (43 characters, or 44 with the padding). White space around it is ignored.
    ///
    /// # Errors
    /// [`KeyError::Encoding`] for any other text, [`KeyError::Material`] for 32 zero bytes.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim_ascii();
        let bytes = match text.len() {
            64 => from_hex(text),
            43 => from_any_base64(text),
            44 => text.strip_suffix('=').and_then(from_any_base64),
            _ => None,
        };
        let key = bytes
            .filter(|bytes| bytes.len() == 32)
            .map(|bytes| Secret::fill_with(|out| out.copy_from_slice(&bytes)))
            .ok_or(KeyError::Encoding)?;
        // As memory that nobody filled is.
        if *key.expose() == [0; 32] {
            return Err(KeyError::Material);
        }
        Ok(Self(key))
    }

    /// HKDF with no salt: the root is uniformly random.
    fn subkey(&self, info: &[u8]) -> Secret<32> {
        expand(&extract(&[], &self.0), &[info])
    }
}

fn from_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect::<Option<Vec<u8>>>()
        .map(Zeroizing::new)
}

fn from_any_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok().map(Zeroizing::new)
}

/// Wraps the material of the key `kid`: nonce (12 bytes) ‖ ciphertext (32) ‖ tag (16).
///
/// `nonce` must be random. `kid` is authenticated, so a row cannot be passed off as another.
pub fn wrap(root: &RootKey, kid: &str, nonce: [u8; NONCE], material: &Material) -> Vec<u8> {
    gcm_seal(&root.subkey(INFO_WRAP), &nonce, kid.as_bytes(), material.expose())
        .expect("32 bytes are below the limit of AES-GCM")
}

/// Undoes [`wrap`].
///
/// # Errors
/// [`KeyError::Unwrap`] for another root key, another `kid` or altered bytes.
pub fn unwrap(root: &RootKey, kid: &str, wrapped: &[u8]) -> Result<Material, KeyError> {
    gcm_open(&root.subkey(INFO_WRAP), kid.as_bytes(), wrapped)
        .filter(|bytes| bytes.len() == 32)
        .map(|bytes| Secret::fill_with(|out| out.copy_from_slice(&bytes)))
        .ok_or(KeyError::Unwrap)
}

/// Tells which root key wrapped a ring, and nothing about the key.
pub fn fingerprint(root: &RootKey) -> [u8; 8] {
    let subkey = root.subkey(INFO_FINGERPRINT);
    std::array::from_fn(|index| subkey.expose()[index])
}
