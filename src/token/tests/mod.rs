//! What the tokens promise, as tests. The fixtures: one instance, one key a purpose, one session.

mod access_tokens;
mod families;
mod form_refusals;
mod fuzz;
mod keys;
mod known_answers;
mod properties;
mod refusals;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::refresh::RefreshToken;
use super::root_key::RootKey;
use super::*;

const INSTANCE: InstanceId = InstanceId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
const OTHER_INSTANCE: InstanceId = InstanceId([0xAB; 16]);
const SESSION: Uuid = Uuid::from_u128(0x6f9619ff_8b86_4d01_b42d_00cf4fc964ff);
const TOKEN_ID: Uuid = Uuid::from_u128(0x0e984725_c51c_4bf4_9960_e1c80e27aba0);
const ISSUED: i64 = 1_700_000_000;
const DATA: &[u8] = br#"{"userId":"user_456"}"#;
const RANDOM: [u8; 44] = [4; 44];
const JWT_MATERIAL: [u8; 32] = [1; 32];

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("canonical base64url")
}

fn entry(number: u32, purpose: Purpose, alg: Option<Algorithm>, state: KeyState, byte: u8) -> KeyEntry {
    let kid = format!("{}-{number}", purpose.as_str());
    KeyEntry { number, kid, purpose, alg, state, material: Material::new([byte; 32]) }
}

fn entries(alg: Algorithm, state: KeyState) -> Vec<KeyEntry> {
    vec![
        entry(1, Purpose::Jwt, Some(alg), state, 1),
        entry(2, Purpose::Seal, None, state, 2),
        entry(3, Purpose::Token, None, state, 3),
    ]
}

/// A ring whose keys are all active.
fn ring_of(instance: InstanceId, alg: Algorithm) -> KeyRing {
    KeyRing::new(instance, entries(alg, KeyState::Active)).expect("a ring")
}

fn ring() -> KeyRing {
    ring_of(INSTANCE, Algorithm::Hs256)
}

/// The same keys after a rotation: the old ones in `state`, new ones active.
fn rotated(state: KeyState) -> KeyRing {
    let mut all = entries(Algorithm::Hs256, state);
    all.push(entry(4, Purpose::Jwt, Some(Algorithm::EdDsa), KeyState::Active, 14));
    all.push(entry(5, Purpose::Seal, None, KeyState::Active, 15));
    all.push(entry(6, Purpose::Token, None, KeyState::Active, 16));
    KeyRing::new(INSTANCE, all).expect("a ring")
}

fn claims() -> AccessClaims {
    AccessClaims {
        product: "my-product".into(),
        env: "production".into(),
        tag: "web".into(),
        subject: "user_456".into(),
        session_id: SESSION,
        issued_at: ISSUED,
        expires_at: ISSUED + 3600,
        token_id: TOKEN_ID,
        public: serde_json::Map::new(),
    }
}

fn access_token(ring: &KeyRing) -> String {
    access::issue(ring, &claims(), DATA, &RANDOM).expect("a token")
}

fn header() -> String {
    r#"{"alg":"HS256","typ":"at+jwt","kid":"jwt-1"}"#.into()
}

/// The claims of a good token, as JSON to tamper with.
fn payload() -> Value {
    json!({
        "iss": INSTANCE.issuer(), "aud": "my-product/production", "client_id": "my-product",
        "sub": "user_456", "sid": SESSION.to_string(), "tag": "web", "iat": ISSUED,
        "exp": ISSUED + 3600, "jti": TOKEN_ID.to_string(), "dat": "a.b.c.d.e",
    })
}

/// A text with its HMAC behind it.
fn hs256(secret: &[u8], input: &str) -> String {
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(secret).expect("HMAC takes a key of any length");
    format!("{input}.{}", b64(mac.chain_update(input).finalize().into_bytes()))
}

/// Signs parts that are base64url already, as the holder of the HS256 key could.
fn sign_parts(header: &str, payload: &str) -> String {
    hs256(&JWT_MATERIAL, &format!("{header}.{payload}"))
}

/// A token with a true signature over any header and payload.
fn forge(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    sign_parts(&b64(header), &b64(payload))
}

fn refused(token: &str) -> Rejected {
    authenticate(token, &ring()).expect_err("the token should be refused")
}
