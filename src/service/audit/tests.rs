use super::*;

#[test]
fn a_target_holds_what_was_given_but_no_person() {
    let arguments = [
        ("product", json!("shop")),
        ("env", Value::Null),
        ("identifier", json!("ann@example.com")),
        ("ip", Value::Null),
        ("user_agent", json!("Firefox")),
        ("dry_run", json!(false)),
    ];
    let expected = json!({ "product": "shop", "dry_run": false, "withheld": ["identifier", "user_agent"] });
    assert_eq!(target(&arguments), expected);
    assert_eq!(target(&[]), json!({}));
}

#[test]
fn counts_say_what_was_done() {
    let counts =
        json!({ "rows": 3, "none": 0, "busy": false, "more": true, "kept_for": [], "held_by": null });
    assert_eq!(without_nothing(counts), json!({ "rows": 3, "more": true }));
}
