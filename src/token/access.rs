//! Access tokens: a JWS in the shape of RFC 9068 that carries the session data encrypted.

use super::claims::{self, MAX_NAME, is_name};
use super::key_ring::KeyRing;
use super::{AuthenticToken, Family, KeyError, MAX_DATA_BYTES, MAX_TOKEN_BYTES, Rejected, jwe, jws};

pub use super::claims::AccessClaims;

/// Characters of an EdDSA or ES256 signature (64 bytes) in base64url.
const LONGEST_SIGNATURE: usize = 86;

/// Makes an access token with the active keys.
///
/// `data` is the session data, JSON text of at most [`MAX_DATA_BYTES`]; `random` as
/// [`jwe::encrypt`] wants it.
///
/// # Errors
/// [`KeyError::Unavailable`] without an active `jwt` or `seal` key; [`KeyError::Encoding`] for
/// claims outside their ranges; [`KeyError::TooLarge`] for too much data, or a token that would be
/// over [`MAX_TOKEN_BYTES`] in its form `tag:jwt` (long identifiers outside ASCII can do that).
pub fn issue(
    ring: &KeyRing,
    claims: &AccessClaims,
    data: &[u8],
    random: &[u8; 44],
) -> Result<String, KeyError> {
    if data.len() > MAX_DATA_BYTES {
        return Err(KeyError::TooLarge);
    }
    let (signer, sealer) = (ring.jwt.active()?, ring.seal.active()?);
    let dat = jwe::encrypt(&sealer.keys.dat, &sealer.kid, data, random)?;
    let token = jws::sign(signer, &claims::write(ring.instance(), claims, dat)?)?;
    // As if with the longest signature: a session must not outgrow its token when the algorithm changes.
    let unsigned = token.rfind('.').map_or(token.len(), |dot| dot + 1);
    if claims.tag.len() + 1 + unsigned + LONGEST_SIGNATURE > MAX_TOKEN_BYTES {
        return Err(KeyError::TooLarge);
    }
    Ok(token)
}

/// Checks everything but `exp`. Takes the token bare or as `tag:jwt`, of at most [`MAX_TOKEN_BYTES`].
pub(super) fn authenticate(ring: &KeyRing, text: &str) -> Result<AuthenticToken, Rejected> {
    // A colon further on is no tag's, and no token has one.
    let colon = text.bytes().take(MAX_NAME + 1).position(|byte| byte == b':');
    let (tag, token) = match colon {
        Some(at) => (Some(&text[..at]), &text[at + 1..]),
        None => (None, text),
    };
    if tag.is_some_and(|tag| !is_name(tag)) {
        return Err(Rejected::Malformed("what stands before the colon is no tag"));
    }
    let (key_number, payload) = jws::verify(ring, token)?;
    let claims = claims::read(ring.instance(), &payload)?;
    if tag.is_some_and(|tag| tag != claims.tag) {
        return Err(Rejected::Claim("tag is not the one before the colon"));
    }
    Ok(AuthenticToken {
        family: Family::User,
        session_id: claims.session_id,
        key_number,
        access: Some(claims),
    })
}
