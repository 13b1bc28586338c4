use super::*;
use serde_json::json;

fn known() -> Vec<String> {
    ["call_logs", "voicemails", "dial_plan"].map(String::from).to_vec()
}

fn names(resolved: &[(String, bool)]) -> Vec<&str> {
    resolved.iter().filter(|(_, on)| *on).map(|(name, _)| name.as_str()).collect()
}

#[test]
fn absent_components_enable_all() {
    let resolved = resolve_components(None, &known()).unwrap();
    assert_eq!(names(&resolved), ["call_logs", "voicemails", "dial_plan"]);
}

#[test]
fn present_components_enable_those_that_say_so() {
    let components = json!({"dial_plan": {"enabled": true}, "call_logs": {"enabled": false}});
    let resolved = resolve_components(Some(&components), &known()).unwrap();
    assert_eq!(names(&resolved), ["dial_plan"]);
}

#[test]
fn every_known_component_is_in_the_answer_in_its_order() {
    let components = json!({"voicemails": {"enabled": true}});
    let resolved = resolve_components(Some(&components), &known()).unwrap();
    let all: Vec<_> = resolved.into_iter().map(|(name, _)| name).collect();
    assert_eq!(all, known());
}

#[test]
fn an_unknown_component_is_refused_with_the_known_ones() {
    let problem = check_components(Some(&json!({"fax": {"enabled": true}})), &known()).unwrap_err();
    assert!(problem.message.contains("\"fax\""));
    assert!(problem.detail.is_some_and(|d| d.contains("call_logs, voicemails, dial_plan")));
}

#[test]
fn without_known_components_nothing_can_be_enabled() {
    assert!(resolve_components(None, &[]).is_err());
    let problem = check_components(Some(&json!({"fax": {"enabled": true}})), &[]).unwrap_err();
    assert_eq!(problem.detail.as_deref(), Some("The product has no scopes."));
}

#[test]
fn at_least_one_must_be_enabled() {
    for components in [json!({}), json!({"call_logs": {"enabled": false}})] {
        assert!(resolve_components(Some(&components), &known()).is_err());
    }
}

#[test]
fn json_null_does_not_mean_absent() {
    assert!(resolve_components(Some(&Value::Null), &known()).is_err());
}

#[test]
fn other_shapes_are_refused() {
    for components in [
        json!([]),
        json!("call_logs"),
        json!({"call_logs": true}),
        json!({"call_logs": {}}),
        json!({"call_logs": {"enabled": "true"}}),
        json!({"call_logs": {"enabled": true, "features": {}}}),
    ] {
        assert!(resolve_components(Some(&components), &known()).is_err(), "{components}");
    }
}
