//! The one JOSE header that our access tokens have.

use serde::{Deserialize, Serialize};

use super::KeyError;
use super::primitives::to_base64url;

/// RFC 9068, section 2.1.
pub(super) const TYP: &str = "at+jwt";

/// Exactly these three members: whatever else a header can hold (`crit`, `zip`, `jku`, `jwk`,
/// `x5u`, `b64` …) only ever weakened a verifier.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) typ: String,
    pub(super) kid: String,
}

/// The header of every token that a key signs, in base64url.
pub(super) fn write(alg: &str, kid: &str) -> Result<String, KeyError> {
    let header = Header { alg: alg.to_owned(), typ: TYP.to_owned(), kid: kid.to_owned() };
    let header = serde_json::to_vec(&header).map_err(|_| KeyError::Encoding)?;
    Ok(to_base64url(header))
}
