//! Names, identifiers and free texts. A problem names `what` breaks which rule, and never repeats the text.

use super::problem::Problem;
use crate::token::is_name;

pub use crate::token::MAX_NAME;

/// Longest display name of a product, in characters.
pub const MAX_PRODUCT_NAME: usize = 200;
/// Longest description of a scope, in characters.
pub const MAX_SCOPE_DESCRIPTION: usize = 2_000;
/// Longest identifier of a user, in characters.
pub const MAX_IDENTIFIER: usize = 255;

/// Accepts the name of a product, environment, tag or scope: `[A-Za-z0-9._-]{1,63}`.
pub fn check_name(what: &'static str, value: &str) -> Result<(), Problem> {
    if is_name(value) {
        return Ok(());
    }
    Err(Problem::new(format!("{what} is not a valid name")).with_hint(format!(
        "A name ({what}) has 1 to {MAX_NAME} characters, each of them a letter A-Z or a-z, a digit, \
         a dot, an underscore or a hyphen."
    )))
}

/// Accepts an identifier, if one is given: 1–255 characters of any script, no control characters.
///
/// # Errors
/// Names `what` and the rule, never the identifier.
pub fn check_identifier<'a>(what: &'static str, given: impl Into<Option<&'a str>>) -> Result<(), Problem> {
    given.into().map_or(Ok(()), |value| check_label(what, value, MAX_IDENTIFIER))
}

/// Accepts a one-line text of 1 to `max_chars` characters, none of them a control character.
pub fn check_label(what: &'static str, value: &str, max_chars: usize) -> Result<(), Problem> {
    if value.is_empty() {
        return Err(Problem::new(format!("{what} must not be empty")));
    }
    check_length(what, value, max_chars)?;
    if value.chars().any(char::is_control) {
        return Err(Problem::new(format!("{what} must not contain control characters")));
    }
    Ok(())
}

/// Accepts a text of at most `max_chars` characters, which may be empty or have several lines.
pub fn check_text(what: &'static str, value: &str, max_chars: usize) -> Result<(), Problem> {
    check_length(what, value, max_chars)?;
    if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Problem::new(format!(
            "{what} must not contain control characters other than tabs and line ends"
        )));
    }
    Ok(())
}

/// Accepts a text of at most `max_chars` characters.
pub fn check_length(what: &str, value: &str, max_chars: usize) -> Result<(), Problem> {
    if value.chars().nth(max_chars).is_some() {
        return Err(Problem::new(format!("{what} is longer than {max_chars} characters")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
