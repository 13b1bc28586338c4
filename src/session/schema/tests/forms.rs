//! The three forms of a schema.

use super::*;

/// What normalising gives, without the `$schema` that it always has.
fn body(schema: Value) -> Value {
    let mut out = normal(schema);
    assert_eq!(out["$schema"], DRAFT_2020_12);
    out.as_object_mut().unwrap().remove("$schema");
    out
}

#[test]
fn a_nested_object_may_list_its_required_properties_as_json_schema_does() {
    let schema = json!({"d": {"type": "object", "required": ["b"], "properties": {
        "a": {"type": "string", "required": true}, "b": {"type": "string"}}}});
    assert_eq!(body(schema)["properties"]["d"]["required"], json!(["a", "b"]));
}

#[test]
fn a_field_may_be_called_like_a_keyword() {
    let typed = json!({"type": {"type": "string"}, "properties": {"type": "object"}});
    assert_eq!(body(typed)["properties"]["type"], json!({"type": "string"}));
    let sample = json!({"type": "admin", "title": "Dr", "required": true});
    assert_eq!(body(sample)["properties"]["required"], json!({"type": "boolean"}));
}

#[test]
fn a_typed_field_beside_something_else_is_refused() {
    let schema = json!({"userId": {"type": "string", "required": true}, "x": {"y": 1}});
    assert!(refused(schema).detail.unwrap().contains("\"x\""));
    let schema = json!({"userId": {"type": "uuid", "required": true}});
    assert!(refused(schema).hint.unwrap().contains("integer"));
}

#[test]
fn samples_require_nothing_and_allow_more() {
    let schema = compiled(json!({"userId": "u", "details": {"email": "e", "cartId": "c"}}));
    assert_eq!(schema.check(&json!({"details": {"email": "x", "more": 1}})), Ok(()));
    assert!(schema.check(&json!({"userId": 1})).is_err());
}

#[test]
fn sample_values_are_not_stored() {
    assert!(!normal(json!({"k": "s3cret", "l": ["s3cret"]})).to_string().contains("s3cret"));
}

#[test]
fn a_full_schema_is_kept() {
    for schema in [
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}),
        json!({"type": "object", "additionalProperties": false}),
        json!({"type": "object"}),
        json!({"type": "object", "x-note": 1, "properties": {"a": true}}),
    ] {
        assert_eq!(body(schema.clone()), schema);
    }
}

#[test]
fn a_full_schema_without_a_type_is_of_an_object() {
    for schema in [
        json!({"$schema": DRAFT_2020_12}),
        json!({"properties": {"a": {"type": "string"}}}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"required": ["x"]}}}),
        json!({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        json!({"$schema": DRAFT_2020_12, "type": ["object", "null"]}),
    ] {
        assert_eq!(body(schema)["type"], "object");
    }
}

#[test]
fn older_drafts_are_kept_and_their_id_is_dropped() {
    let draft7 = "http://json-schema.org/draft-07/schema#";
    let out = normal(json!({"$schema": draft7, "$id": "https://example.com/s", "properties": {}}));
    assert_eq!(out["$schema"], draft7.trim_end_matches('#'));
    assert!(out.get("$id").is_none());
    assert_eq!(normal(out.clone()), out);
}
