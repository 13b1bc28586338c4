//! Every parser of the service's own texts and documents, with what it accepts as seeds: what is accepted reads the
//! same once it is written, and nothing panics.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::schema::normalize;
use super::*;
use crate::tests::{config, mutated};

const SELECTORS: &[&str] = &["$Session{userId}", "$Session{details}{email}", "userId", "a.b.c"];
const PERIODS: &[&str] = &["seconds", "mins", "hour", "days", "weeks", "months", "years"];
const SCHEMAS: &[&str] = &[
    r#"{}"#,
    r#"{"userId": "user_456", "details": {"age": 30, "tags": ["a"]}}"#,
    r#"{"userId": {"type": "string", "required": true, "pattern": "^u_[0-9]+$"}, "age": "number"}"#,
    r##"{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "$defs": {"a": {"type": "integer"}},
       "properties": {"a": {"$ref": "#/$defs/a"}}, "patternProperties": {"^x": {}}, "required": ["a"]}"##,
    r#"{"allOf": [{"properties": {"a": {"anyOf": [{"const": 1}, {"format": "email"}]}}}],
       "unevaluatedProperties": false}"#,
];
const DATA: &[&str] = &[
    r#"{"userId": "u_1", "details": {"age": 30, "tags": ["a"]}, "age": 1.5}"#,
    r#"{"a": "x@y.zz", "x1": null}"#,
];
const DEFINITION: &str = r#"{"tag": "web", "name": "Web", "description": "d", "selector": "$Session{userId}", "expiry": 1,
    "period": "hours", "refresh_expiry": 30, "refresh_period": "days", "idle_timeout": 7200, "max_lifetime": null,
    "max_sessions": 5, "on_limit": "deny", "reuse_interval": 30, "log_verify": true, "schema": {"userId": "u"}}"#;
const COMPONENTS: &str = r#"{"call_logs": {"enabled": true}, "dial_plan": {"enabled": false}}"#;

fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_selector_is_read_back(seed: Index, changes in mutated()) {
        let text = changes.apply_to(seed.get::<&str>(SELECTORS));
        if let Ok(selector) = Selector::parse(&text) {
            let written = selector.to_string();
            prop_assert_eq!(Selector::parse(&written), Ok(selector.clone()));
            for data in DATA.iter().filter_map(|data| json(data)) {
                let _ = selector.select(&data);
            }
        }
    }

    #[test]
    fn a_period_is_a_word_of_the_list(seed: Index, changes in mutated(), count: i32) {
        if let Ok(period) = Period::read(&changes.apply_to(seed.get::<&str>(PERIODS))) {
            prop_assert_eq!(Period::read(period.as_str()), Ok(period));
            if let Ok(span) = period.span(count) {
                prop_assert!(span.is_positive() && span.is_within_a_century());
            }
        }
    }

    #[test]
    fn a_definition_is_read_back(changes in mutated()) {
        let Some(fields) = json(&changes.apply_to(DEFINITION)) else { return Ok(()) };
        let read = |v: &Value| Definition::from_json(v, &|_| None);
        if let Ok(definition) = read(&fields) {
            let written = definition.to_json();
            prop_assert_eq!(written["tag"].as_str(), Some(definition.tag.as_str()));
            prop_assert_eq!(normalize(&definition.schema), Ok(definition.schema));
        }
    }

    #[test]
    fn a_schema_is_normalised_once_and_judges_all_data(
        (schema, data) in any::<(Index, Index)>(),
        schema_changes in mutated(),
        data_changes in mutated(),
    ) {
        let schema = json(&schema_changes.apply_to(schema.get::<&str>(SCHEMAS)));
        let data = json(&data_changes.apply_to(data.get::<&str>(DATA)));
        let Some(Ok(normal)) = schema.map(|schema| normalize(&schema)) else { return Ok(()) };
        prop_assert_eq!(normalize(&normal), Ok(normal.clone()));
        let compiled = CompiledSchema::compile(&normal).expect("it was normalised");
        if let Some(Err(problem)) = data.map(|data| compiled.check(&data)) {
            prop_assert!(problem.detail.is_some_and(|detail| !detail.is_empty()));
        }
    }

    #[test]
    fn components_are_resolved_to_known_ones(changes in mutated()) {
        let known = ["call_logs", "dial_plan", "voicemails"].map(str::to_owned);
        let Some(given) = json(&changes.apply_to(COMPONENTS)) else { return Ok(()) };
        let unknown = check_components(Some(&given), &known).is_err();
        if let Ok(resolved) = resolve_components(Some(&given), &known) {
            prop_assert_eq!(resolved.len(), known.len());
            prop_assert!(unknown || resolved.iter().any(|(_, enabled)| *enabled));
        }
    }
}
