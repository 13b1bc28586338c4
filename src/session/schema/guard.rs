//! Bounds that make checking end soon, whatever the schema says.
//!
//! References are followed here as checking would follow them. A recursive schema is refused, and
//! so is one that is small as text but huge once its references are written out: a check costs
//! time in proportion to what is written out.

use serde_json::Value;

use super::{MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH};
use crate::session::data::deeper_than;
use crate::session::problem::{Problem, shown};

/// Most keys and values, each counted as often as references lead to it.
const MAX_WEIGHT: usize = 10_000;
/// Most patterns, counted alike: each takes memory of its own.
const MAX_PATTERNS: usize = 64;
/// Most `unevaluated...` keywords, counted alike. Nested in one another they double the work.
const MAX_UNEVALUATED: usize = 4;

/// Bounds the text and the nesting.
pub(super) fn check_size(schema: &Value) -> Result<(), Problem> {
    // The depth first: it keeps the recursion of everything that follows bounded.
    if deeper_than(schema, MAX_SCHEMA_DEPTH) {
        return Err(too_deep());
    }
    if schema.to_string().len() > MAX_SCHEMA_BYTES {
        return Err(Problem::new(format!("schema is larger than {MAX_SCHEMA_BYTES} bytes")));
    }
    Ok(())
}

/// Bounds the references, and what the schema amounts to with them written out.
pub(super) fn check(schema: &Value) -> Result<Walk<'_>, Problem> {
    let mut walk =
        Walk { root: schema, path: Vec::new(), entered: Vec::new(), weight: 0, patterns: 0, unevaluated: 0 };
    walk.visit(schema, 1)?;
    Ok(walk)
}

/// How many values there are in a value, itself included. The depth is bounded by the caller.
pub(super) fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(fields) => fields.values().map(nodes).sum::<usize>(),
        _ => 0,
    }
}

fn too_deep() -> Problem {
    Problem::new(format!("schema is nested deeper than {MAX_SCHEMA_DEPTH} levels"))
}

/// A walk through all values of a schema, those that are no schemas too: what only looks like a keyword counts as one,
/// and none is missed.
pub(super) struct Walk<'a> {
    root: &'a Value,
    /// Keys that lead here, for messages.
    path: Vec<&'a str>,
    /// References that lead here.
    entered: Vec<&'a str>,
    /// Checking a value takes steps, and finds violations, in proportion to it.
    pub(super) weight: usize,
    pub(super) patterns: usize,
    unevaluated: usize,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, at: &'a Value, depth: usize) -> Result<(), Problem> {
        self.weight += 1;
        self.check_counts()?;
        if depth > MAX_SCHEMA_DEPTH && (at.is_object() || at.is_array()) {
            return Err(too_deep().with_detail(self.place()));
        }
        match at {
            Value::Array(items) => items.iter().try_for_each(|item| self.visit(item, depth + 1)),
            Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
                self.path.push(key);
                self.keyword(at, key, value)?;
                match value {
                    Value::String(reference) if key == "$ref" => self.reference(reference, depth)?,
                    _ => self.visit(value, depth + 1)?,
                }
                self.path.pop();
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    /// Counts what is bounded, and refuses what would change the meaning of local references, or refer by other means.
    /// As names of properties these keywords have objects as values.
    fn keyword(&mut self, of: &Value, key: &str, value: &Value) -> Result<(), Problem> {
        match (key, value) {
            ("pattern", Value::String(_)) => self.patterns += 1,
            ("patternProperties", Value::Object(patterns)) => self.patterns += patterns.len(),
            ("unevaluatedProperties" | "unevaluatedItems", _) => self.unevaluated += 1,
            ("$id" | "$dynamicRef" | "$recursiveRef", Value::String(_)) => {
                return Err(Problem::new(format!("schema must not use \"{key}\""))
                    .with_detail(self.place())
                    .with_hint("Only \"$ref\" to a place in the same schema is supported."));
            }
            // By identity: a reference may lead back to the top, which has one.
            ("$schema", Value::String(_)) if !std::ptr::eq(of, self.root) => {
                return Err(Problem::new("\"$schema\" is only allowed at the top of a schema")
                    .with_detail(self.place()));
            }
            _ => {}
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), Problem> {
        let bounds = [
            (self.weight, MAX_WEIGHT, "values"),
            (self.patterns, MAX_PATTERNS, "patterns"),
            (self.unevaluated, MAX_UNEVALUATED, "\"unevaluated...\" keywords"),
        ];
        match bounds.into_iter().find(|(count, most, _)| count > most) {
            None => Ok(()),
            Some((_, most, what)) => Err(Problem::new(format!("schema has more than {most} {what}"))
                .with_hint("What a reference leads to counts as often as it is referred to.")),
        }
    }

    fn reference(&mut self, reference: &'a str, depth: usize) -> Result<(), Problem> {
        let pointer =
            reference.strip_prefix('#').filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
        let Some(pointer) = pointer.filter(|pointer| !pointer.contains('%')) else {
            return Err(Problem::new("schema refers to another document")
                .with_detail(self.place())
                .with_hint(
                    "Only local references are supported, such as \"#/$defs/address\", without \
                     percent-encoding; copy what is needed under \"$defs\".",
                ));
        };
        let target = self.root.pointer(pointer).ok_or_else(|| {
            Problem::new("schema has a reference that leads nowhere").with_detail(self.place())
        })?;
        if self.entered.contains(&reference) {
            return Err(Problem::new("schema must not be recursive")
                .with_detail(self.place())
                .with_hint("Write out as many levels as the data may have."));
        }
        self.entered.push(reference);
        self.visit(target, depth + 1)?;
        self.entered.pop();
        Ok(())
    }

    fn place(&self) -> String {
        format!("At /{} of the schema.", shown(&self.path.join("/")))
    }
}
