use super::*;

#[test]
fn a_name_has_letters_digits_dots_underscores_and_hyphens() {
    for name in ["a", "my-product", "v1.2_x", &"x".repeat(63)] {
        assert_eq!(check_name("tag", name), Ok(()), "{name}");
    }
}

#[test]
fn anything_else_is_no_name() {
    for name in ["", "a b", "a:b", "é", "a\0", "a\n", "$x", "a/b", &"x".repeat(64)] {
        assert!(check_name("tag", name).is_err(), "{name:?}");
    }
}

#[test]
fn a_refused_name_is_told_by_its_kind_and_not_repeated() {
    let problem = check_name("product", "s3cret!").unwrap_err();
    assert!(problem.message.starts_with("product "));
    assert!(!format!("{problem:?}").contains("s3cret"));
}

#[test]
fn an_identifier_counts_characters_not_bytes() {
    assert_eq!(check_identifier("identifier", "é".repeat(255).as_str()), Ok(()));
    assert!(check_identifier("identifier", "é".repeat(256).as_str()).is_err());
}

#[test]
fn an_identifier_has_no_control_characters_and_is_not_empty() {
    for value in ["", "a\0b", "a\nb", "a\u{7f}", "a\u{85}"] {
        assert!(check_identifier("identifier", value).is_err(), "{value:?}");
    }
}

#[test]
fn a_text_may_be_empty_or_have_lines() {
    assert_eq!(check_text("description", "", 10), Ok(()));
    assert_eq!(check_text("description", "a\n\tb", 10), Ok(()));
    assert!(check_text("description", "a\0b", 10).is_err());
    assert!(check_text("description", "12345678901", 10).is_err());
}
