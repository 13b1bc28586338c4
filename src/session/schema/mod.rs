//! Schemas of session data: three ways to write one, one way to store and check it.
//!
//! Checking has to end soon whatever an administrator stored, so a schema is bounded: see
//! [`MAX_SCHEMA_BYTES`], [`MAX_SCHEMA_DEPTH`] and the `guard` module.

mod form;
mod guard;
mod wording;

use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::problem::Problem;
pub(super) use form::type_names;

/// The `$schema` of what [`normalize`] returns, unless the schema named an older draft itself.
pub const DRAFT_2020_12: &str = "https://json-schema.org/draft/2020-12/schema";
/// Most bytes of a schema, as JSON text, before and after normalising.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// Deepest nesting of a schema, also where references lead.
pub const MAX_SCHEMA_DEPTH: usize = 32;
/// Memory that the compiled patterns of a schema may take together, in bytes, and their lazily built automata. To
/// match takes time in proportion to it and to the text: a second for the longest data, which nothing interrupts.
const MAX_PATTERNS_BYTES: usize = 1024 * 1024;
/// Most of that for one pattern.
const MAX_PATTERN_BYTES: usize = 128 * 1024;
/// Violations are listed where values to check times weight of the schema stay below this: the
/// crate collects them all before the first can be seen, at some 500 bytes each.
const MAX_COLLECTED: usize = 200_000;
/// How many violations a DETAIL lists.
const MAX_LISTED: usize = 5;

/// Turns any of the three forms of a schema into one full JSON Schema that has a `$schema` and
/// `"type": "object"`. Normalising what is normalised changes nothing.
///
/// 1. **Full JSON Schema**: has a key `$schema`, `$ref`, `$defs` or `$id`; or consists of JSON
///    Schema keywords, one of which has the shape that only a schema gives it (`properties` is an
///    object of schemas, `required` an array, `allOf` an array of objects …); or says
///    `"type": "object"` beside such a keyword or beside keywords only. Drafts 2020-12 (the
///    default), 2019-09 and 7. A top-level `$id` is dropped.
/// 2. **Typed fields**: each value is `{"type": …}` with one of the types string, number, integer,
///    boolean, object, array, null, any (or an array of them), optionally a boolean `required`
///    (default false) and otherwise JSON Schema keywords, nested `properties` and `items` alike; or
///    is the bare name of a type, `{"age": "number"}`. If one field says `required` all have to
///    be typed.
/// 3. **Sample values**: everything else. Types are inferred (every number gives `number`), null
///    allows anything, nothing is required and further properties are allowed. Elements of an array
///    are typed where all samples agree.
///
/// `{}` accepts every object.
///
/// # Errors
/// For a schema that doesn't describe an object, is invalid (names the path in the schema), refers
/// to another document, is recursive, or breaks a bound.
pub fn normalize(schema: &Value) -> Result<Value, Problem> {
    guard::check_size(schema)?;
    let full = form::to_json_schema(schema)?;
    CompiledSchema::compile(&full)?;
    Ok(full)
}

/// A schema that is ready to check session data.
#[derive(Debug)]
pub struct CompiledSchema {
    validator: Validator,
    weight: usize,
}

impl CompiledSchema {
    /// Compiles what [`normalize`] returned. Formats such as `email` are checked, unknown ones
    /// ignored; patterns are matched in linear time, so they have no look-around and no
    /// backreferences. The patterns share [`MAX_PATTERNS_BYTES`] equally.
    ///
    /// # Errors
    /// As [`normalize`]: it trusts no stored schema either.
    pub fn compile(schema: &Value) -> Result<Self, Problem> {
        guard::check_size(schema)?;
        let guard::Walk { weight, patterns, .. } = guard::check(schema)?;
        let share = (MAX_PATTERNS_BYTES / patterns.max(1)).min(MAX_PATTERN_BYTES);
        jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex().size_limit(share).dfa_size_limit(share))
            .build(schema)
            .map(|validator| Self { validator, weight })
            .map_err(|error| invalid(&error))
    }

    /// Checks session data.
    ///
    /// # Errors
    /// DETAIL has a line for each of the first five violations, `<path>: <rule>`, where the path
    /// is a JSON pointer. Values of the data are in none of them. Where both schema and data are
    /// large, nothing is listed.
    pub fn check(&self, data: &Value) -> Result<(), Problem> {
        if self.validator.is_valid(data) {
            return Ok(());
        }
        let problem = Problem::new("session data does not match the schema");
        if guard::nodes(data).saturating_mul(self.weight) > MAX_COLLECTED {
            return Err(problem.with_detail("Schema and data are too large to tell where."));
        }
        let mut errors = self.validator.iter_errors(data);
        let mut lines: Vec<String> =
            errors.by_ref().take(MAX_LISTED).map(|error| wording::violation(&error)).collect();
        let more = errors.count();
        if more > 0 {
            lines.push(format!("(and {more} more)"));
        }
        Err(problem.with_detail(lines.join("\n")))
    }
}

fn invalid(error: &ValidationError<'_>) -> Problem {
    let problem = Problem::new("schema is not a valid JSON Schema").with_detail(wording::violation(error));
    if error.kind().keyword() == "format" {
        return problem.with_hint(
            "A pattern must be a regular expression without look-around and backreferences, \
             and not too large; all patterns of a schema share a megabyte, once they are compiled.",
        );
    }
    problem
}

#[cfg(test)]
mod tests;
