//! Reads a document: what it does not know, it refuses.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Configuration, Product, VERSION};
use crate::session::definition::Definition;
use crate::session::name::{MAX_PRODUCT_NAME, MAX_SCOPE_DESCRIPTION, check_label, check_name, check_text};
use crate::session::period::Span;
use crate::session::problem::{Problem, shown};

/// Reads and validates a document as a whole. `before_definition` is called before the work for each definition;
/// `parse_interval` is as [`Definition::from_json`] wants it.
///
/// # Errors
/// Says where in the document the first problem is.
pub fn read(
    document: &Value,
    before_definition: &dyn Fn(),
    parse_interval: &dyn Fn(&str) -> Option<Span>,
) -> Result<Configuration, Problem> {
    let at = At("the document".to_owned());
    let object = at.object(document)?;
    // The version first: another one may have other keys.
    check_version(at.required(object, "version")?)?;
    at.only(object, &["version", "products"])?;
    let products = at.list(object, "products", "product", |at, object| {
        at.only(object, &["product", "name", "scopes", "environments", "definitions"])?;
        let product = at.text(object, "product")?;
        at.checked(check_name("product", product))?;
        let name = at.text(object, "name")?;
        at.checked(check_label("name", name, MAX_PRODUCT_NAME))?;
        let definition = |at: &At, object: &Map<String, Value>| {
            before_definition();
            // Where it is, tells of which product it is.
            if object.contains_key("product") {
                return Err(at.problem("has an unknown key \"product\""));
            }
            let value = Value::Object(object.clone());
            let definition = Definition::from_json(&value, parse_interval);
            let definition = at.checked(definition)?;
            Ok((definition.tag.clone(), definition))
        };
        let of = Product {
            name: name.to_owned(),
            scopes: at.list(object, "scopes", "scope", scope)?,
            environments: at.list(object, "environments", "env", environment)?,
            definitions: at.list(object, "definitions", "tag", definition)?,
        };
        Ok((product.to_owned(), of))
    })?;
    Ok(Configuration(products))
}

fn check_version(version: &Value) -> Result<(), Problem> {
    match version.as_i64() {
        Some(VERSION) => Ok(()),
        Some(newer) if newer > VERSION => Err(Problem::new(format!(
            "the document is of version {newer}, and this library reads version {VERSION}"
        ))
        .with_hint("Install the version of dialstack_sessions that exported it, or a later one.")),
        _ => Err(Problem::new(format!("version must be {VERSION}"))
            .with_hint("Pass what dialstack.configuration_export() returned.")),
    }
}

fn scope(at: &At, object: &Map<String, Value>) -> Result<(String, String), Problem> {
    at.only(object, &["scope", "description"])?;
    let scope = at.text(object, "scope")?;
    at.checked(check_name("scope", scope))?;
    let description = at.text(object, "description")?;
    at.checked(check_text("description", description, MAX_SCOPE_DESCRIPTION))?;
    Ok((scope.to_owned(), description.to_owned()))
}

fn environment(at: &At, object: &Map<String, Value>) -> Result<(String, bool), Problem> {
    at.only(object, &["env", "live"])?;
    let env = at.text(object, "env")?;
    at.checked(check_name("env", env))?;
    let live = at.required(object, "live")?.as_bool();
    let live = live.ok_or_else(|| at.problem("must have a boolean \"live\""))?;
    Ok((env.to_owned(), live))
}

/// A place in the document, such as `products[0].scopes[2]`.
struct At(String);

impl At {
    fn problem(&self, what: &str) -> Problem {
        Problem::new(format!("{} {what}", self.0))
    }

    /// A problem of what stands here.
    fn checked<T>(&self, result: Result<T, Problem>) -> Result<T, Problem> {
        result.map_err(|problem| Problem { message: format!("{}: {problem}", self.0), ..problem })
    }

    fn object<'a>(&self, value: &'a Value) -> Result<&'a Map<String, Value>, Problem> {
        value.as_object().ok_or_else(|| self.problem("must be a JSON object"))
    }

    fn only(&self, object: &Map<String, Value>, known: &[&str]) -> Result<(), Problem> {
        match object.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(self
                .problem(&format!("has an unknown key \"{}\"", shown(key)))
                .with_hint(format!("The keys are: {}.", known.join(", ")))),
        }
    }

    fn required<'a>(&self, object: &'a Map<String, Value>, key: &str) -> Result<&'a Value, Problem> {
        object.get(key).ok_or_else(|| self.problem(&format!("lacks \"{key}\"")))
    }

    fn text<'a>(&self, object: &'a Map<String, Value>, key: &str) -> Result<&'a str, Problem> {
        let text = self.required(object, key)?.as_str();
        text.ok_or_else(|| self.problem(&format!("must have a string \"{key}\"")))
    }

    /// The entries of an array of objects, by name. `named` is the key of the name, which must not stand twice.
    fn list<T>(
        &self,
        object: &Map<String, Value>,
        key: &str,
        named: &str,
        entry: impl Fn(&At, &Map<String, Value>) -> Result<(String, T), Problem>,
    ) -> Result<BTreeMap<String, T>, Problem> {
        let entries = self.required(object, key)?.as_array();
        let entries = entries.ok_or_else(|| self.problem(&format!("must have an array \"{key}\"")))?;
        let mut all = BTreeMap::new();
        for (n, value) in entries.iter().enumerate() {
            let inside = if self.0.starts_with("products[") { format!("{}.", self.0) } else { String::new() };
            let at = At(format!("{inside}{key}[{n}]"));
            let (name, value) = entry(&at, at.object(value)?)?;
            if all.contains_key(&name) {
                return Err(at.problem(&format!("repeats the {named} {name:?}")));
            }
            all.insert(name, value);
        }
        Ok(all)
    }
}
