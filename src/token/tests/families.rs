//! Refresh tokens, opaque tokens, sealed data and API keys; and what holds for every family.

use super::api_key::ApiKeyKind;
use super::*;

const FAMILIES: [OpaqueFamily; 2] = [OpaqueFamily::ClientSecret, OpaqueFamily::ClientSession];
const MODES: [Mode; 2] = [Mode::Live, Mode::Test];

fn opaque_token(ring: &KeyRing, family: OpaqueFamily, mode: Mode) -> String {
    opaque::issue(ring, family, mode, ring.token_key_number().expect("active"), SESSION).expect("a token")
}

/// Every token that [`authenticate`] accepts.
fn session_tokens(ring: &KeyRing) -> Vec<String> {
    let mut tokens = vec![access_token(ring)];
    for family in FAMILIES {
        tokens.extend(MODES.map(|mode| opaque_token(ring, family, mode)));
    }
    tokens
}

/// All texts that differ from `text` in one bit. Those that are no UTF-8 cannot be presented.
fn bit_flips(text: &str) -> impl Iterator<Item = String> {
    (0..text.len() * 8).filter_map(|bit| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        String::from_utf8(bytes).ok()
    })
}

#[test]
fn an_opaque_token_is_authentic_and_says_family_and_session() {
    for (family, expected) in FAMILIES.into_iter().zip([Family::Account, Family::Client]) {
        for mode in MODES {
            let token = opaque_token(&ring(), family, mode);
            let expected =
                AuthenticToken { family: expected, session_id: SESSION, key_number: 3, access: None };
            assert_eq!(authenticate(&token, &ring()), Ok(expected));
        }
    }
}

#[test]
fn an_opaque_token_can_be_shown_again_after_a_rotation() {
    let before = opaque_token(&ring(), OpaqueFamily::ClientSecret, Mode::Live);
    let again = |ring: &KeyRing| opaque::issue(ring, OpaqueFamily::ClientSecret, Mode::Live, 3, SESSION);
    assert_eq!(again(&rotated(KeyState::Retired)), Ok(before));
    assert_eq!(again(&rotated(KeyState::Revoked)), Err(Rejected::UnknownKey));
}

#[test]
fn a_refresh_token_is_deterministic_and_says_mode_session_and_generation() {
    for mode in MODES {
        for generation in [0, 1, u32::MAX] {
            let token = refresh::issue(&ring(), mode, SESSION, generation).expect("a token");
            assert_eq!(refresh::issue(&ring(), mode, SESSION, generation), Ok(token.clone()));
            let expected = RefreshToken { mode, session_id: SESSION, generation };
            assert_eq!(refresh::authenticate(&ring(), &token), Ok(expected));
        }
    }
}

#[test]
fn no_family_or_mode_can_be_turned_into_another() {
    let prefixes = ["cs_live_", "cs_test_", "cst_live_", "cst_test_", "rt_live_", "rt_test_"];
    let refresh_token = refresh::issue(&ring(), Mode::Live, SESSION, 1).expect("a token");
    let mut tokens = session_tokens(&ring());
    tokens.push(refresh_token.clone());
    for token in tokens.iter().filter(|token| !token.contains('.')) {
        let own = prefixes.into_iter().find(|prefix| token.starts_with(prefix)).expect("a prefix");
        for other in prefixes.into_iter().filter(|prefix| *prefix != own) {
            let swapped = token.replacen(own, other, 1);
            assert!(authenticate(&swapped, &ring()).is_err(), "{own} as {other}");
            assert!(refresh::authenticate(&ring(), &swapped).is_err(), "{own} as {other}");
        }
    }
    assert!(authenticate(&refresh_token, &ring()).is_err());
    for token in session_tokens(&ring()) {
        assert!(refresh::authenticate(&ring(), &token).is_err());
        assert!(!api_key::is_well_formed(&token));
    }
}

#[test]
fn a_refresh_token_of_the_other_mode_is_refused_by_its_tag_not_its_form() {
    let token = refresh::issue(&ring(), Mode::Live, SESSION, 1).expect("a token");
    let swapped = token.replacen("live", "test", 1);
    assert_eq!(refresh::authenticate(&ring(), &swapped), Err(Rejected::BadSignature));
    let token = opaque_token(&ring(), OpaqueFamily::ClientSecret, Mode::Live);
    assert_eq!(refused(&token.replacen("cs_live", "cst_live", 1)), Rejected::BadSignature);
    assert_eq!(refused(&token.replacen("cs_live", "cs_test", 1)), Rejected::BadSignature);
}

/// What is left of a text when it is cut at any place.
fn cuts(text: &str) -> impl Iterator<Item = String> {
    (1..text.len()).flat_map(|at| [text[..at].to_owned(), text[at..].to_owned()])
}

#[test]
fn a_token_is_refused_when_cut_anywhere_and_when_any_single_bit_is_flipped() {
    let damaged = |token: &str| cuts(token).chain(bit_flips(token)).collect::<Vec<_>>();
    for alg in [Algorithm::Hs256, Algorithm::EdDsa] {
        let ring = ring_of(INSTANCE, alg);
        for token in session_tokens(&ring) {
            for text in damaged(&token) {
                assert!(authenticate(&text, &ring).is_err(), "{text}");
            }
        }
    }
    let token = refresh::issue(&ring(), Mode::Live, SESSION, 1).expect("a token");
    for text in damaged(&token) {
        assert!(refresh::authenticate(&ring(), &text).is_err(), "{text}");
    }
    assert!(authenticate("", &ring()).is_err());
    assert!(refresh::authenticate(&ring(), "").is_err());
}

#[test]
fn every_bit_of_an_es256_signature_counts() {
    let ring = ring_of(INSTANCE, Algorithm::Es256);
    let token = access_token(&ring);
    let (input, signature) = token.rsplit_once('.').expect("a JWS");
    for flipped in bit_flips(signature) {
        assert!(authenticate(&format!("{input}.{flipped}"), &ring).is_err());
    }
}

#[test]
fn a_token_with_anything_added_is_refused() {
    for token in session_tokens(&ring()) {
        for added in [" ", "=", "A", "AA", "AAAA", "\n", "\0", "."] {
            assert!(authenticate(&format!("{token}{added}"), &ring()).is_err(), "{added:?}");
            assert!(authenticate(&format!("{added}{token}"), &ring()).is_err(), "{added:?}");
        }
    }
}

#[test]
fn tokens_of_another_instance_are_refused_though_the_keys_are_the_same() {
    let other = ring_of(OTHER_INSTANCE, Algorithm::Hs256);
    assert_eq!(refused(&access_token(&other)), Rejected::WrongInstance);
    for family in FAMILIES {
        let token = opaque_token(&other, family, Mode::Live);
        assert_eq!(refused(&token), Rejected::BadSignature);
    }
    let token = refresh::issue(&other, Mode::Live, SESSION, 1).expect("a token");
    assert_eq!(refresh::authenticate(&ring(), &token), Err(Rejected::BadSignature));
    let (number, sealed) = sealed::seal(&other, SESSION, [8; 12], DATA).expect("sealed");
    assert_eq!(sealed::open(&ring(), number, SESSION, &sealed), Err(Rejected::BadSignature));
}

#[test]
fn retired_keys_verify_and_revoked_keys_do_not() {
    let (retired, revoked) = (rotated(KeyState::Retired), rotated(KeyState::Revoked));
    for token in session_tokens(&ring()) {
        assert!(authenticate(&token, &retired).is_ok());
        assert_eq!(authenticate(&token, &revoked), Err(Rejected::UnknownKey));
    }
    let token = refresh::issue(&ring(), Mode::Live, SESSION, 1).expect("a token");
    assert!(refresh::authenticate(&retired, &token).is_ok());
    assert_eq!(refresh::authenticate(&revoked, &token), Err(Rejected::UnknownKey));
    let (number, sealed) = sealed::seal(&ring(), SESSION, [8; 12], DATA).expect("sealed");
    assert!(sealed::open(&retired, number, SESSION, &sealed).is_ok());
    assert_eq!(sealed::open(&revoked, number, SESSION, &sealed), Err(Rejected::UnknownKey));
}

#[test]
fn what_is_new_is_made_with_the_active_key() {
    let ring = rotated(KeyState::Retired);
    for token in session_tokens(&ring) {
        let number = authenticate(&token, &ring).expect("authentic").key_number;
        assert!([4, 6].contains(&number));
    }
    assert_eq!(sealed::seal(&ring, SESSION, [8; 12], DATA).expect("sealed").0, 5);
}

fn forms(ring: &KeyRing, env_id: i32, key: &str) -> Vec<Vec<u8>> {
    sealed::identifier_key_forms(ring, env_id, key).expect("sealed")
}

#[test]
fn a_user_identifier_key_has_one_form_for_each_seal_key_that_is_not_revoked() {
    let before = forms(&ring(), 7, "user_456");
    assert_eq!(before, forms(&ring(), 7, "user_456"));
    assert_eq!(before.len(), 1);

    let after = forms(&rotated(KeyState::Retired), 7, "user_456");
    assert_eq!(after.len(), 2);
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1], before[0]);
    assert_eq!(forms(&rotated(KeyState::Revoked), 7, "user_456"), [after[0].clone()]);
}

#[test]
fn other_keys_environments_and_instances_have_other_forms() {
    let form = &forms(&ring(), 7, "user_456")[0];
    for other in [
        forms(&ring(), 8, "user_456"),
        forms(&ring(), 7, "user_457"),
        forms(&ring_of(OTHER_INSTANCE, Algorithm::Hs256), 7, "user_456"),
    ] {
        assert_ne!(other[0], *form);
    }
}

#[test]
fn a_sealed_user_identifier_key_opens_in_its_environment_until_its_seal_key_is_revoked() {
    let form = forms(&ring(), 7, "user_456").remove(0);
    let open =
        |ring: &KeyRing, env_id| sealed::open_identifier_key(ring, env_id, &form).map(|key| key.to_string());
    assert_eq!(open(&ring(), 7).as_deref(), Ok("user_456"));
    assert_eq!(open(&rotated(KeyState::Retired), 7).as_deref(), Ok("user_456"));
    assert_eq!(open(&ring(), 8), Err(Rejected::BadSignature));
    assert_eq!(open(&rotated(KeyState::Revoked), 7), Err(Rejected::UnknownKey));
    for length in 0..form.len() {
        assert!(sealed::open_identifier_key(&ring(), 7, &form[..length]).is_err());
    }
    for bit in 0..form.len() * 8 {
        let mut flipped = form.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(sealed::open_identifier_key(&ring(), 7, &flipped).is_err());
    }
}

#[test]
fn sealed_data_opens_for_its_own_session_only() {
    let (number, sealed) = sealed::seal(&ring(), SESSION, [8; 12], DATA).expect("sealed");
    let opened = sealed::open(&ring(), number, SESSION, &sealed).expect("opens");
    assert_eq!(opened.as_slice(), DATA);
    let other = sealed::open(&ring(), number, TOKEN_ID, &sealed);
    assert_eq!(other, Err(Rejected::BadSignature));
    // A key of another purpose is not looked at.
    assert_eq!(sealed::open(&ring(), 1, SESSION, &sealed), Err(Rejected::UnknownKey));
    for length in 0..sealed.len() {
        assert!(sealed::open(&ring(), number, SESSION, &sealed[..length]).is_err());
    }
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(sealed::open(&ring(), number, SESSION, &flipped).is_err());
    }
}

#[test]
fn an_api_key_is_well_formed_and_hints_four_characters() {
    for kind in [ApiKeyKind::Secret, ApiKeyKind::Publishable] {
        for mode in MODES {
            let text = api_key::make(kind, mode, [6; 32]);
            assert!(api_key::is_well_formed(&text));
            assert_eq!(api_key::hint(&text), &text[text.len() - 4..]);
        }
    }
    let text = api_key::make(ApiKeyKind::Secret, Mode::Live, [6; 32]);
    let other = text.replacen("live", "test", 1);
    assert_ne!(api_key::hash(&text), api_key::hash(&other));
}

#[test]
fn what_has_not_the_form_of_an_api_key_is_refused() {
    let good = api_key::make(ApiKeyKind::Secret, Mode::Live, [6; 32]);
    let good = good.as_str();
    for length in 0..good.len() {
        assert!(!api_key::is_well_formed(&good[..length]));
    }
    let other_family = good.replacen("sk", "rk", 1);
    for bad in [format!("{good}A"), format!(" {good}"), format!("{good}="), other_family] {
        assert!(!api_key::is_well_formed(&bad), "{bad}");
    }
}
