//! Access tokens that are accepted, and what they carry.

use super::*;

#[test]
fn an_issued_token_is_authentic_and_says_what_was_put_in() {
    for alg in [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256] {
        let ring = ring_of(INSTANCE, alg);
        let token = authenticate(&access_token(&ring), &ring).expect("authentic");
        assert_eq!(token.family, Family::User);
        assert_eq!((token.session_id, token.key_number), (SESSION, 1));
        assert_eq!(token.access, Some(claims()), "{alg:?}");
    }
}

#[test]
fn the_session_data_is_not_readable_in_the_token() {
    let token = access_token(&ring());
    let payload = unb64(token.split('.').nth(1).expect("a payload"));
    assert!(!payload.windows(6).any(|window| window == b"userId"));
}

#[test]
fn the_form_with_a_tag_is_accepted_when_the_tag_is_the_claims() {
    let token = access_token(&ring());
    assert!(authenticate(&format!("web:{token}"), &ring()).is_ok());
    assert!(matches!(refused(&format!("app:{token}")), Rejected::Claim(_)));
    for prefix in [":", "web::", "web:web:", " web:", "wéb:"] {
        assert!(authenticate(&format!("{prefix}{token}"), &ring()).is_err(), "{prefix}");
    }
}

#[test]
fn a_tag_may_look_like_the_prefix_of_an_opaque_token() {
    let claims = AccessClaims { tag: "cs_live_".into(), ..claims() };
    let token = access::issue(&ring(), &claims, DATA, &RANDOM).expect("a token");
    assert!(authenticate(&format!("cs_live_:{token}"), &ring()).is_ok());
}

#[test]
fn data_up_to_the_limit_fits_and_beyond_it_does_not() {
    let issue = |size| access::issue(&ring(), &claims(), &vec![b'x'; size], &RANDOM);
    assert!(issue(MAX_DATA_BYTES).is_ok_and(|token| token.len() <= MAX_TOKEN_BYTES));
    assert_eq!(issue(MAX_DATA_BYTES + 1), Err(KeyError::TooLarge));
}

#[test]
fn the_longest_names_fit_with_the_most_data() {
    let longest = AccessClaims {
        product: "p".repeat(63),
        env: "e".repeat(63),
        tag: "t".repeat(63),
        subject: "s".repeat(255),
        ..claims()
    };
    let ring = ring_of(INSTANCE, Algorithm::Es256);
    let token = access::issue(&ring, &longest, &[b'x'; MAX_DATA_BYTES], &RANDOM).expect("fits");
    let presented = format!("{}:{token}", longest.tag);
    assert_eq!(authenticate(&presented, &ring).expect("authentic").access, Some(longest));
}

#[test]
fn a_token_that_would_be_refused_for_its_length_is_not_made() {
    let claims = AccessClaims { subject: "\u{1F600}".repeat(255), ..claims() };
    let issued = access::issue(&ring(), &claims, &[b'x'; MAX_DATA_BYTES], &RANDOM);
    assert_eq!(issued, Err(KeyError::TooLarge));
}

#[test]
fn claims_that_would_be_refused_are_not_issued() {
    let bad = [
        AccessClaims { product: "a/b".into(), ..claims() },
        AccessClaims { env: String::new(), ..claims() },
        AccessClaims { tag: "a:b".into(), ..claims() },
        AccessClaims { tag: "t".repeat(64), ..claims() },
        AccessClaims { subject: String::new(), ..claims() },
        AccessClaims { subject: "s".repeat(256), ..claims() },
        AccessClaims { subject: "a\0b".into(), ..claims() },
        AccessClaims { issued_at: -1, ..claims() },
        AccessClaims { expires_at: i64::MAX, ..claims() },
    ];
    for claims in bad {
        let issued = access::issue(&ring(), &claims, DATA, &RANDOM);
        assert_eq!(issued, Err(KeyError::Encoding), "{claims:?}");
    }
}

#[test]
fn without_an_active_key_nothing_is_issued() {
    for (index, purpose) in [(0, Purpose::Jwt), (1, Purpose::Seal)] {
        let mut all = entries(Algorithm::Hs256, KeyState::Active);
        all[index].state = KeyState::Retired;
        let ring = KeyRing::new(INSTANCE, all).expect("a ring");
        let issued = access::issue(&ring, &claims(), DATA, &RANDOM);
        assert_eq!(issued, Err(KeyError::Unavailable(purpose)));
    }
}

#[test]
fn two_encryptions_of_the_same_data_differ_by_their_random_bytes_alone() {
    let kek = Secret::new([2; 32]);
    let encrypt = |random| jwe::encrypt(&kek, "seal-2", DATA, &random).expect("encrypted");
    assert_eq!(encrypt([4; 44]), encrypt([4; 44]));
    assert_ne!(encrypt([4; 44]), encrypt([5; 44]));
}
