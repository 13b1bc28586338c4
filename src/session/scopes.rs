//! Scopes, and the components of account sessions, which are scopes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::problem::{Problem, shown};

/// Name and description of the scopes that a product gets when it is created without a list of its own.
pub const BUILT_IN: [(&str, &str); 8] = [
    ("call_logs", "access to call logs"),
    ("voicemails", "access to voicemails"),
    ("call_history", "access to the call history"),
    ("phone_numbers", "access to phone numbers"),
    ("phone_number_ordering", "ordering of phone numbers"),
    ("account_onboarding", "onboarding of the account"),
    ("dial_plan", "access to the dial plan"),
    ("ai_agent", "access to the AI agent"),
];

/// Checks that every component that is given is a scope of the product, whose scopes are `known`.
/// A value that is not an object names none and passes: [`resolve_components`] refuses it.
///
/// # Errors
/// Names the unknown one and lists the known ones.
pub fn check_components(components: Option<&Value>, known: &[String]) -> Result<(), Problem> {
    let given = components.and_then(Value::as_object);
    let mut names = given.into_iter().flat_map(|given| given.keys());
    match names.find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => Err(Problem::new(format!("component \"{}\" is not known", shown(name)))
            .with_detail(match known {
                [] => "The product has no scopes.".to_owned(),
                known => format!("The known components are: {}.", known.join(", ")),
            })
            .with_hint("Create it with dialstack.scope_create(), or check the spelling.")),
    }
}

/// Resolves the `components` argument of an account session to every known component, in the
/// order of `known`, with whether it is enabled.
///
/// Absent (`None`): all are. Present: an object `{"<component>": {"enabled": bool}}`, of which at
/// least one is true; those that it doesn't name are disabled.
///
/// # Errors
/// For any other shape (JSON `null` too: it must not enable everything), when none is enabled, or
/// when none is known.
pub fn resolve_components(
    components: Option<&Value>,
    known: &[String],
) -> Result<Vec<(String, bool)>, Problem> {
    let Some(components) = components else {
        if known.is_empty() {
            return Err(Problem::new(
                "the product has no scopes, and a session needs at least one component",
            )
            .with_hint("Create one with dialstack.scope_create()."));
        }
        return Ok(known.iter().map(|name| (name.clone(), true)).collect());
    };
    let given = components.as_object().ok_or_else(|| {
        Problem::new("components must be a JSON object")
            .with_hint(r#"For example: {"call_logs": {"enabled": true}}"#)
    })?;
    let mut enabled = BTreeSet::new();
    for (name, settings) in given {
        if is_enabled(name, settings)? {
            enabled.insert(name);
        }
    }
    if enabled.is_empty() {
        return Err(Problem::new("at least one component must be enabled")
            .with_hint("Leave components out to enable all of them."));
    }
    Ok(known.iter().map(|name| (name.clone(), enabled.contains(name))).collect())
}

fn is_enabled(name: &str, settings: &Value) -> Result<bool, Problem> {
    let wrong = |what: &str| {
        Err(Problem::new(format!("component \"{}\" {what}", shown(name)))
            .with_hint(r#"A component is {"enabled": true} or {"enabled": false}."#))
    };
    let Some(settings) = settings.as_object() else {
        return wrong("must be a JSON object");
    };
    if let Some(extra) = settings.keys().find(|key| *key != "enabled") {
        return wrong(&format!("has an unknown key \"{}\"", shown(extra)));
    }
    match settings.get("enabled") {
        Some(Value::Bool(enabled)) => Ok(*enabled),
        Some(_) => wrong("must have a boolean \"enabled\""),
        None => wrong("lacks \"enabled\""),
    }
}

#[cfg(test)]
mod tests;
