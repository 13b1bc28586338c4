//! Accounts and identifiers are texts; an application's column may be a UUID or a number.
//!
//! A text that is no value of the column's type is nobody's row, so it becomes `None` and never an
//! error: a policy that raised would break every query of that user.

use uuid::Uuid;

/// The UUID that a text is: 8-4-4-4-12 hexadecimal digits, in either case, and nothing else.
pub fn uuid(text: &str) -> Option<[u8; 16]> {
    // Of the forms that the parser knows, only this one has 36 characters.
    if text.len() != 36 {
        return None;
    }
    Uuid::try_parse(text).ok().map(Uuid::into_bytes)
}

/// The `bigint` that a text is, as PostgreSQL writes it. `007`, `+7`, `-0` and ` 7` are texts of
/// other users than `7`, and no number.
pub fn bigint(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

/// The `integer` that a text is, as PostgreSQL writes it.
pub fn integer(text: &str) -> Option<i32> {
    bigint(text).and_then(|number| i32::try_from(number).ok())
}

#[cfg(test)]
mod tests;
