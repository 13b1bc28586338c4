use super::*;
use serde_json::json;

mod forms;
mod properties;

fn normal(schema: Value) -> Value {
    normalize(&schema).unwrap_or_else(|p| panic!("{schema}: {p:?}"))
}

fn refused(schema: Value) -> Problem {
    normalize(&schema).expect_err(&schema.to_string())
}

fn compiled(schema: Value) -> CompiledSchema {
    CompiledSchema::compile(&normal(schema)).unwrap()
}

fn details(schema: Value, data: Value) -> String {
    compiled(schema).check(&data).unwrap_err().detail.unwrap()
}

#[test]
fn references_to_other_documents_are_refused_with_a_hint() {
    for reference in
        ["http://example.com/s", "https://x/y#/a", "file:///etc/passwd", "other.json", "#anchor", ""]
    {
        let schema = json!({"type": "object", "properties": {"a": {"$ref": reference}}});
        let problem = refused(schema);
        assert!(problem.hint.unwrap().contains("$defs"), "{reference}");
        assert_eq!(problem.detail.unwrap(), "At /properties/a/$ref of the schema.");
    }
}

#[test]
fn local_references_are_followed() {
    let schema = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/s"}},
        "$defs": {"s": {"type": "string"}}});
    assert_eq!(details(schema, json!({"a": 1})), "/a: must be of type \"string\"");
}

#[test]
fn recursive_schemas_are_refused() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"type": "object", "properties": {"child": {"$ref": "#"}}}),
        json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}),
        json!({"type": "object", "properties": {"a": {"not": {"$ref": "#/properties/a"}}}}),
    ] {
        assert_eq!(refused(schema).message, "schema must not be recursive");
    }
}

#[test]
fn other_ways_to_refer_are_refused() {
    for key in ["$dynamicRef", "$recursiveRef", "$id", "$schema"] {
        refused(json!({"type": "object", "properties": {"a": {key: "#"}}}));
    }
    // As the name of a property it is nothing special.
    normal(json!({"type": "object", "properties": {"$id": {"type": "string"}}}));
    refused(json!({"$ref": "#/$defs/gone"}));
}

#[test]
fn references_that_multiply_are_refused() {
    let mut defs = serde_json::Map::new();
    for n in 0..10 {
        let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
        defs.insert(format!("d{n}"), json!({"not": next, "if": next, "then": next, "else": next}));
    }
    defs.insert("d10".into(), json!({}));
    let problem = refused(json!({"$ref": "#/$defs/d0", "$defs": defs}));
    assert!(problem.message.contains("values"), "{problem}");
}

#[test]
fn size_and_nesting_are_bounded() {
    refused(json!({"type": "object", "description": "x".repeat(MAX_SCHEMA_BYTES)}));
    let nested = |levels| (0..levels).fold(json!({}), |inner, _| json!({"not": inner}));
    normal(json!({"type": "object", "not": nested(30)}));
    refused(json!({"type": "object", "not": nested(31)}));
    let deep = (0..100_000).fold(json!({}), |inner, _| Value::Array(vec![inner]));
    let problem = normalize(&deep).unwrap_err();
    assert!(problem.message.contains("deeper"));
    // Dropping it would recurse without bound.
    std::mem::forget(deep);
}

#[test]
fn patterns_are_bounded_and_without_backtracking() {
    let with = |pattern: &str| json!({"a": {"type": "string", "pattern": pattern}});
    normal(with("^[a-z]+@[a-z]+$"));
    for pattern in ["(?=x)", "(a)\\1", "((\\w{1000}){1000}){1000}", "("] {
        let problem = refused(with(pattern));
        assert_eq!(problem.message, "schema is not a valid JSON Schema", "{pattern}");
    }
    let many: serde_json::Map<_, _> =
        (0..65).map(|n| (format!("f{n}"), json!({"type": "string", "pattern": "a"}))).collect();
    assert!(refused(Value::Object(many)).message.contains("patterns"));
}

#[test]
fn the_patterns_of_a_schema_are_bounded_together() {
    let with = |count: usize, pattern: &str| {
        let fields = (0..count).map(|n| (format!("f{n}"), json!({"type": "string", "pattern": pattern})));
        Value::Object(fields.collect())
    };
    // Some 80 KB compiled: one such pattern is fine, and as many as there may be are too much.
    let large = "(?:(?:a|b|ab|ba){0,300}a)+[^a-z]";
    normal(with(1, large));
    assert!(refused(with(64, large)).hint.unwrap().contains("share"));
    normal(with(64, "^[a-z]+@[^@]+[.][a-z]{2,9}$"));
}

#[test]
fn a_missing_field_is_told_by_its_own_path() {
    let schema = json!({"details": {"type": "object", "properties": {
        "e/m": {"type": "string", "required": true}}}});
    assert_eq!(details(schema, json!({"details": {}})), "/details/e~1m: is required");
}

#[test]
fn nothing_is_listed_where_collecting_would_take_too_much_memory() {
    let rules: Vec<Value> = (0..1000).map(|_| json!({"type": "null"})).collect();
    let schema = json!({"type": "object", "properties": {"a": {"items": {"anyOf": rules}}}});
    let data = json!({"a": vec![1; 1700]});
    assert_eq!(details(schema, data), "Schema and data are too large to tell where.");
}

#[test]
fn no_rule_tells_the_offending_value() {
    let rules = json!([
        {"type": "integer"}, {"type": ["integer", "null"]}, {"enum": [1]}, {"const": 1},
        {"pattern": "^x$"}, {"format": "email"}, {"maxLength": 1}, {"minLength": 99}, {"not": {}},
        {"anyOf": [{"type": "null"}]},
        {"oneOf": [{"type": "null"}]}, {"oneOf": [{}, {}]}, {"allOf": [{"type": "null"}]},
        {"if": {}, "then": {"type": "null"}},
    ]);
    for rule in rules.as_array().unwrap() {
        let schema = json!({"type": "object", "properties": {"a": rule}});
        let detail = details(schema, json!({"a": "s3cret"}));
        assert!(detail.starts_with("/a: ") && !detail.contains("s3cret"), "{detail}");
    }
    let lists = json!([
        {"items": false}, {"maxItems": 1}, {"minItems": 9}, {"uniqueItems": true},
        {"contains": {"type": "null"}}, {"prefixItems": [true], "items": false},
        {"unevaluatedItems": false},
    ]);
    for rule in lists.as_array().unwrap() {
        let schema = json!({"type": "object", "properties": {"a": rule}});
        let detail = details(schema, json!({"a": ["s3cret", "s3cret"]}));
        assert!(detail.starts_with("/a") && !detail.contains("s3cret"), "{detail}");
    }
    let numbers = json!([{"maximum": 1}, {"exclusiveMaximum": 1}, {"minimum": 1e9},
        {"exclusiveMinimum": 1e9}, {"multipleOf": 5}]);
    for rule in numbers.as_array().unwrap() {
        let schema = json!({"type": "object", "properties": {"a": rule}});
        assert!(!details(schema, json!({"a": 777_001})).contains("777001"));
    }
    let objects = json!([{"additionalProperties": false}, {"unevaluatedProperties": false},
        {"propertyNames": {"maxLength": 0}}, {"maxProperties": 0}, {"minProperties": 9},
        {"additionalProperties": {"type": "null"}}, {"dependentRequired": {"k": ["other"]}}]);
    for rule in objects.as_array().unwrap() {
        let schema = json!({"type": "object", "properties": {"a": rule}});
        assert!(!details(schema, json!({"a": {"k": "s3cret"}})).contains("s3cret"));
    }
}
