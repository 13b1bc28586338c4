//! The bounds that session data keeps, whatever its schema says.

use serde_json::Value;

use super::problem::Problem;

pub use crate::token::MAX_DATA_BYTES;

/// Deepest nesting of session data; the object itself is level 1.
pub const MAX_DATA_DEPTH: usize = 64;

/// What to do about larger data.
pub const TOO_LARGE_HINT: &str = "Keep what is large in a table, and its key in the session.";

/// Accepts session data of at most [`MAX_DATA_BYTES`] as JSON text.
pub fn check_data_bytes(bytes: usize) -> Result<(), Problem> {
    if bytes <= MAX_DATA_BYTES {
        return Ok(());
    }
    Err(Problem::new(format!("session data is larger than {MAX_DATA_BYTES} bytes"))
        .with_detail(format!("It has {bytes} bytes as JSON text."))
        .with_hint(TOO_LARGE_HINT))
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
