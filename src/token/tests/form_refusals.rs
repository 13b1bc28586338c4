//! Tokens of a wrong form: parts, base64url and length.

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
        assert!(authenticate(&sign_parts(&b64(header()), &encoded), &ring()).is_ok());
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
