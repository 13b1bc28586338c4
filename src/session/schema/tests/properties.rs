//! What holds for every schema.

use super::*;
use proptest::prelude::*;

fn any_json() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "type",
        "required",
        "properties",
        "$ref",
        "$defs",
        "items",
        "a",
        "b",
        "anyOf",
        "pattern",
    ]);
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec!["object", "string", "any", "#", "#/$defs/a", "[", "x"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn normalising_never_panics_and_is_idempotent(schema in any_json(), data in any_json()) {
        if let Ok(normal) = normalize(&schema) {
            prop_assert_eq!(normalize(&normal), Ok(normal.clone()));
            // A verdict, whichever it is, and always with a reason.
            if let Err(problem) = CompiledSchema::compile(&normal).unwrap().check(&data) {
                prop_assert!(problem.detail.is_some_and(|d| !d.is_empty()));
            }
        }
    }
}
