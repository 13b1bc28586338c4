//! The three forms of a schema, told apart and made one.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::DRAFT_2020_12;
use crate::session::problem::{Problem, shown};

type Fields = Map<String, Value>;

const TYPES: [&str; 8] = ["string", "number", "integer", "boolean", "object", "array", "null", "any"];

const DRAFTS: [&str; 3] =
    [DRAFT_2020_12, "https://json-schema.org/draft/2019-09/schema", "http://json-schema.org/draft-07/schema"];

/// Keys that make an object a full schema wherever they stand.
const MARKS: [&str; 4] = ["$schema", "$ref", "$defs", "$id"];

/// Keywords whose value is a map of schemas.
const MAPS: [&str; 5] =
    ["properties", "patternProperties", "definitions", "dependentSchemas", "dependentRequired"];
/// Keywords whose value is an array of schemas, or of names.
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "required"];

/// The keywords of all drafts.
const KEYWORDS: &str = "$anchor $comment $defs $id $ref $schema additionalItems additionalProperties allOf anyOf \
    const contains contentEncoding contentMediaType contentSchema default definitions dependencies \
    dependentRequired dependentSchemas deprecated description else enum examples exclusiveMaximum exclusiveMinimum \
    format if items maxContains maxItems maxLength maxProperties maximum minContains minItems minLength \
    minProperties minimum multipleOf not oneOf pattern patternProperties prefixItems properties propertyNames \
    readOnly required then title type unevaluatedItems unevaluatedProperties uniqueItems writeOnly";

/// Makes a full JSON Schema for an object of any form. It may still be invalid as a JSON Schema.
pub(super) fn to_json_schema(schema: &Value) -> Result<Value, Problem> {
    let fields = schema.as_object().ok_or_else(|| {
        Problem::new("schema must be a JSON object")
            .with_hint(r#"For example: {"userId": {"type": "string", "required": true}}"#)
    })?;
    if is_full(fields) {
        return full(fields);
    }
    if describes_other_type(fields) {
        return Err(not_an_object());
    }
    let mut out = if is_typed(fields)? { typed_fields(fields, None)? } else { sample_object(fields) };
    out.insert("type".into(), "object".into());
    out.insert("$schema".into(), DRAFT_2020_12.into());
    Ok(Value::Object(out))
}

fn is_keyword(key: &str) -> bool {
    KEYWORDS.split_whitespace().any(|keyword| keyword == key)
}

fn is_full(fields: &Fields) -> bool {
    if MARKS.iter().any(|mark| fields.contains_key(*mark)) {
        return true;
    }
    let says_object = fields.get("type").and_then(Value::as_str) == Some("object");
    let only_keywords = fields.keys().all(|key| is_keyword(key));
    let has_shape = fields.iter().any(|(key, value)| has_schema_shape(key, value));
    (says_object && (only_keywords || has_shape)) || (only_keywords && has_shape)
}

/// Whether a keyword has a value that sample data or a typed field of that name would not have.
fn has_schema_shape(key: &str, value: &Value) -> bool {
    match value {
        Value::Object(map) if MAPS.contains(&key) => {
            map.values().all(|v| v.is_object() || v.is_boolean() || v.is_array())
        }
        Value::Array(list) if key == "required" => list.iter().all(Value::is_string),
        Value::Array(list) if LISTS.contains(&key) => !list.is_empty() && list.iter().all(Value::is_object),
        _ => false,
    }
}

/// `{"type": "string", "minLength": 3}`: a schema, but of a string.
fn describes_other_type(fields: &Fields) -> bool {
    let type_name = fields.get("type").and_then(Value::as_str);
    type_name.is_some_and(|name| TYPES.contains(&name)) && fields.keys().all(|k| is_keyword(k))
}

fn not_an_object() -> Problem {
    Problem::new("schema must describe an object").with_hint(
        "Session data is always a JSON object: write \"type\": \"object\", and its fields \
         under \"properties\".",
    )
}

fn full(fields: &Fields) -> Result<Value, Problem> {
    let mut out = fields.clone();
    // It only names the schema; with it, local references would be relative to another document.
    out.remove("$id");
    let draft = match out.get("$schema") {
        None => DRAFT_2020_12,
        Some(Value::String(uri)) => {
            let uri = uri.trim_end_matches('#');
            DRAFTS.into_iter().find(|draft| *draft == uri).ok_or_else(|| {
                Problem::new("schema has an unknown \"$schema\"")
                    .with_hint(format!("Known are: {}.", DRAFTS.join(", ")))
            })?
        }
        Some(_) => return Err(Problem::new("\"$schema\" must be a string")),
    };
    out.insert("$schema".into(), draft.into());
    if out.get("type").is_some_and(|of| !type_names(of).iter().any(|name| name == "object")) {
        return Err(not_an_object());
    }
    out.insert("type".into(), "object".into());
    Ok(Value::Object(out))
}

/// Whether the fields are typed ones.
///
/// Fails where one field is clearly meant as typed, by a boolean `required`, and another is not:
/// taken as samples, they would silently check nothing that was meant.
fn is_typed(fields: &Fields) -> Result<bool, Problem> {
    let odd_one = fields.iter().find(|(_, value)| !is_typed_field(value));
    let Some((name, _)) = odd_one else {
        return Ok(!fields.is_empty());
    };
    if fields.values().any(is_clearly_typed) {
        return Err(Problem::new("schema mixes typed fields with something else")
            .with_detail(format!("Field \"{}\" is not a typed field.", shown(name)))
            .with_hint(format!(
                "A typed field is {{\"type\": ..., \"required\": true or false}}, where the type is \
                 one of: {}.",
                TYPES.join(", ")
            )));
    }
    Ok(false)
}

fn is_typed_field(value: &Value) -> bool {
    match value {
        Value::String(name) => TYPES.contains(&name.as_str()),
        Value::Object(field) => {
            field.keys().all(|key| is_keyword(key)) && field.get("type").is_some_and(names_types)
        }
        _ => false,
    }
}

/// The names that a `type` gives: one, or an array of them.
pub(in crate::session) fn type_names(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

fn names_types(value: &Value) -> bool {
    let known = |name: &Value| name.as_str().is_some_and(|name| TYPES.contains(&name));
    let names = type_names(value);
    !names.is_empty() && names.iter().all(known)
}

fn is_clearly_typed(value: &Value) -> bool {
    value.as_object().is_some_and(|field| {
        field.get("type").is_some_and(|t| t.is_string() || t.is_array())
            && field.get("required").is_some_and(Value::is_boolean)
            && field.keys().all(|key| is_keyword(key))
    })
}

/// The properties of an object with these typed fields, and the names of those that are required: these, and what is
/// `also` said to be.
fn typed_fields(fields: &Fields, also: Option<&Value>) -> Result<Fields, Problem> {
    let also = also.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut required: BTreeSet<String> = also.map(str::to_owned).collect();
    let mut properties = Map::new();
    for (name, value) in fields {
        let (schema, is_required) = typed_field(name, value)?;
        properties.insert(name.clone(), schema);
        if is_required {
            required.insert(name.clone());
        }
    }
    let mut out = Map::from_iter([("properties".to_owned(), Value::Object(properties))]);
    if !required.is_empty() {
        out.insert("required".into(), required.into_iter().collect());
    }
    Ok(out)
}

/// The schema of one field, and whether the field is required. What isn't a typed field, as may
/// happen below the top level, is taken for a JSON Schema.
fn typed_field(name: &str, value: &Value) -> Result<(Value, bool), Problem> {
    let mut field = match value {
        Value::String(type_name) => Map::from_iter([("type".to_owned(), json!(type_name))]),
        Value::Object(field) => field.clone(),
        other => return Ok((other.clone(), false)),
    };
    if field.get("type").is_some_and(|of| type_names(of).iter().any(|name| name == "any")) {
        field.remove("type");
    }
    let is_required = match field.get("required") {
        Some(Value::Bool(flag)) => *flag,
        // The required properties of a nested object, as in JSON Schema.
        Some(Value::Array(_)) | None => false,
        Some(_) => {
            return Err(Problem::new("\"required\" must be true or false")
                .with_detail(format!("Field \"{}\".", shown(name))));
        }
    };
    if field.get("required").is_some_and(Value::is_boolean) {
        field.remove("required");
    }
    if let Some(Value::Object(nested)) = field.get("properties") {
        let typed = typed_fields(nested, field.get("required"))?;
        field.extend(typed);
    }
    if let Some(items @ Value::Object(_)) = field.get("items") {
        let (items, _) = typed_field(name, items)?;
        field.insert("items".into(), items);
    }
    Ok((Value::Object(field), is_required))
}

/// The schema of objects like this sample.
fn sample_object(sample: &Fields) -> Fields {
    let mut out = Map::new();
    out.insert("type".into(), "object".into());
    if !sample.is_empty() {
        let properties = sample.iter().map(|(name, value)| (name.clone(), sample_value(value)));
        out.insert("properties".into(), Value::Object(properties.collect()));
    }
    out
}

fn sample_value(sample: &Value) -> Value {
    match sample {
        Value::Null => json!({}),
        Value::Bool(_) => json!({"type": "boolean"}),
        Value::Number(_) => json!({"type": "number"}),
        Value::String(_) => json!({"type": "string"}),
        Value::Object(fields) => Value::Object(sample_object(fields)),
        Value::Array(items) => {
            let mut schemas = items.iter().map(sample_value);
            match schemas.next() {
                Some(first) if schemas.all(|other| other == first) => {
                    json!({"type": "array", "items": first})
                }
                _ => json!({"type": "array"}),
            }
        }
    }
}
