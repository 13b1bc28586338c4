//! Names, identifiers and free texts.

use super::problem::Problem;

/// Longest name of a product, environment, tag or scope, in bytes (they are ASCII).
pub const MAX_NAME: usize = 63;
/// Longest identifier of a user, in characters.
pub const MAX_IDENTIFIER: usize = 255;

/// Accepts the name of a product, environment, tag or scope: `[A-Za-z0-9._-]{1,63}`.
///
/// # Errors
/// Names `what` and the rule.
pub fn check_name(what: &'static str, value: &str) -> Result<(), Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !value.is_empty() && value.len() <= MAX_NAME && value.bytes().all(allowed) {
        return Ok(());
    }
    Err(
        Problem::new(format!("{what} is not a valid name")).with_hint(format!(
            "A name ({what}) has 1 to {MAX_NAME} characters, each of them a letter A-Z or a-z, a digit, \
         a dot, an underscore or a hyphen."
        )),
    )
}

/// Accepts an identifier: 1–255 characters of any script, no control characters.
///
/// # Errors
/// Names `what` and the rule, never the identifier.
pub fn check_identifier(what: &'static str, value: &str) -> Result<(), Problem> {
    check_label(what, value, MAX_IDENTIFIER)
}

/// Accepts a one-line text of 1 to `max_chars` characters, none of them a control character.
///
/// # Errors
/// Names `what` and the rule, never the text.
pub fn check_label(what: &'static str, value: &str, max_chars: usize) -> Result<(), Problem> {
    if value.is_empty() {
        return Err(Problem::new(format!("{what} must not be empty")));
    }
    check_length(what, value, max_chars)?;
    if value.chars().any(char::is_control) {
        return Err(Problem::new(format!(
            "{what} must not contain control characters"
        )));
    }
    Ok(())
}

/// Accepts a text of at most `max_chars` characters, which may be empty or have several lines.
///
/// # Errors
/// Names `what` and the rule, never the text.
pub fn check_text(what: &'static str, value: &str, max_chars: usize) -> Result<(), Problem> {
    check_length(what, value, max_chars)?;
    if value
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return Err(Problem::new(format!(
            "{what} must not contain control characters other than tabs and line ends"
        )));
    }
    Ok(())
}

/// Accepts a text of at most `max_chars` characters.
///
/// # Errors
/// Names `what` and the rule.
pub fn check_length(what: &str, value: &str, max_chars: usize) -> Result<(), Problem> {
    if value.chars().nth(max_chars).is_some() {
        return Err(Problem::new(format!(
            "{what} is longer than {max_chars} characters"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_letters_digits_dots_underscores_and_hyphens() {
        for name in ["a", "my-product", "v1.2_x", &"x".repeat(63)] {
            assert_eq!(check_name("tag", name), Ok(()), "{name}");
        }
    }

    #[test]
    fn anything_else_is_no_name() {
        for name in [
            "",
            "a b",
            "a:b",
            "é",
            "a\0",
            "a\n",
            "$x",
            "a/b",
            &"x".repeat(64),
        ] {
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
        assert_eq!(check_identifier("identifier", &"é".repeat(255)), Ok(()));
        assert!(check_identifier("identifier", &"é".repeat(256)).is_err());
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
}
