use super::*;
use serde_json::json;

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
}

#[test]
fn anything_but_an_object_is_refused() {
    for data in [json!(null), json!([]), json!("x"), json!(1), json!(true)] {
        assert!(check_data(&data, 4).is_err(), "{data}");
    }
}

#[test]
fn the_size_is_bounded() {
    assert_eq!(check_data(&json!({}), MAX_DATA_BYTES), Ok(()));
    assert!(check_data(&json!({}), MAX_DATA_BYTES + 1).is_err());
}

#[test]
fn the_nesting_is_bounded() {
    assert_eq!(check_data(&nested(MAX_DATA_DEPTH), 1), Ok(()));
    assert!(check_data(&nested(MAX_DATA_DEPTH + 1), 1).is_err());
}
