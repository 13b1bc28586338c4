//! Known answers of our own formats, as another implementation made them from the module documentation
//! alone. That JOSE libraries agree with us is tested in tests/interop.

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
    let issue = |family, mode| opaque::issue(&ring(), family, mode, None, SESSION);
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
    assert_eq!(key.expose(), "sk_live_BgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgY");
    let presented = api_key::parse(key.expose()).expect("an API key");
    assert_eq!(hex(&presented.hash), "faaf22b57ec5e3bd9389b16d0f7fe16f0a1752c88f2959fac2beca55bf7746c3");
}
