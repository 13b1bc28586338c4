//! Known answers: of the RFCs, and of our own formats as another implementation made them from the
//! module documentation alone.

use aes_kw::KekAes256;

use super::*;
use crate::token::signing_key::SigningKey;

fn has_signed(alg: Algorithm, material: [u8; 32], token: &str) -> bool {
    let (input, signature) = token.rsplit_once('.').expect("a JWS");
    let key = SigningKey::new(alg, &Material::new(material)).expect("a key");
    key.has_signed(input, signature)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn rfc_7515_a_1_hs256() {
    let key = unb64("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                 eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                 cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
                 dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let (input, _) = token.rsplit_once('.').expect("a JWS");
    assert_eq!(hs256(&key, input), token);
    // … and yet it is no token of ours.
    assert!(matches!(refused(token), Rejected::Header(_)));
}

#[test]
fn rfc_7515_a_3_es256() {
    let scalar: [u8; 32] = unb64("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI").try_into().expect("32 bytes");
    let token = "eyJhbGciOiJFUzI1NiJ9.\
                 eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                 cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
                 DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA\
                 pmWQxfKTUJqPP3-Kg6NU1Q";
    let jwk = public_jwk("k", Algorithm::Es256, &Material::new(scalar)).expect("valid");
    assert_eq!(
        jwk,
        Some(json!({
            "kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "use": "sig",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }))
    );
    // Of the two spellings this is the one with the greater s, which is none of ours.
    assert!(!has_signed(Algorithm::Es256, scalar, token));
    let (input, signature) = token.rsplit_once('.').expect("a JWS");
    let signature = p256::ecdsa::Signature::from_slice(&unb64(signature)).expect("a signature");
    let lower = b64(signature.normalize_s().expect("the greater s").to_bytes());
    assert!(has_signed(Algorithm::Es256, scalar, &format!("{input}.{lower}")));
}

#[test]
fn rfc_7520_4_4_hmac_sha2() {
    let key = unb64("hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg").try_into().expect("32 bytes");
    let payload = "It\u{2019}s a dangerous business, Frodo, going out your door. You step onto \
                   the road, and if you don't keep your feet, there\u{2019}s no knowing where \
                   you might be swept off to.";
    let header = r#"{"alg":"HS256","kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037"}"#;
    let token = format!("{}.{}.s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0", b64(header), b64(payload));
    assert!(has_signed(Algorithm::Hs256, key, &token));
}

#[test]
fn rfc_8037_a_1_to_a_5_ed25519() {
    let seed: [u8; 32] = unb64("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").try_into().expect("32 bytes");
    let jwk = public_jwk("k", Algorithm::EdDsa, &Material::new(seed)).expect("valid");
    assert_eq!(
        jwk,
        Some(json!({
            "kty": "OKP", "crv": "Ed25519", "kid": "k", "alg": "EdDSA", "use": "sig",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        }))
    );
    let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7\
                     sVvpAr_MuM0KAg";
    let key = SigningKey::new(Algorithm::EdDsa, &Material::new(seed)).expect("a key");
    assert_eq!(key.sign(input).expect("a signature"), signature);
    assert!(key.has_signed(input, signature));
}

#[test]
fn rfc_3394_4_6_a256kw() {
    let kek: [u8; 32] = std::array::from_fn(|index| index as u8);
    let key: [u8; 32] = std::array::from_fn(|index| match index {
        0..16 => index as u8 * 0x11,
        _ => index as u8 - 16,
    });
    let wrapped = KekAes256::from(kek).wrap_vec(&key).expect("wrapped");
    assert_eq!(
        hex(&wrapped),
        "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"
    );
}

#[test]
fn the_hs256_secret_is_the_material_itself() {
    let token = access_token(&ring());
    assert!(has_signed(Algorithm::Hs256, JWT_MATERIAL, &token));
}

#[test]
fn an_access_token_is_what_the_documentation_says() {
    assert_eq!(
        access_token(&ring()),
        "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Imp3dC0xIn0.\
         eyJpc3MiOiJ1cm46dXVpZDowMDAxMDIwMy0wNDA1LTA2MDctMDgwOS0wYTBiMGMwZDBlMGYiLCJhdWQiOiJteS1w\
         cm9kdWN0L3Byb2R1Y3Rpb24iLCJjbGllbnRfaWQiOiJteS1wcm9kdWN0Iiwic3ViIjoidXNlcl80NTYiLCJzaWQi\
         OiI2Zjk2MTlmZi04Yjg2LTRkMDEtYjQyZC0wMGNmNGZjOTY0ZmYiLCJ0YWciOiJ3ZWIiLCJpYXQiOjE3MDAwMDAw\
         MDAsImV4cCI6MTcwMDAwMzYwMCwianRpIjoiMGU5ODQ3MjUtYzUxYy00YmY0LTk5NjAtZTFjODBlMjdhYmEwIiwi\
         ZGF0IjoiZXlKaGJHY2lPaUpCTWpVMlMxY2lMQ0psYm1NaU9pSkJNalUyUjBOTklpd2lhMmxrSWpvaWMyVmhiQzB5\
         SW4wLkQwcXBXRGFqZksxbFl2cFhnTVpqMGxQWTBWZnB3WVQ1dGZuWHJJakVkWUdQUi1UX3RrMlA5QS5CQVFFQkFR\
         RUJBUUVCQVFFLlJDejhqWVg1UWN0dERPN3dnVXZWNGo5cXMzU3UuSDVJb2JEVDRWNzAwUjVVVlJRbXlJZyJ9.\
         11vPLllKFzRD615bDmTBBcmY-d8EfHsgdD1CHmyNFEk"
    );
}

#[test]
fn a_refresh_token_is_what_the_documentation_says() {
    let token = refresh::issue(&ring(), Mode::Live, SESSION, 5);
    let expected = "rt_live_AAAAA_pu6Whv-L_23cPQ-RFYcKCCvjNByK4eKLquWS3-rZ4jEy5DVg";
    assert_eq!(token.as_deref(), Ok(expected));
}

#[test]
fn opaque_tokens_are_what_the_documentation_says() {
    let issue = |family, mode| opaque::issue(&ring(), family, mode, 3, SESSION);
    assert_eq!(
        issue(OpaqueFamily::ClientSecret, Mode::Live).as_deref(),
        Ok("cs_live_AAAAA2-WGf-Lhk0BtC0Az0_JZP9bEwkJs6wJy3269cXjGs2El_o9e-phBLB8IiJuF90shg")
    );
    assert_eq!(
        issue(OpaqueFamily::ClientSession, Mode::Test).as_deref(),
        Ok("cst_test_AAAAA2-WGf-Lhk0BtC0Az0_JZP-X360Z6vTV6pgO8h1GpKrATXZACnXXWbSx68YkMdvSAg")
    );
}

#[test]
fn sealed_data_is_what_the_documentation_says() {
    let expected = "CAgICAgICAgICAgIJfuzbntywkfIp2P80GcUYlRDz37rCZ2vBWVV8zNmuXJ3ZuOzFQ";
    assert_eq!(sealed::seal(&ring(), SESSION, [8; 12], DATA), Ok((2, unb64(expected))));
}

#[test]
fn a_sealed_user_identifier_key_is_what_the_documentation_says() {
    assert_eq!(
        sealed::identifier_key_forms(&ring(), 7, "user_456"),
        Ok(vec![unb64("AAAAAszOoJEoVSZpk7ZweBDTQlYkWCqJOmPPuQ")])
    );
}

#[test]
fn a_wrapped_key_and_a_fingerprint_are_what_the_documentation_says() {
    let root = RootKey::from([9; 32]);
    assert_eq!(
        b64(root_key::wrap(&root, "jwt-1", [7; 12], &Material::new(JWT_MATERIAL))),
        "BwcHBwcHBwcHBwcHtcR91AlwvRnS2knA1NQrGmRhvIhqnFRjdmz84LYH5TWQgsYDqD0O1yyY0wMplqvO"
    );
    assert_eq!(root_key::fingerprint(&root), 0xf7c55188ee0e8d5b_u64.to_be_bytes());
}

#[test]
fn an_api_key_is_stored_as_the_sha256_of_its_whole_text() {
    let key = api_key::make(api_key::ApiKeyKind::Secret, Mode::Live, [6; 32]);
    assert_eq!(key.as_str(), "sk_live_BgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgY");
    assert_eq!(hex(&api_key::hash(&key)), "faaf22b57ec5e3bd9389b16d0f7fe16f0a1752c88f2959fac2beca55bf7746c3");
}
