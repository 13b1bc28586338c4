//! Tokens that carry a true signature and are refused all the same: what the JWT crate lets pass, and every other
//! header or claim that is not exactly ours.

use p256::ecdsa::signature::Verifier;

use super::*;

/// Signs a payload in which one claim has another value (`null` here is JSON's null).
fn with_claim(name: &str, value: Value) -> String {
    let mut payload = payload();
    payload[name] = value;
    forge(header(), payload.to_string())
}

fn with_header(text: &str) -> String {
    forge(text, payload().to_string())
}

#[test]
fn the_untampered_forgery_is_accepted_so_the_refusals_below_mean_something() {
    assert!(authenticate(&forge(header(), payload().to_string()), &ring()).is_ok());
}

#[test]
fn any_header_parameter_but_ours_is_refused() {
    for extra in [
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""zip":"DEF""#,
        r#""jku":"https://example.com/jwks""#,
        r#""jwk":{"kty":"oct","k":""}"#,
        r#""x5u":"https://example.com/cert""#,
        r#""x5c":[]"#,
        r#""b64":false"#,
        r#""cty":"JWT""#,
        r#""x":null"#,
    ] {
        let text = format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"jwt-1",{extra}}}"#);
        assert!(matches!(refused(&with_header(&text)), Rejected::Header(_)), "{extra}");
    }
}

#[test]
fn any_other_typ_is_refused() {
    for typ in [r#""JWT""#, r#""AT+JWT""#, r#""application/at+jwt""#, r#""""#, "null", "1"] {
        let text = format!(r#"{{"alg":"HS256","typ":{typ},"kid":"jwt-1"}}"#);
        assert!(matches!(refused(&with_header(&text)), Rejected::Header(_)), "{typ}");
    }
    for text in [r#"{"alg":"HS256","kid":"jwt-1"}"#, r#"{"alg":"HS256","typ":"at+jwt"}"#, "{}"] {
        assert!(matches!(refused(&with_header(text)), Rejected::Header(_)), "{text}");
    }
}

#[test]
fn any_alg_that_is_not_the_keys_own_is_refused() {
    for alg in [r#""none""#, r#""None""#, r#""hs256""#, r#""HS512""#, r#""EdDSA""#, "null", "[]"] {
        let text = format!(r#"{{"alg":{alg},"typ":"at+jwt","kid":"jwt-1"}}"#);
        assert!(matches!(refused(&with_header(&text)), Rejected::Header(_)), "{alg}");
    }
}

#[test]
fn a_public_key_does_not_serve_as_an_hmac_secret() {
    for alg in [Algorithm::EdDsa, Algorithm::Es256] {
        let ring = ring_of(INSTANCE, alg);
        let jwk = public_jwk("jwt-1", alg, &Material::new(JWT_MATERIAL)).expect("valid");
        let public = unb64(jwk.expect("public")["x"].as_str().expect("a string"));
        for claimed in ["HS256", alg.as_str()] {
            let header = format!(r#"{{"alg":"{claimed}","typ":"at+jwt","kid":"jwt-1"}}"#);
            let input = format!("{}.{}", b64(header), b64(payload().to_string()));
            let refusal = authenticate(&hs256(&public, &input), &ring).expect_err("refused");
            assert!(matches!(refusal, Rejected::Header(_) | Rejected::BadSignature));
        }
    }
}

#[test]
fn the_other_es256_signature_of_a_token_is_refused() {
    let ring = ring_of(INSTANCE, Algorithm::Es256);
    // Half of all signatures come with the greater s.
    for seed in 0..20 {
        let token = access::issue(&ring, &claims(), DATA, &[seed; 44]).expect("a token");
        assert!(authenticate(&token, &ring).is_ok());

        let (input, signature) = token.rsplit_once('.').expect("three parts");
        let (r, s) =
            p256::ecdsa::Signature::from_slice(&unb64(signature)).expect("a signature").split_scalars();
        let other = p256::ecdsa::Signature::from_scalars(r, -s).expect("a signature");

        let public = p256::ecdsa::SigningKey::from_slice(&JWT_MATERIAL).expect("a key");
        assert!(public.verifying_key().verify(input.as_bytes(), &other).is_ok());
        let refusal = authenticate(&format!("{input}.{}", b64(other.to_bytes())), &ring);
        assert_eq!(refusal.expect_err("refused"), Rejected::BadSignature);
    }
}

#[test]
fn an_empty_hmac_key_signs_nothing_that_is_accepted() {
    let input = format!("{}.{}", b64(header()), b64(payload().to_string()));
    assert_eq!(refused(&hs256(b"", &input)), Rejected::BadSignature);
}

#[test]
fn an_unknown_key_id_is_refused() {
    for kid in ["jwt-9", "seal-2", "", "JWT-1"] {
        let text = format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}"}}"#);
        assert_eq!(refused(&with_header(&text)), Rejected::UnknownKey, "{kid}");
    }
}

#[test]
fn an_nbf_is_refused_because_no_token_of_ours_has_one() {
    for nbf in [0, ISSUED, ISSUED + 1_000_000] {
        assert!(matches!(refused(&with_claim("nbf", json!(nbf))), Rejected::Claim(_)));
    }
}

#[test]
fn each_missing_claim_is_refused() {
    let full = payload();
    for name in full.as_object().expect("an object").keys() {
        let mut payload = full.clone();
        payload.as_object_mut().expect("an object").remove(name);
        let refusal = refused(&forge(header(), payload.to_string()));
        assert!(matches!(refusal, Rejected::Claim(_)), "{name}");
    }
}

#[test]
fn each_wrong_typed_claim_is_refused() {
    let values = [
        json!(null),
        json!(true),
        json!(["my-product/production"]),
        json!([1_700_000_000]),
        json!({"a": 1}),
        json!(-1),
        json!(1.5),
        json!(1e3),
        json!(""),
    ];
    let full = payload();
    for name in full.as_object().expect("an object").keys() {
        for value in &values {
            let refusal = refused(&with_claim(name, value.clone()));
            let expected = matches!(refusal, Rejected::Claim(_))
                || (name == "iss" && refusal == Rejected::WrongInstance);
            assert!(expected, "{name} = {value}: {refusal}");
        }
    }
}

#[test]
fn numbers_and_texts_are_not_taken_for_each_other() {
    for name in ["iat", "exp"] {
        assert!(matches!(refused(&with_claim(name, json!("1700000000"))), Rejected::Claim(_)));
    }
    for name in ["iss", "aud", "client_id", "sub", "sid", "tag", "jti", "dat"] {
        assert!(matches!(refused(&with_claim(name, json!(1_700_000_000))), Rejected::Claim(_)));
    }
}

#[test]
fn a_time_that_no_timestamp_can_hold_is_refused() {
    for name in ["iat", "exp"] {
        for value in ["253402300800", "9223372036854775808", "18446744073709551616", "-0", "1e9"] {
            let text = match payload().get(name) {
                Some(old) => payload()
                    .to_string()
                    .replace(&format!("\"{name}\":{old}"), &format!("\"{name}\":{value}")),
                None => payload().to_string().replacen('{', &format!("{{\"{name}\":{value},"), 1),
            };
            assert!(text.contains(value));
            let refusal = refused(&forge(header(), text));
            assert!(matches!(refusal, Rejected::Claim(_)), "{name} = {value}");
        }
    }
}

#[test]
fn a_wrong_issuer_is_refused() {
    for iss in [OTHER_INSTANCE.issuer(), INSTANCE.issuer().to_uppercase(), String::new()] {
        assert_eq!(refused(&with_claim("iss", json!(iss))), Rejected::WrongInstance);
    }
}

#[test]
fn an_audience_that_is_not_the_clients_is_refused() {
    for aud in [
        "other/production",
        "my-product",
        "my-product/",
        "my-productproduction",
        "/production",
        "my-product/a/b",
        "my-product/production ",
        "my-product-2/production",
    ] {
        assert_eq!(refused(&with_claim("aud", json!(aud))), Rejected::Claim("aud"), "{aud}");
    }
    assert_eq!(refused(&with_claim("client_id", json!("my"))), Rejected::Claim("aud"));
    let mut payload = payload();
    payload["client_id"] = json!("");
    payload["aud"] = json!("/production");
    let refusal = refused(&forge(header(), payload.to_string()));
    assert_eq!(refusal, Rejected::Claim("client_id"));
}

#[test]
fn an_unknown_claim_is_refused() {
    for name in ["scope", "azp", "ISS", "iss "] {
        assert!(matches!(refused(&with_claim(name, json!("x"))), Rejected::Claim(_)), "{name}");
    }
}

#[test]
fn a_duplicate_claim_is_refused_even_with_the_same_value() {
    let text = payload().to_string();
    for (name, value) in payload().as_object().expect("an object") {
        let twice = text.replacen('{', &format!("{{\"{name}\":{value},"), 1);
        assert!(matches!(refused(&forge(header(), twice)), Rejected::Claim(_)), "{name}");
    }
    let escaped = text.replacen('{', r#"{"\u0073ub":"root","#, 1);
    assert!(matches!(refused(&forge(header(), escaped)), Rejected::Claim(_)));
}

#[test]
fn a_duplicate_header_parameter_is_refused() {
    for extra in [r#""alg":"HS256""#, r#""typ":"at+jwt""#, r#""kid":"jwt-1""#] {
        let text = header().replacen('{', &format!("{{{extra},"), 1);
        assert!(matches!(refused(&with_header(&text)), Rejected::Header(_)), "{extra}");
    }
}

#[test]
fn an_array_in_place_of_an_object_is_refused() {
    let in_order = json!([
        INSTANCE.issuer(),
        "my-product/production",
        "my-product",
        "user_456",
        SESSION.to_string(),
        "web",
        ISSUED,
        ISSUED + 3600,
        0,
        TOKEN_ID.to_string(),
        "a.b.c.d.e",
    ])
    .to_string();
    for text in [in_order.as_str(), "[]", "[{}]", " [1]"] {
        assert!(matches!(refused(&forge(header(), text)), Rejected::Claim(_)), "{text}");
    }
    for text in [r#"["HS256","at+jwt","jwt-1"]"#, "[]"] {
        assert!(matches!(refused(&with_header(text)), Rejected::Header(_)), "{text}");
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    let trailing = payload().to_string() + "{}";
    let inputs: [&[u8]; 8] =
        [b"null", b"\"text\"", b"1", b"{", b"{}", b"\xff\xfe", &[b'['; 4096], trailing.as_bytes()];
    for input in inputs {
        assert!(matches!(refused(&forge(header(), input)), Rejected::Claim(_)));
        assert!(matches!(refused(&forge(input, payload().to_string())), Rejected::Header(_)));
    }
}

#[test]
fn ids_and_names_in_another_spelling_are_refused() {
    let upper = SESSION.to_string().to_uppercase();
    for id in [upper, SESSION.simple().to_string(), format!("{{{SESSION}}}"), "x".into()] {
        assert_eq!(refused(&with_claim("sid", json!(id))), Rejected::Claim("sid"));
        assert_eq!(refused(&with_claim("jti", json!(id))), Rejected::Claim("jti"));
    }
    assert_eq!(refused(&with_claim("tag", json!("a:b"))), Rejected::Claim("tag"));
    assert_eq!(refused(&with_claim("sub", json!("a\0b"))), Rejected::Claim("sub"));
    assert_eq!(refused(&with_claim("sub", json!("s".repeat(256)))), Rejected::Claim("sub"));
}
