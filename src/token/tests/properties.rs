//! Properties: whatever was made is read back, whatever was not made is refused without a panic.

use proptest::prelude::*;

use super::*;

/// Names of products, environments and tags.
const NAME: &str = "[A-Za-z0-9._-]{1,63}";

prop_compose! {
    fn any_claims()(
        (product, env, tag) in (NAME, NAME, NAME),
        // Any text without NUL, quotes and escapes included.
        subject in "[^\0]{1,100}",
        session: u128,
        token: u128,
        issued_at in 0..4_000_000_000_i64,
        life in 0..1_000_000_i64,
    ) -> AccessClaims {
        AccessClaims {
            product, env, tag, subject, issued_at,
            session_id: Uuid::from_u128(session),
            token_id: Uuid::from_u128(token),
            public: serde_json::Map::new(),
            expires_at: issued_at + life,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn access_tokens_round_trip(
        claims in any_claims(),
        data in prop::collection::vec(any::<u8>(), 0..2000),
        first: [u8; 32],
        second: [u8; 12],
    ) {
        let mut random = [0; 44];
        random[..32].copy_from_slice(&first);
        random[32..].copy_from_slice(&second);
        let token = access::issue(&ring(), &claims, &data, &random).expect("a token");
        let presented = format!("{}:{token}", claims.tag);
        let authentic = authenticate(&presented, &ring()).expect("authentic");
        prop_assert_eq!(authentic.access, Some(claims));
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in ".{0,200}", signed in ".{0,200}") {
        prop_assert!(authenticate(&text, &ring()).is_err());
        let dotted = [text.as_str(), &signed, &text].join(".");
        prop_assert!(authenticate(&dotted, &ring()).is_err());
        prop_assert!(authenticate(&forge(&text, &signed), &ring()).is_err());
        prop_assert!(authenticate(&forge(header(), &signed), &ring()).is_err());
        for prefix in ["cs_live_", "cst_test_", "rt_live_", "sk_live_"] {
            let text = format!("{prefix}{text}");
            prop_assert!(authenticate(&text, &ring()).is_err());
            prop_assert!(refresh::authenticate(&ring(), &text).is_err());
            prop_assert!(!api_key::is_well_formed(&text));
        }
        let _ = RootKey::parse(&text);
    }

    #[test]
    fn any_bytes_behind_a_right_prefix_are_refused(body: [u8; 32], number in 0_u32..8) {
        let mut opaque = number.to_be_bytes().to_vec();
        opaque.extend_from_slice(SESSION.as_bytes());
        opaque.extend_from_slice(&body);
        let text = "cs_live_".to_owned() + &b64(&opaque);
        prop_assert!(authenticate(&text, &ring()).is_err());
        opaque.truncate(40);
        let text = "rt_live_".to_owned() + &b64(&opaque);
        prop_assert!(refresh::authenticate(&ring(), &text).is_err());
    }
}
