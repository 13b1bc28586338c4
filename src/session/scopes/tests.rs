use super::*;
use serde_json::json;

fn known() -> Vec<String> {
    ["call_logs", "voicemails", "dial_plan"].map(String::from).to_vec()
}

#[test]
fn every_known_component_is_in_the_answer_in_its_order() {
    let components = json!({"voicemails": {"enabled": true}});
    let resolved = resolve_components(Some(&components), &known()).unwrap();
    let all: Vec<_> = resolved.into_iter().map(|(name, _)| name).collect();
    assert_eq!(all, known());
}

#[test]
fn without_known_components_nothing_can_be_enabled() {
    assert!(resolve_components(None, &[]).is_err());
    let problem = check_components(Some(&json!({"fax": {"enabled": true}})), &[]).unwrap_err();
    assert_eq!(problem.detail.as_deref(), Some("The product has no scopes."));
}
