//! API keys: random text, of which only a hash and a hint are stored.

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

/// The text of a new API key: prefix + base64url of the random bytes, 51 characters.
pub fn make(kind: ApiKeyKind, mode: Mode, random: [u8; 32]) -> Zeroizing<String> {
    let random = Zeroizing::new(random);
    let encoded = Zeroizing::new(to_base64url(*random));
    Zeroizing::new([prefix(name(kind), mode).as_str(), &encoded].concat())
}

/// SHA-256 of the whole text of an API key. It needs no salt or stretching: the text has 256 random bits.
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Whether a text has exactly the form that [`make`] gives. Whether it is an API key, the stored hash decides.
pub fn is_well_formed(text: &str) -> bool {
    split_prefix(text).is_some_and(|(found, _, random)| {
        let random = fixed_from_base64url::<32>(random).map(Zeroizing::new);
        random.is_some() && ApiKeyKind::ALL.iter().any(|kind| name(*kind) == found)
    })
}

/// The last four characters, by which a person recognises the key.
pub fn hint(text: &str) -> &str {
    text.len().checked_sub(4).and_then(|start| text.get(start..)).unwrap_or_default()
}
