//! Tokens of a wrong form: parts, base64url and length; and the form of the encrypted data.

use super::*;

#[test]
fn more_or_fewer_than_three_parts_are_refused() {
    let token = access_token(&ring());
    let (input, _) = token.rsplit_once('.').expect("a JWS");
    let five = format!("{token}.a.b");
    for text in [input, five.as_str(), &format!("{token}."), &format!(".{token}"), ".", "..", "..."] {
        assert!(matches!(refused(text), Rejected::Malformed(_)), "{text}");
    }
}

#[test]
fn an_empty_part_is_refused() {
    let token = access_token(&ring());
    let parts: Vec<&str> = token.split('.').collect();
    for empty in 0..3 {
        let mut parts = parts.clone();
        parts[empty] = "";
        assert!(matches!(refused(&parts.join(".")), Rejected::Malformed(_)));
    }
}

#[test]
fn base64url_that_is_not_canonical_is_refused_in_every_part() {
    // Lengths that leave spare bits, so that a second spelling of the same bytes exists.
    let (header, payload) = (b64(header()), b64(payload().to_string()));
    for spoilt in [header.clone() + "=", header.clone() + "\n", " ".to_owned() + &header] {
        assert!(matches!(refused(&sign_parts(&spoilt, &payload)), Rejected::Malformed(_)));
    }
    for spoilt in [payload.clone() + "=", payload.clone() + "==", payload.clone() + "\n"] {
        assert!(matches!(refused(&sign_parts(&header, &spoilt)), Rejected::Malformed(_)));
    }
    let spaced = sign_parts(&header, &format!("{} {}", &payload[..8], &payload[8..]));
    assert!(matches!(refused(&spaced), Rejected::Malformed(_)));
    let token = sign_parts(&header, &payload);
    for spoilt in [token.clone() + "=", token.clone() + " ", token.clone() + "\n"] {
        assert_eq!(refused(&spoilt), Rejected::BadSignature);
    }
}

#[test]
fn spare_bits_of_a_part_must_be_zero() {
    // One more byte of white space a time, until each remainder of three was seen.
    for pad in 0..3 {
        let text = payload().to_string() + &" ".repeat(pad);
        let mut encoded = b64(&text);
        assert!(authenticate(&sign_parts(&b64(header()), &encoded), &ring(), NOW).is_ok());
        if text.len().is_multiple_of(3) {
            continue;
        }
        let last = encoded.pop().expect("not empty");
        encoded.push(char::from(last as u8 + 1));
        let refusal = refused(&sign_parts(&b64(header()), &encoded));
        assert!(matches!(refusal, Rejected::Malformed(_)));
    }
}

#[test]
fn a_token_over_8_kib_is_refused_before_anything_else() {
    for text in ["x".repeat(8193), "a.".repeat(5000), access_token(&ring()) + &"x".repeat(8192)] {
        assert_eq!(refused(&text), Rejected::TooLong);
    }
    assert!(matches!(refused(&"x".repeat(8192)), Rejected::Malformed(_)));
}

#[test]
fn the_encrypted_data_must_have_exactly_our_header_and_form() {
    let kek = Secret::new([2; 32]);
    let token = jwe::encrypt(&kek, "k", DATA, &RANDOM).expect("encrypted");
    assert_eq!(jwe::decrypt(&kek, &token).expect("opens").as_slice(), DATA);
    let (_, rest) = token.split_once('.').expect("a JWE");
    for header in [
        r#"{"alg":"A256KW","enc":"A256GCM","kid":"k","zip":"DEF"}"#,
        r#"{"alg":"A256KW","enc":"A256GCM","kid":"k","crit":[]}"#,
        r#"{"alg":"A256KW","enc":"A256GCM"}"#,
        r#"{"alg":"dir","enc":"A256GCM","kid":"k"}"#,
        r#"{"alg":"A256KW","enc":"A128GCM","kid":"k"}"#,
        r#"{"alg":"A256KW","alg":"A256KW","enc":"A256GCM","kid":"k"}"#,
        r#"["A256KW","A256GCM","k"]"#,
    ] {
        let refusal = jwe::decrypt(&kek, &format!("{}.{rest}", b64(header)));
        assert!(matches!(refusal, Err(Rejected::Header(_))), "{header}");
    }
    // The header is authenticated: another key id does not open, though the key is the same.
    let renamed = format!("{}.{rest}", b64(r#"{"alg":"A256KW","enc":"A256GCM","kid":"j"}"#));
    assert_eq!(jwe::decrypt(&kek, &renamed), Err(Rejected::BadSignature));
    assert_eq!(jwe::decrypt(&Secret::new([3; 32]), &token), Err(Rejected::BadSignature));
    for text in [format!("{token}.x"), token.replacen('.', "", 1), token.clone() + "="] {
        assert!(matches!(jwe::decrypt(&kek, &text), Err(Rejected::Malformed(_))));
    }
    assert_eq!(jwe::decrypt(&kek, &"x".repeat(8193)), Err(Rejected::TooLong));
}
