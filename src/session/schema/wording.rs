//! Violations in words of our own: the crate's messages quote the offending value, which may be
//! secret.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};

use crate::session::problem::shown;

/// How many unexpected property names a line lists.
const MAX_NAMES: usize = 3;

/// `<path>: <rule>`. The path is a JSON pointer into the checked document.
pub(super) fn violation(error: &ValidationError<'_>) -> String {
    let mut path = error.instance_path().as_str().to_owned();
    if let Kind::Required { property } = error.kind() {
        // Not the object that lacks it, but where it should be.
        let name = property.as_str().unwrap_or_default();
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }
    let place = if path.is_empty() { "(top level)".to_owned() } else { shown(&path) };
    format!("{place}: {}", rule(error.kind()))
}

/// The rule that is broken, out of the schema alone.
fn rule(kind: &Kind) -> String {
    match kind {
        Kind::Required { .. } => "is required".into(),
        Kind::Type { kind } => format!("must be of type {}", types(kind)),
        Kind::Enum { .. } => "must be one of the values that the schema lists".into(),
        Kind::Constant { .. } => "must be the value that the schema gives".into(),
        Kind::FalseSchema => "is not allowed".into(),
        Kind::Format { format } => format!("must have the format \"{}\"", shown(format)),
        Kind::Pattern { pattern } => format!("must match the pattern \"{}\"", shown(pattern)),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} properties"),
        Kind::MinProperties { limit } => format!("must have at least {limit} properties"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::UniqueItems => "must not have equal items".into(),
        Kind::Contains => "must contain the items that the schema asks for".into(),
        Kind::AdditionalItems { limit } => format!("must have no items after the first {limit}"),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            format!("has properties that the schema does not allow: {}", names(unexpected))
        }
        // Here the crate lists the items themselves, which are values.
        Kind::UnevaluatedItems { .. } => "has items that the schema does not allow".into(),
        Kind::PropertyNames { error } => {
            format!("has a property name that the schema does not allow: {}", rule(error.kind()))
        }
        Kind::AnyOf { .. } => "must match one of the alternatives (anyOf)".into(),
        Kind::OneOfNotValid { .. } => "must match one of the alternatives (oneOf)".into(),
        Kind::OneOfMultipleValid { .. } => "must match only one alternative (oneOf)".into(),
        Kind::Not { .. } => "must not match what the schema excludes (not)".into(),
        other => format!("breaks the rule \"{}\"", shown(other.keyword())),
    }
}

fn types(kind: &TypeKind) -> String {
    let names: Vec<String> = match kind {
        TypeKind::Single(one) => vec![format!("\"{}\"", one.as_str())],
        TypeKind::Multiple(set) => set.iter().map(|one| format!("\"{}\"", one.as_str())).collect(),
    };
    names.join(" or ")
}

fn names(unexpected: &[String]) -> String {
    let listed: Vec<String> = unexpected.iter().take(MAX_NAMES).map(|name| shown(name)).collect();
    let rest = if unexpected.len() > MAX_NAMES { ", and more" } else { "" };
    format!("{}{rest}", listed.join(", "))
}
