//! The bounds that session data keeps, whatever its schema says.

use serde_json::Value;

use super::problem::Problem;

pub use crate::token::MAX_DATA_BYTES;

/// Deepest nesting of session data; the object itself is level 1.
pub const MAX_DATA_DEPTH: usize = 64;

/// What to do about larger data.
pub const TOO_LARGE_HINT: &str = "Keep what is large in a table, and its key in the session.";

/// Accepts session data: a JSON object of at most [`MAX_DATA_BYTES`] and [`MAX_DATA_DEPTH`].
/// `json_bytes` is the length of its JSON text, which the caller has at hand.
///
/// # Errors
/// Names the bound that is broken.
pub fn check_data(data: &Value, json_bytes: usize) -> Result<(), Problem> {
    if !data.is_object() {
        return Err(no_object());
    }
    if json_bytes > MAX_DATA_BYTES {
        return Err(Problem::new(format!("session data is larger than {MAX_DATA_BYTES} bytes"))
            .with_detail(format!("It has {json_bytes} bytes as JSON text."))
            .with_hint(TOO_LARGE_HINT));
    }
    if deeper_than(data, MAX_DATA_DEPTH) {
        return Err(Problem::new(format!("session data is nested deeper than {MAX_DATA_DEPTH} levels")));
    }
    Ok(())
}

/// The problem of session data that is an array or a scalar.
pub fn no_object() -> Problem {
    Problem::new("session data must be a JSON object")
}

/// Whether objects and arrays are nested more than `levels` deep. Looks no deeper than that, so
/// its own recursion is bounded.
pub(crate) fn deeper_than(value: &Value, levels: usize) -> bool {
    let inner = |child: &Value| match levels.checked_sub(1) {
        Some(rest) => deeper_than(child, rest),
        None => true,
    };
    match value {
        Value::Object(fields) => levels == 0 || fields.values().any(inner),
        Value::Array(items) => levels == 0 || items.iter().any(inner),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
