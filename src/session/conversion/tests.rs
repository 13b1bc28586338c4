use super::*;
use proptest::prelude::*;

#[test]
fn a_uuid_has_its_digits_and_hyphens_and_nothing_else() {
    let bytes =
        [0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11];
    assert_eq!(uuid("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), Some(bytes));
    assert_eq!(uuid("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"), Some(bytes));
    for text in [
        "",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g",
        "a0eebc99-9c0b-4ef8-bb6d_6bb9bd380a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
        "a0eebc9--9c0b-4ef8-bb6d-6bb9bd380a11",
        "é0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
        "acct_1",
    ] {
        assert_eq!(uuid(text), None, "{text:?}");
    }
}

#[test]
fn an_integer_is_a_number_of_four_bytes() {
    assert_eq!(integer("2147483647"), Some(i32::MAX));
    assert_eq!(integer("-2147483648"), Some(i32::MIN));
    assert_eq!(integer("2147483648"), None);
    assert_eq!(integer("-2147483649"), None);
    assert_eq!(integer("abc"), None);
}

proptest! {
    #[test]
    fn every_number_is_found_under_its_own_text_alone(number: i64, text in "[-+ 0-9]{0,6}") {
        prop_assert_eq!(bigint(&number.to_string()), Some(number));
        if let Some(number) = bigint(&text) {
            prop_assert_eq!(number.to_string(), text);
        }
    }

    #[test]
    fn every_uuid_is_found_under_its_text(bytes: [u8; 16]) {
        let text = ::uuid::Uuid::from_bytes(bytes).to_string();
        prop_assert_eq!(uuid(&text), Some(bytes));
    }

    #[test]
    fn no_text_is_too_odd(text: String) {
        let _ = (uuid(&text), bigint(&text), integer(&text));
    }
}
