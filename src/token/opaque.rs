//! Client secrets and client session tokens: a session id that only this instance can have named.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::key_ring::{KeyRing, TokenKey};
use super::primitives::{fixed_from_base64url, prefix, split_prefix, to_base64url};
use super::{AuthenticToken, Family, InstanceId, Mode, Rejected};
use crate::text_enum::text_enum;

/// Key number, session id and MAC.
const BODY: usize = 4 + 16 + 32;

text_enum! {
    /// The families whose token is opaque; the text is what the prefix begins with.
    pub enum OpaqueFamily {
        /// `cs_…`, of an account session.
        ClientSecret = "cs",
        /// `cst_…`, of a client session.
        ClientSession = "cst",
    }
}

/// The token of a session: always the same for the same arguments, so it can be shown again.
///
/// `key_number` is that of the key that made the session's first token.
///
/// # Errors
/// [`Rejected::UnknownKey`] if that key is not in the ring.
pub fn issue(
    ring: &KeyRing,
    family: OpaqueFamily,
    mode: Mode,
    key_number: u32,
    session_id: Uuid,
) -> Result<String, Rejected> {
    let key = ring.token.by_number(key_number).ok_or(Rejected::UnknownKey)?;
    let prefix = prefix(family.as_str(), mode);
    let mac = mac(&key.keys, &prefix, ring.instance(), key.number, session_id).finalize();
    let number = key.number.to_be_bytes();
    let body = [number.as_slice(), session_id.as_bytes(), &mac.into_bytes()].concat();
    Ok(prefix + &to_base64url(body))
}

/// Checks form and MAC, the latter in constant time.
pub(super) fn authenticate(ring: &KeyRing, presented: &str) -> Result<AuthenticToken, Rejected> {
    let (family, mode, text) = split_prefix(presented)
        .and_then(|(name, mode, text)| Some((OpaqueFamily::parse(name)?, mode, text)))
        .ok_or(Rejected::Malformed("not the token of a session"))?;
    let body: [u8; BODY] = fixed_from_base64url(text)
        .ok_or(Rejected::Malformed("not base64url of the length of an opaque token"))?;
    let [n0, n1, n2, n3, rest @ ..] = &body;
    let key_number = u32::from_be_bytes([*n0, *n1, *n2, *n3]);
    let (session_id, presented_mac) = rest.split_first_chunk().ok_or(Rejected::Malformed("too short"))?;
    let session_id = Uuid::from_bytes(*session_id);

    let key = ring.token.by_number(key_number).ok_or(Rejected::UnknownKey)?;
    mac(&key.keys, &prefix(family.as_str(), mode), ring.instance(), key_number, session_id)
        .verify_slice(presented_mac)
        .map_err(|_| Rejected::BadSignature)?;
    let family = match family {
        OpaqueFamily::ClientSecret => Family::Account,
        OpaqueFamily::ClientSession => Family::Client,
    };
    Ok(AuthenticToken { family, session_id, key_number, access: None })
}

/// Only the prefix varies in length, and it comes first: no two inputs are the same bytes.
fn mac(
    key: &TokenKey,
    prefix: &str,
    instance: InstanceId,
    key_number: u32,
    session_id: Uuid,
) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(key.opaque.expose())
        .expect("HMAC takes a key of any length")
        .chain_update(prefix)
        .chain_update(instance.0)
        .chain_update(key_number.to_be_bytes())
        .chain_update(session_id.as_bytes())
}
