//! The ring, the root key, and that secrets stay secret.

use super::*;

/// The order of the group of P-256 (SEC 2, section 2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn a_p256_scalar_of_zero_or_not_below_the_order_is_refused() {
    let check = |bytes| {
        let material = Material::new(bytes);
        public_jwk("k", Algorithm::Es256, &material).map(drop)
    };
    let mut below = P256_ORDER;
    below[31] -= 1;
    assert_eq!(check(below), Ok(()));
    assert_eq!(check([0; 32]), Err(KeyError::Material));
    assert_eq!(check(P256_ORDER), Err(KeyError::Material));
    assert_eq!(check([0xff; 32]), Err(KeyError::Material));
}

#[test]
fn an_hmac_key_has_no_public_half() {
    let jwk = public_jwk("k", Algorithm::Hs256, &Material::new(JWT_MATERIAL));
    assert_eq!(jwk, Ok(None));
}

#[test]
fn a_public_jwk_holds_no_private_member() {
    for alg in [Algorithm::EdDsa, Algorithm::Es256] {
        let jwk = public_jwk("k", alg, &Material::new(JWT_MATERIAL)).expect("valid");
        let jwk = jwk.expect("public");
        assert!(jwk.get("d").is_none() && jwk.get("k").is_none());
        assert!(!jwk.to_string().contains(&b64(JWT_MATERIAL)));
    }
}

#[test]
fn an_empty_ring_makes_nothing_and_accepts_nothing() {
    let empty = KeyRing::new(INSTANCE, Vec::new()).expect("a ring");
    assert_eq!(empty.token_key_number(), Err(KeyError::Unavailable(Purpose::Token)));
    assert!(access::issue(&empty, &claims(), DATA, &RANDOM).is_err());
    assert!(refresh::issue(&empty, Mode::Live, SESSION, 1).is_err());
    assert!(sealed::seal(&empty, SESSION, [8; 12], DATA).is_err());
    assert_eq!(authenticate(&access_token(&ring()), &empty), Err(Rejected::UnknownKey));
}

#[test]
fn a_ring_knows_its_instance_and_the_key_of_new_tokens() {
    let ring = rotated(KeyState::Retired);
    assert_eq!(ring.instance(), INSTANCE);
    assert_eq!(INSTANCE.issuer(), "urn:uuid:00010203-0405-0607-0809-0a0b0c0d0e0f");
    assert_eq!(ring.token_key_number(), Ok(6));
}

fn parsed(text: &str) -> Result<[u8; 32], KeyError> {
    RootKey::parse(text).map(|key| *key.expose())
}

#[test]
fn a_root_key_is_read_from_hex_and_from_base64() {
    let bytes: [u8; 32] = std::array::from_fn(|index| 0xf8 | index as u8);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let url = b64(bytes);
    let standard = url.replace('-', "+").replace('_', "/");
    assert_ne!(url, standard);
    let texts = [
        hex.to_uppercase(),
        format!("{hex}\n"),
        format!("  {url}\r\n"),
        format!("{url}="),
        format!("{standard}="),
        standard,
    ];
    for text in texts {
        assert_eq!(parsed(&text), Ok(bytes));
    }
}

#[test]
fn what_is_no_root_key_is_refused_without_being_shown() {
    let hex = "ab".repeat(32);
    for text in ["", "secret", &hex[1..], &format!("{hex}0"), &hex.replacen('a', "g", 1)] {
        assert_eq!(parsed(text), Err(KeyError::Encoding));
    }
    let spare_bit = "A".repeat(42) + "B";
    for text in ["é".repeat(32), "=".repeat(44), "A".repeat(44), spare_bit, "+_".repeat(21) + "A"] {
        assert_eq!(parsed(&text), Err(KeyError::Encoding), "{text}");
    }
    assert_eq!(parsed(&"0".repeat(64)), Err(KeyError::Material));
}

fn unwrapped(root: &RootKey, kid: &str, wrapped: &[u8]) -> Result<[u8; 32], KeyError> {
    root_key::unwrap(root, kid, wrapped).map(|material| *material.expose())
}

#[test]
fn a_wrapped_key_opens_with_its_root_and_key_id_only() {
    let (root, other) = (RootKey::from([9; 32]), RootKey::from([10; 32]));
    let material = Material::new(JWT_MATERIAL);
    let wrapped = root_key::wrap(&root, "jwt-1", [7; 12], &material);
    assert_eq!(unwrapped(&root, "jwt-1", &wrapped), Ok(JWT_MATERIAL));
    assert_eq!(unwrapped(&other, "jwt-1", &wrapped), Err(KeyError::Unwrap));
    assert_eq!(unwrapped(&root, "jwt-2", &wrapped), Err(KeyError::Unwrap));
    for length in 0..wrapped.len() {
        assert_eq!(unwrapped(&root, "jwt-1", &wrapped[..length]), Err(KeyError::Unwrap));
    }
    for bit in 0..wrapped.len() * 8 {
        let mut flipped = wrapped.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(unwrapped(&root, "jwt-1", &flipped), Err(KeyError::Unwrap));
    }
}

#[test]
fn a_fingerprint_tells_roots_apart() {
    let fingerprint = |byte| root_key::fingerprint(&RootKey::from([byte; 32]));
    assert_eq!(fingerprint(9), fingerprint(9));
    assert_ne!(fingerprint(9), fingerprint(10));
}

#[test]
fn debug_output_of_a_secret_shows_nothing_of_it() {
    // 171 is 0xab: neither the decimal nor the hexadecimal form may show.
    let entry = entry(1, Purpose::Token, None, KeyState::Active, 171);
    let outputs =
        [format!("{:?}", entry.material), format!("{entry:?}"), format!("{:?}", RootKey::from([171; 32]))];
    let encoded = b64([171; 32]);
    for output in outputs {
        for shown in ["171", "ab, ab", "abab", &encoded[..8]] {
            assert!(!output.contains(shown), "{output}");
        }
    }
}

#[test]
fn no_refusal_repeats_any_part_of_the_token() {
    let marked =
        forge(r#"{"alg":"HS256","typ":"at+jwt","kid":"jwt-1","MARKER":"MARKER"}"#, payload().to_string());
    let claimed = forge(header(), r#"{"MARKER":"MARKER"}"#);
    for token in [marked.as_str(), claimed.as_str(), "MARKER", "MARKER.MARKER.MARKER", "M:A.R.K"] {
        let refusal = refused(token);
        assert!(!format!("{refusal} {refusal:?}").contains("MARKER"));
    }
}
