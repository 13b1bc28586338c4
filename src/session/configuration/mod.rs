//! The configuration of a database as one document: reading, writing and comparing it.

mod difference;
mod read;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use difference::{Change, Thing, difference};
pub use read::read;

use super::definition::Definition;

/// The version of the document's form, which is in the document.
pub const VERSION: i64 = 1;

/// Products by name. Names are in the order of their bytes everywhere.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Configuration(pub BTreeMap<String, Product>);

/// A product and all that is configured of it.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Product {
    /// Its display name.
    pub name: String,
    /// The descriptions of its scopes, by name.
    pub scopes: BTreeMap<String, String>,
    /// Its environments by name, each live (true) or for tests.
    pub environments: BTreeMap<String, bool>,
    /// Its definitions by tag.
    pub definitions: BTreeMap<String, Definition>,
}

impl Configuration {
    /// The document, which [`read`] reads. The same configuration always makes the same document.
    pub fn to_json(&self) -> Value {
        let products = self.0.iter().map(|(product, of)| {
            let scopes = of.scopes.iter().map(|(scope, text)| json!({"scope": scope, "description": text}));
            let environments = of.environments.iter().map(|(env, live)| json!({"env": env, "live": live}));
            let definitions = of.definitions.values().map(Definition::to_json);
            json!({
                "product": product,
                "name": of.name,
                "scopes": scopes.collect::<Vec<_>>(),
                "environments": environments.collect::<Vec<_>>(),
                "definitions": definitions.collect::<Vec<_>>(),
            })
        });
        json!({"version": VERSION, "products": products.collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests;
