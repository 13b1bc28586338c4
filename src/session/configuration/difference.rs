//! What must change for one configuration to become another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Configuration, Definition, Product};

/// A thing that is configured, as a change describes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Thing<'a> {
    Product(&'a Product),
    /// A scope, by its description.
    Scope(&'a str),
    /// An environment: live, or for tests.
    Environment(bool),
    Definition(&'a Definition),
}

/// A change of one thing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change<'a> {
    /// The product that it is, or is part of.
    pub product: &'a str,
    /// Its own name; the product's own one for a product.
    pub name: &'a str,
    /// What it is now; `None`: it is to be created.
    pub from: Option<Thing<'a>>,
    /// What it is to be; `None`: it is to be deleted.
    pub to: Option<Thing<'a>>,
}

impl<'a> Change<'a> {
    pub const fn action(&self) -> &'static str {
        match (self.from, self.to) {
            (None, _) => "create",
            (_, Some(_)) => "update",
            (_, None) => "delete",
        }
    }

    pub fn object(&self) -> &'static str {
        match self.to.or(self.from) {
            Some(Thing::Product(_)) | None => "product",
            Some(Thing::Scope(_)) => "scope",
            Some(Thing::Environment(_)) => "environment",
            Some(Thing::Definition(_)) => "definition",
        }
    }

    /// Its name within the database: `product`, or `product/name`.
    pub fn full_name(&self) -> String {
        match self.to.or(self.from) {
            Some(Thing::Product(_)) => self.product.to_owned(),
            _ => format!("{}/{}", self.product, self.name),
        }
    }

    /// What changes: all fields of what is created or deleted, of a product that is deleted also the names of its
    /// parts; and of what is updated the fields that differ, each with what it is (`from`) and what it is to be (`to`).
    pub fn fields(&self) -> Map<String, Value> {
        match (self.from.map(Thing::fields), self.to.map(Thing::fields)) {
            (Some(mut fields), None) => {
                if let Some(Thing::Product(of)) = self.from {
                    fields.extend(parts(of));
                }
                fields
            }
            (None, Some(fields)) => fields,
            (Some(from), Some(to)) => {
                let differing = to.into_iter().filter_map(|(key, to)| {
                    let from = from.get(&key).cloned().unwrap_or_default();
                    (!same(&from, &to)).then(|| (key, json!({"from": from, "to": to})))
                });
                differing.collect()
            }
            (None, None) => Map::new(),
        }
    }
}

impl Thing<'_> {
    /// The fields that are its own; what is part of a product is a thing of its own.
    fn fields(self) -> Map<String, Value> {
        let fields = match self {
            Thing::Product(product) => json!({"name": product.name}),
            Thing::Scope(description) => json!({"description": description}),
            Thing::Environment(live) => json!({"live": live}),
            Thing::Definition(definition) => {
                let mut fields = definition.to_json();
                if let Value::Object(fields) = &mut fields {
                    fields.remove("tag");
                }
                fields
            }
        };
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

/// The names of the parts of a product.
fn parts(product: &Product) -> [(String, Value); 3] {
    [
        ("scopes".to_owned(), product.scopes.keys().cloned().collect()),
        ("environments".to_owned(), product.environments.keys().cloned().collect()),
        ("definitions".to_owned(), product.definitions.keys().cloned().collect()),
    ]
}

/// The changes that turn `now` into `wanted`, in an order in which they can be made: none if both are the same.
/// A product is created before what is part of it, and deleted with all of it.
pub fn difference<'a>(now: &'a Configuration, wanted: &'a Configuration) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for (product, to) in &wanted.0 {
        let to = things(product, to);
        let from = now.0.get(product).map(|from| things(product, from)).unwrap_or_default();
        let both: BTreeSet<_> = from.keys().chain(to.keys()).copied().collect();
        let both = both.into_iter().map(|key| (key.1, from.get(&key).copied(), to.get(&key).copied()));
        let both = both.map(|(name, from, to)| Change { product, name, from, to });
        changes.extend(both.filter(|it| it.from.is_none() || it.to.is_none() || !it.fields().is_empty()));
    }
    for (product, of) in now.0.iter().filter(|(product, _)| !wanted.0.contains_key(*product)) {
        changes.push(Change { product, name: product, from: Some(Thing::Product(of)), to: None });
    }
    changes
}

/// A product and its parts, by the order of kinds in which they can be made, and by name.
fn things<'a>(product: &'a str, of: &'a Product) -> BTreeMap<(u8, &'a str), Thing<'a>> {
    let mut things = BTreeMap::from([((0, product), Thing::Product(of))]);
    things.extend(of.scopes.iter().map(|(name, text)| ((1, name.as_str()), Thing::Scope(text))));
    things.extend(of.environments.iter().map(|(name, live)| ((2, name.as_str()), Thing::Environment(*live))));
    things.extend(of.definitions.iter().map(|(tag, of)| ((3, tag.as_str()), Thing::Definition(of))));
    things
}

/// Whether two JSON values are the same. A number may come back from a table in another form, an integer of twenty
/// digits for a float of the same value: such ones are the same.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            x == y || ((x.is_f64() || y.is_f64()) && x.as_f64() == y.as_f64())
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}
