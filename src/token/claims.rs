//! The claims of an access token, read strictly: what is not expected is refused.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::primitives::parse_object;
use super::{InstanceId, KeyError, Rejected};

/// The last second of the year 9999: no claim of time lies beyond what a timestamp can hold.
const MAX_TIME: u64 = 253_402_300_799;

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
struct Wire<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Cow<'a, str>,
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow)]
    sid: Cow<'a, str>,
    #[serde(borrow)]
    tag: Cow<'a, str>,
    iat: u64,
    exp: u64,
    #[serde(borrow)]
    jti: Cow<'a, str>,
    #[serde(borrow)]
    dat: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    public: Map<String, Value>,
}

/// Writes the payload. Refuses claims that [`read`] would refuse.
pub(super) fn write(instance: InstanceId, claims: &AccessClaims, dat: &str) -> Result<Vec<u8>, KeyError> {
    let time = |seconds| to_wire_time(seconds).ok_or(KeyError::Encoding);
    let names = [&claims.product, &claims.env, &claims.tag];
    if !names.into_iter().all(|name| is_name(name)) || !is_subject(&claims.subject) {
        return Err(KeyError::Encoding);
    }
    let wire = Wire {
        iss: instance.issuer().into(),
        aud: format!("{}/{}", claims.product, claims.env).into(),
        client_id: claims.product.as_str().into(),
        sub: claims.subject.as_str().into(),
        sid: claims.session_id.to_string().into(),
        tag: claims.tag.as_str().into(),
        iat: time(claims.issued_at)?,
        exp: time(claims.expires_at)?,
        jti: claims.token_id.to_string().into(),
        dat: dat.into(),
        public: claims.public.clone(),
    };
    serde_json::to_vec(&wire).map_err(|_| KeyError::Encoding)
}

/// Reads an authentic payload. `dat` is not opened: the row has the session data as it is now.
pub(super) fn read(instance: InstanceId, payload: &[u8]) -> Result<AccessClaims, Rejected> {
    let wire: Wire<'_> = parse_object(payload)
        .ok_or(Rejected::Claim("not an object of exactly the expected claims, once each, of their types"))?;
    if wire.iss != instance.issuer() {
        return Err(Rejected::WrongInstance);
    }
    let env = wire
        .aud
        .strip_prefix(wire.client_id.as_ref())
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|env| is_name(env))
        .ok_or(Rejected::Claim("aud"))?;
    let claims = AccessClaims {
        env: env.to_owned(),
        session_id: canonical_uuid(&wire.sid).ok_or(Rejected::Claim("sid"))?,
        token_id: canonical_uuid(&wire.jti).ok_or(Rejected::Claim("jti"))?,
        issued_at: from_wire_time(wire.iat).ok_or(Rejected::Claim("iat"))?,
        expires_at: from_wire_time(wire.exp).ok_or(Rejected::Claim("exp"))?,
        product: wire.client_id.into_owned(),
        tag: wire.tag.into_owned(),
        subject: wire.sub.into_owned(),
        public: wire.public,
    };
    if !is_name(&claims.product) {
        return Err(Rejected::Claim("client_id"));
    }
    if !is_name(&claims.tag) {
        return Err(Rejected::Claim("tag"));
    }
    if !is_subject(&claims.subject) {
        return Err(Rejected::Claim("sub"));
    }
    if wire.dat.is_empty() {
        return Err(Rejected::Claim("dat"));
    }
    Ok(claims)
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

fn to_wire_time(seconds: i64) -> Option<u64> {
    u64::try_from(seconds).ok().filter(|seconds| *seconds <= MAX_TIME)
}

fn from_wire_time(seconds: u64) -> Option<i64> {
    i64::try_from(seconds).ok().filter(|_| seconds <= MAX_TIME)
}
