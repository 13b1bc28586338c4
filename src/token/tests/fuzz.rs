//! Every parser of tokens, with what it accepts as seeds: nothing but the seeds themselves is accepted.

use proptest::prelude::*;

use super::api_key::ApiKeyKind;
use super::*;
use crate::tests::{config, mutated};

const ROOT_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Rings and tokens of every family that they accept.
fn tokens() -> Vec<(KeyRing, String)> {
    let mut tokens = Vec::new();
    for alg in [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256] {
        let ring = || ring_of(INSTANCE, alg);
        let token = access_token(&ring());
        tokens.push((ring(), format!("web:{token}")));
        tokens.push((ring(), token));
    }
    for family in [OpaqueFamily::ClientSecret, OpaqueFamily::ClientSession] {
        let token = opaque::issue(&ring(), family, Mode::Live, 3, SESSION).expect("a token");
        tokens.push((ring(), token));
    }
    tokens
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_changed_token_is_refused(at: prop::sample::Index, changes in mutated()) {
        let tokens = tokens();
        let (ring, seed) = at.get(&tokens);
        let text = changes.apply_to(seed);
        let is_a_token = text == *seed || seed.strip_prefix("web:") == Some(&text);
        prop_assert_eq!(authenticate(&text, ring).is_ok(), is_a_token);
    }

    #[test]
    fn a_changed_refresh_token_is_refused(changes in mutated()) {
        let seed = refresh::issue(&ring(), Mode::Test, SESSION, 7).expect("a token");
        let text = changes.apply_to(&seed);
        prop_assert_eq!(refresh::authenticate(&ring(), &text).is_ok(), text == seed);
    }

    #[test]
    fn a_changed_header_or_payload_is_refused_even_if_it_is_signed(
        header_changes in mutated(),
        payload_changes in mutated(),
    ) {
        let payload = payload().to_string();
        let token = forge(header_changes.apply(header().as_bytes()), payload_changes.apply(payload.as_bytes()));
        let Ok(authentic) = authenticate(&token, &ring()) else { return Ok(()) };
        // What is accepted says nothing that is not written back alike.
        let claims = authentic.access.expect("an access token");
        let written = claims::write(INSTANCE, &claims, "a.b.c.d.e".to_owned()).expect("good claims");
        let again = claims::read(INSTANCE, &written).expect("good claims");
        prop_assert_eq!(again, claims);
    }

    #[test]
    fn an_api_key_has_one_spelling(changes in mutated(), random: [u8; 32]) {
        let seed = api_key::make(ApiKeyKind::Secret, Mode::Live, random);
        let text = changes.apply_to(&seed);
        if api_key::is_well_formed(&text) {
            let body = text.splitn(3, '_').nth(2).expect("a prefix of two parts");
            prop_assert_eq!(b64(unb64(body)), body);
        }
    }

    #[test]
    fn changed_sealed_data_is_refused(changes in mutated()) {
        let (number, seed) = sealed::seal(&ring(), SESSION, [9; 12], DATA).expect("sealed");
        let bytes = changes.apply(&seed);
        prop_assert_eq!(sealed::open(&ring(), number, SESSION, &bytes).is_ok(), bytes == seed);
    }

    #[test]
    fn any_root_key_gets_an_answer(changes in mutated()) {
        let _ = RootKey::parse(&changes.apply_to(ROOT_KEY));
    }
}
