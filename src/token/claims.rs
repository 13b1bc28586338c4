//! The claims of an access token, read strictly: what is not expected is refused.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::primitives::parse_object;
use super::{InstanceId, KeyError, Rejected};

/// The last second of the year 9999: no claim of time lies beyond what a timestamp can hold.
const MAX_TIME: i64 = 253_402_300_799;

/// What an access token says about its session, besides the session data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// The product; with `env` it makes the audience. `[A-Za-z0-9._-]{1,63}`.
    pub product: String,
    /// The environment. `[A-Za-z0-9._-]{1,63}`.
    pub env: String,
    /// The definition's name. `[A-Za-z0-9._-]{1,63}`.
    pub tag: String,
    /// The identifier of the user: 1–255 characters, no NUL.
    pub subject: String,
    pub session_id: Uuid,
    /// Unix seconds, 0 to the end of the year 9999.
    pub issued_at: i64,
    /// Unix seconds, 0 to the end of the year 9999. Nothing here compares it with the clock.
    pub expires_at: i64,
    /// Unique to the token.
    pub token_id: Uuid,
    /// What of the session data everybody may read who sees the token.
    pub public: Map<String, Value>,
}

/// The claims on the wire (RFC 9068, section 2.2, and `sid`, `tag`, `dat`, `public`).
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    iss: String,
    aud: String,
    client_id: String,
    sub: String,
    sid: String,
    tag: String,
    iat: i64,
    exp: i64,
    jti: String,
    dat: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    public: Map<String, Value>,
}

/// A claim that is out of its range.
fn out_of_range(claims: &AccessClaims) -> Option<&'static str> {
    let times = 0..=MAX_TIME;
    let ranges = [
        ("client_id", is_name(&claims.product)),
        ("aud", is_name(&claims.env)),
        ("tag", is_name(&claims.tag)),
        ("sub", is_subject(&claims.subject)),
        ("iat", times.contains(&claims.issued_at)),
        ("exp", times.contains(&claims.expires_at)),
    ];
    ranges.into_iter().find(|(_, holds)| !holds).map(|(claim, _)| claim)
}

/// Writes the payload. Refuses claims that [`read`] would refuse.
pub(super) fn write(instance: InstanceId, claims: &AccessClaims, dat: String) -> Result<Vec<u8>, KeyError> {
    if out_of_range(claims).is_some() {
        return Err(KeyError::Encoding);
    }
    let wire = Wire {
        iss: instance.issuer(),
        aud: format!("{}/{}", claims.product, claims.env),
        client_id: claims.product.clone(),
        sub: claims.subject.clone(),
        sid: claims.session_id.to_string(),
        tag: claims.tag.clone(),
        iat: claims.issued_at,
        exp: claims.expires_at,
        jti: claims.token_id.to_string(),
        dat,
        public: claims.public.clone(),
    };
    serde_json::to_vec(&wire).map_err(|_| KeyError::Encoding)
}

/// Reads an authentic payload. `dat` is not opened: the row has the session data as it is now.
pub(super) fn read(instance: InstanceId, payload: &[u8]) -> Result<AccessClaims, Rejected> {
    let wire: Wire = parse_object(payload)
        .ok_or(Rejected::Claim("not an object of exactly the expected claims, once each, of their types"))?;
    if wire.iss != instance.issuer() {
        return Err(Rejected::WrongInstance);
    }
    let env = wire.aud.strip_prefix(&wire.client_id).and_then(|rest| rest.strip_prefix('/'));
    let claims = AccessClaims {
        env: env.ok_or(Rejected::Claim("aud"))?.to_owned(),
        session_id: canonical_uuid(&wire.sid).ok_or(Rejected::Claim("sid"))?,
        token_id: canonical_uuid(&wire.jti).ok_or(Rejected::Claim("jti"))?,
        issued_at: wire.iat,
        expires_at: wire.exp,
        product: wire.client_id,
        tag: wire.tag,
        subject: wire.sub,
        public: wire.public,
    };
    if wire.dat.is_empty() {
        return Err(Rejected::Claim("dat"));
    }
    out_of_range(&claims).map_or(Ok(claims), |claim| Err(Rejected::Claim(claim)))
}

/// Longest name of a product, environment, tag or scope, in bytes (they are ASCII).
pub const MAX_NAME: usize = 63;

/// Whether a text may name a product, environment, tag or scope: `[A-Za-z0-9._-]{1,63}`. It has
/// no `/` and no `:`, so `aud` and the form `tag:jwt` can be taken apart in one way only.
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// NUL has no place in a PostgreSQL text.
fn is_subject(text: &str) -> bool {
    (1..=255).contains(&text.chars().count()) && !text.contains('\0')
}

/// Lower case with hyphens only: one text for one id.
fn canonical_uuid(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(id)
}
