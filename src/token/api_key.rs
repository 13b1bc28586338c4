//! API keys: random text, of which only a hash and a hint are stored.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Mode;
use super::primitives::{fixed_from_base64url, prefix, split_prefix, to_base64url};
use crate::text_enum::text_enum;

text_enum! {
    /// What an API key may be used for.
    pub enum ApiKeyKind {
        /// `sk_…`: for a backend.
        Secret = "secret",
        /// `pk_…`: may be seen by a browser.
        Publishable = "publishable",
    }
}

const fn name(kind: ApiKeyKind) -> &'static str {
    match kind {
        ApiKeyKind::Secret => "sk",
        ApiKeyKind::Publishable => "pk",
    }
}

/// The text of a new API key: overwritten when dropped, absent from `Debug`.
pub struct ApiKeyText(Zeroizing<String>);

impl ApiKeyText {
    /// The text, to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyText(redacted)")
    }
}

/// Prefix + base64url of the random bytes: 51 characters.
pub fn make(kind: ApiKeyKind, mode: Mode, random: [u8; 32]) -> ApiKeyText {
    let random = Zeroizing::new(random);
    let encoded = Zeroizing::new(to_base64url(*random));
    ApiKeyText(Zeroizing::new([prefix(name(kind), mode).as_str(), &encoded].concat()))
}

/// A text that has the form of an API key; whether it is one, the stored hash decides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PresentedApiKey {
    /// The kind that its prefix claims. The stored row rules.
    pub kind: ApiKeyKind,
    /// The mode that its prefix claims. The stored row rules.
    pub mode: Mode,
    /// SHA-256 of the whole text. It needs no salt or stretching: the text has 256 random bits.
    pub hash: [u8; 32],
}

impl fmt::Debug for PresentedApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedApiKey")
            .field("kind", &self.kind)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// Reads a presented API key. `None` if it has not exactly the form that [`make`] gives.
pub fn parse(presented: &str) -> Option<PresentedApiKey> {
    let (found, mode, text) = split_prefix(presented)?;
    let kind = ApiKeyKind::ALL.iter().copied().find(|kind| name(*kind) == found)?;
    fixed_from_base64url::<32>(text).map(Zeroizing::new)?;
    Some(PresentedApiKey { kind, mode, hash: Sha256::digest(presented).into() })
}

/// The last four characters, by which a person recognises the key.
pub fn hint(text: &ApiKeyText) -> &str {
    let text = text.expose();
    text.len().checked_sub(4).and_then(|start| text.get(start..)).unwrap_or_default()
}
