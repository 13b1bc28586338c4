//! Bounds that make checking end soon, whatever the schema says.
//!
//! References are followed here as checking would follow them. A recursive schema is refused, and
//! so is one that is small as text but huge once its references are written out: a check costs
//! time in proportion to what is written out.

use serde_json::{Map, Value};

use super::{MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH};
use crate::session::data::deeper_than;
use crate::session::problem::{Problem, shown};

/// Most keys and values, each counted as often as references lead to it.
const MAX_WEIGHT: usize = 10_000;
/// Most patterns, counted alike: each takes memory of its own.
const MAX_PATTERNS: usize = 64;
/// Most `unevaluated…` keywords, counted alike. Nested in one another they double the work.
const MAX_UNEVALUATED: usize = 4;

/// Keywords that hold one schema (some of them, in older drafts, an array of schemas).
const ONE: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const MAPS: [&str; 6] =
    ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];

/// Bounds the text and the nesting.
pub(super) fn check_size(schema: &Value) -> Result<(), Problem> {
    // The depth first: it keeps the recursion of everything that follows bounded.
    if deeper_than(schema, MAX_SCHEMA_DEPTH) {
        return Err(too_deep());
    }
    let bytes = serde_json::to_vec(schema).map_err(|_| Problem::new("schema is not valid JSON"))?;
    if bytes.len() > MAX_SCHEMA_BYTES {
        return Err(Problem::new(format!("schema is larger than {MAX_SCHEMA_BYTES} bytes")));
    }
    Ok(())
}

/// What a schema amounts to, with its references written out.
pub(super) struct Cost {
    /// Checking a value takes steps, and finds violations, in proportion to it.
    pub(super) weight: usize,
    /// How many patterns it has.
    pub(super) patterns: usize,
}

/// Bounds the references and what they amount to.
pub(super) fn check(schema: &Value) -> Result<Cost, Problem> {
    let mut walk =
        Walk { root: schema, path: Vec::new(), entered: Vec::new(), weight: 0, patterns: 0, unevaluated: 0 };
    walk.schema(schema, 1)?;
    Ok(Cost { weight: walk.weight, patterns: walk.patterns })
}

/// What a local reference (`#` or `#/…`) refers to.
pub(crate) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    match reference.strip_prefix('#')? {
        "" => Some(root),
        pointer => root.pointer(pointer),
    }
}

/// Whether the keyword's value is made of schemas.
pub(super) fn is_applicator(key: &str) -> bool {
    ONE.contains(&key) || LISTS.contains(&key) || MAPS.contains(&key)
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

struct Walk<'a> {
    root: &'a Value,
    /// Keys that lead here, for messages.
    path: Vec<&'a str>,
    /// References that lead here.
    entered: Vec<&'a str>,
    weight: usize,
    patterns: usize,
    unevaluated: usize,
}

impl<'a> Walk<'a> {
    fn schema(&mut self, at: &'a Value, depth: usize) -> Result<(), Problem> {
        // What is neither an object nor a boolean is left to the meta-schema.
        let Value::Object(fields) = at else {
            return Ok(());
        };
        if depth > MAX_SCHEMA_DEPTH {
            return Err(too_deep().with_detail(self.place()));
        }
        self.count(fields)?;
        self.refuse_foreign(at, fields)?;
        for (key, value) in fields {
            self.path.push(key);
            if key == "$ref" {
                self.reference(value, depth)?;
            } else if is_applicator(key) {
                match value {
                    Value::Array(list) => self.list(list, depth)?,
                    Value::Object(map) if MAPS.contains(&key.as_str()) => self.map(map, depth)?,
                    one => self.schema(one, depth + 1)?,
                }
            }
            self.path.pop();
        }
        Ok(())
    }

    fn list(&mut self, list: &'a [Value], depth: usize) -> Result<(), Problem> {
        list.iter().try_for_each(|one| self.schema(one, depth + 2))
    }

    fn map(&mut self, map: &'a Map<String, Value>, depth: usize) -> Result<(), Problem> {
        for (name, one) in map {
            self.path.push(name);
            // In `dependencies` of older drafts: a list of names.
            self.weight += one.as_array().map_or(0, Vec::len);
            self.schema(one, depth + 2)?;
            self.path.pop();
        }
        Ok(())
    }

    fn count(&mut self, fields: &Map<String, Value>) -> Result<(), Problem> {
        self.weight += 1;
        for (key, value) in fields {
            // What is in a schema inside is counted when the walk gets there.
            self.weight += if is_applicator(key) { 1 } else { nodes(value) };
        }
        self.patterns += usize::from(fields.contains_key("pattern"));
        if let Some(Value::Object(patterns)) = fields.get("patternProperties") {
            self.patterns += patterns.len();
        }
        self.unevaluated += usize::from(fields.contains_key("unevaluatedProperties"))
            + usize::from(fields.contains_key("unevaluatedItems"));
        let bounds = [
            (self.weight, MAX_WEIGHT, "values"),
            (self.patterns, MAX_PATTERNS, "patterns"),
            (self.unevaluated, MAX_UNEVALUATED, "\"unevaluated…\" keywords"),
        ];
        for (count, most, what) in bounds {
            if count > most {
                return Err(Problem::new(format!("schema has more than {most} {what}"))
                    .with_hint("What a reference leads to counts as often as it is referred to."));
            }
        }
        Ok(())
    }

    /// Refuses what would change the meaning of local references, or refer by other means.
    fn refuse_foreign(&self, at: &Value, fields: &Map<String, Value>) -> Result<(), Problem> {
        for key in ["$id", "$dynamicRef", "$recursiveRef"] {
            if fields.contains_key(key) {
                return Err(Problem::new(format!("schema must not use \"{key}\""))
                    .with_detail(self.place())
                    .with_hint("Only \"$ref\" to a place in the same schema is supported."));
            }
        }
        // By identity: a reference may lead back to the top, which has one.
        if !std::ptr::eq(at, self.root) && fields.contains_key("$schema") {
            return Err(
                Problem::new("\"$schema\" is only allowed at the top of a schema").with_detail(self.place())
            );
        }
        Ok(())
    }

    fn reference(&mut self, value: &'a Value, depth: usize) -> Result<(), Problem> {
        // Not a string: the meta-schema's business.
        let Value::String(reference) = value else {
            return Ok(());
        };
        let is_local = reference == "#" || reference.starts_with("#/");
        if !is_local || reference.contains('%') {
            return Err(Problem::new("schema refers to another document")
                .with_detail(self.place())
                .with_hint(
                    "Only local references are supported, such as \"#/$defs/address\", without \
                     percent-encoding; copy what is needed under \"$defs\".",
                ));
        }
        let target = resolve(self.root, reference).ok_or_else(|| {
            Problem::new("schema has a reference that leads nowhere").with_detail(self.place())
        })?;
        if self.entered.contains(&reference.as_str()) {
            return Err(Problem::new("schema must not be recursive")
                .with_detail(self.place())
                .with_hint("Write out as many levels as the data may have."));
        }
        self.entered.push(reference);
        self.schema(target, depth + 1)?;
        self.entered.pop();
        Ok(())
    }

    fn place(&self) -> String {
        format!("At /{} of the schema.", shown(&self.path.join("/")))
    }
}
