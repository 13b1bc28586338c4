//! Which value of the session data identifies the user.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::name::check_identifier;
use super::problem::{Problem, shown};

/// Most keys of a path.
const MAX_KEYS: usize = 16;
/// Longest key, in characters.
const MAX_KEY_CHARS: usize = 255;
const FORMS: &str = "A selector is $Session{userId} or userId, \
    and for a nested value $Session{details}{email} or details.email.";

/// A path into the session data, e.g. `$Session{details}{email}`. Each key names a field of an
/// object; nothing reaches into arrays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    path: Vec<String>,
}

impl Selector {
    /// Reads `$Session{a}` or `$Session{a}{b}`, or the bare path `a` or `a.b`: 1–16 keys of 1–255 characters without
    /// braces.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let malformed = || Problem::new("selector is malformed").with_hint(FORMS);
        let (inner, between) = match text.strip_prefix('$') {
            Some(rest) => (rest.strip_prefix("Session{").and_then(|rest| rest.strip_suffix('}')), "}{"),
            None => (Some(text), "."),
        };
        let keys = inner.ok_or_else(malformed)?.split(between);
        let path: Vec<String> = keys.take(MAX_KEYS + 1).map(str::to_owned).collect();
        if path.len() > MAX_KEYS {
            return Err(Problem::new(format!("selector has more than {MAX_KEYS} keys")));
        }
        let wrong = |key: &String| {
            key.is_empty()
                || key.chars().any(|c| c.is_control() || matches!(c, '{' | '}'))
                || key.chars().nth(MAX_KEY_CHARS).is_some()
        };
        if path.iter().any(wrong) {
            return Err(malformed());
        }
        Ok(Self { path })
    }

    /// The keys from the outermost in; at least one.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// The identifier in `data`: a string of 1–255 characters, a whole number as its decimal
    /// digits, or a boolean.
    ///
    /// Numbers that are not whole, or outside 64 bits, are refused: they lose digits on the way
    /// here, and two users must never get one identifier.
    ///
    /// # Errors
    /// Names the path, never a value.
    pub fn select(&self, data: &Value) -> Result<String, Problem> {
        let at = self.find(data);
        let at = at.ok_or_else(|| self.problem("selects nothing in the session data"))?;
        let identifier = match at {
            Value::String(text) => text.clone(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(n) if n.is_i64() || n.is_u64() => n.to_string(),
            Value::Number(_) => {
                return Err(self
                    .problem("selects a number that is not whole or too large")
                    .with_hint("Store the identifier as a string."));
            }
            Value::Null => return Err(self.problem("selects a null")),
            Value::Object(_) => return Err(self.problem("selects an object")),
            Value::Array(_) => return Err(self.problem("selects an array")),
        };
        check_identifier("identifier", identifier.as_str()).map_err(|p| p.with_detail(self.place()))?;
        Ok(identifier)
    }

    fn find<'a>(&self, data: &'a Value) -> Option<&'a Value> {
        let mut keys = self.path.iter();
        // `get` of anything but an object is None too.
        keys.try_fold(data, |at, key| at.as_object()?.get(key))
    }

    /// Copies what it selects in `data`, if that is there, to the same place in `to`.
    pub fn copy(&self, data: &Value, to: &mut Map<String, Value>) {
        let (Some((last, outer)), Some(found)) = (self.path.split_last(), self.find(data)) else {
            return;
        };
        let mut place = to;
        for key in outer {
            let field = place.entry(key).or_insert_with(|| Value::Object(Map::new()));
            match field {
                Value::Object(fields) => place = fields,
                _ => return,
            }
        }
        place.insert(last.clone(), found.clone());
    }

    fn problem(&self, what: &str) -> Problem {
        Problem::new(format!("selector {what}"))
            .with_detail(self.place())
            .with_hint("The selected value is the user's identifier: a string, a whole number or a boolean.")
    }

    fn place(&self) -> String {
        format!("The selector is {}.", shown(&self.to_string()))
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Selector {
    /// The stored form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$Session")?;
        self.path.iter().try_for_each(|key| write!(f, "{{{key}}}"))
    }
}

#[cfg(test)]
mod tests;
