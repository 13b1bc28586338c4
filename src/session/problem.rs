//! What is wrong with an input.

use std::fmt;

/// How many characters of a caller's text (a key, a path) a message repeats at most.
const SHOWN_CHARS: usize = 200;

/// What is wrong with an input, in the three parts of a PostgreSQL error.
///
/// A problem never holds a value out of session data, which may be secret: it names the path and
/// the rule. The caller puts the error code of its function in front of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, without a final full stop.
    pub message: String,
    /// Where, or which of several; may have several lines.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of which there is nothing more to say than the message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None, hint: None }
    }

    /// The argument `what` is none of these texts.
    pub fn not_one_of(what: &str, texts: &[&str]) -> Self {
        Problem::new(format!("{what} is not known"))
            .with_hint(format!("{what} is one of: {}.", texts.join(", ")))
    }

    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    /// The message alone: DETAIL and HINT have fields of their own in PostgreSQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A caller's key or path as a message may repeat it: on one line, and not endless.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == SHOWN_CHARS {
            out.push_str("...");
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// The first ten of these names as a message lists them, and whether there are more.
pub(crate) fn listed(names: impl IntoIterator<Item = impl Into<String>>) -> String {
    let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
    if names.len() > 10 {
        names.truncate(10);
        names.push("and more".to_owned());
    }
    names.join(", ")
}

#[cfg(test)]
mod tests;
