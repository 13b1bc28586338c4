use super::*;
use serde_json::json;

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
}

#[test]
fn the_size_is_bounded() {
    assert_eq!(check_data_bytes(MAX_DATA_BYTES), Ok(()));
    assert!(check_data_bytes(MAX_DATA_BYTES + 1).is_err());
}

#[test]
fn the_outermost_object_is_level_one() {
    assert!(!deeper_than(&nested(MAX_DATA_DEPTH), MAX_DATA_DEPTH));
    assert!(deeper_than(&nested(MAX_DATA_DEPTH + 1), MAX_DATA_DEPTH));
}
