//! What several formats share: bytes that must not be shown, base64url, HKDF-SHA256, AES-256-GCM and AES-256-GCM-SIV.

use std::fmt;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use serde::Deserialize;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::Mode;

/// `N` secret bytes: overwritten when dropped, absent from `Debug`, and not to be compared.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes the bytes over. The caller's own copy, if one remains, is the caller's to overwrite.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// The bytes themselves. Named so that every place that reads a secret is easy to find.
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// Filled in place, so that no second copy is left on the stack.
    pub(super) fn fill_with(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self([0; N]);
        fill(&mut secret.0);
        secret
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>(redacted)")
    }
}

/// Bytes of an AES-GCM nonce.
pub(super) const NONCE: usize = 12;
/// Bytes of an AES-GCM authentication tag.
pub(super) const TAG: usize = 16;

/// What an opaque token, a refresh token and an API key begin with: `<name>_<mode>_`.
pub(super) fn prefix(name: &str, mode: Mode) -> String {
    [name, "_", mode.as_str(), "_"].concat()
}

/// Takes a text apart that begins with a [`prefix`]: its name, its mode and what follows.
pub(super) fn split_prefix(presented: &str) -> Option<(&str, Mode, &str)> {
    let (name, rest) = presented.split_once('_')?;
    let (mode, text) = rest.split_once('_')?;
    Some((name, Mode::parse(mode)?, text))
}

pub(super) fn to_base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Canonical only: padding, whitespace, the other alphabet and stray trailing bits are refused, so
/// that no two texts mean the same bytes.
pub(super) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// As [`from_base64url`], of exactly `N` bytes; a text of any other length costs no work.
pub(super) fn fixed_from_base64url<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 4).div_ceil(3) {
        return None;
    }
    from_base64url(text)?.try_into().ok()
}

/// HKDF-Extract (RFC 5869, section 2.2). An empty salt stands for the default of 32 zero bytes.
pub(super) fn extract(salt: &[u8], key: &Secret<32>) -> Secret<32> {
    let (mut prk, _) = Hkdf::<Sha256>::extract(Some(salt), key.expose());
    let secret = Secret::fill_with(|out| out.copy_from_slice(&prk));
    prk.as_mut_slice().zeroize();
    secret
}

/// HKDF-Expand (RFC 5869, section 2.3) to 32 bytes; the pieces of `info` are concatenated.
pub(super) fn expand(prk: &Secret<32>, info: &[&[u8]]) -> Secret<32> {
    Secret::fill_with(|out| {
        Hkdf::<Sha256>::from_prk(prk.expose())
            .expect("32 bytes are as many as SHA-256 gives")
            .expand_multi_info(info, out)
            .expect("32 bytes are below the 8160 that HKDF-SHA256 can give");
    })
}

/// nonce ‖ ciphertext ‖ tag. `None` only past the 64 GiB that AES-GCM can take.
pub(super) fn gcm_seal(
    key: &Secret<32>,
    nonce: &[u8; NONCE],
    aad: &[u8],
    plaintext: &[u8],
) -> Option<Vec<u8>> {
    let cipher = Aes256Gcm::new(key.expose().into());
    let ciphertext = cipher.encrypt(nonce.into(), Payload { msg: plaintext, aad }).ok()?;
    Some([nonce.as_slice(), &ciphertext].concat())
}

/// Opens what [`gcm_seal`] made. `None` when anything differs.
pub(super) fn gcm_open(key: &Secret<32>, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>()?;
    let cipher = Aes256Gcm::new(key.expose().into());
    let plaintext = cipher.decrypt(nonce.into(), Payload { msg: ciphertext, aad }).ok()?;
    Some(Zeroizing::new(plaintext))
}

/// Ciphertext ‖ tag by AES-256-GCM-SIV with a nonce of zeros: the same for the same arguments, always. The nonce may
/// be constant because GCM-SIV (RFC 8452, section 1) then reveals equality only. `None` only past 64 GiB.
pub(super) fn siv_seal(key: &Secret<32>, aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
    Aes256GcmSiv::new(key.expose().into()).encrypt(&Nonce::default(), Payload { msg: plaintext, aad }).ok()
}

/// Opens what [`siv_seal`] made. `None` when anything differs.
pub(super) fn siv_open(key: &Secret<32>, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    Aes256GcmSiv::new(key.expose().into())
        .decrypt(&Nonce::default(), Payload { msg: sealed, aad })
        .map(Zeroizing::new)
        .ok()
}

/// Reads a JSON object into a struct; a derived `Deserialize` would take an array as well.
pub(super) fn parse_object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    if json.first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(json).ok()
}
