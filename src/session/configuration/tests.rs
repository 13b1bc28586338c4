use super::*;
use crate::session::period::Span;
use crate::session::problem::Problem;
use proptest::prelude::*;
use serde_json::json;

/// Reads what `to_json` writes of whole seconds.
fn interval(text: &str) -> Option<Span> {
    text.strip_prefix("PT")?.strip_suffix('S')?.parse().ok().map(Span::seconds)
}

fn definition(tag: &str, expiry: i32) -> Value {
    json!({"tag": tag, "name": "Web", "selector": "$Session{userId}", "expiry": expiry, "period": "hours",
        "schema": {"userId": {"type": "string", "required": true}}})
}

fn document() -> Value {
    json!({"version": 1, "products": [{
        "product": "shop", "name": "Shop",
        "scopes": [{"scope": "fax", "description": "faxes"}],
        "environments": [{"env": "staging", "live": false}, {"env": "production", "live": true}],
        "definitions": [definition("web", 1)],
    }]})
}

fn read(document: &Value) -> Result<Configuration, Problem> {
    super::read(document, &|| (), &interval)
}

fn configuration(document: &Value) -> Configuration {
    read(document).unwrap()
}

/// The document with another value at a JSON pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = document();
    *document.pointer_mut(pointer).unwrap() = value;
    document
}

#[test]
fn what_is_written_reads_back_in_the_order_of_names() {
    let configuration = configuration(&document());
    let written = configuration.to_json();
    assert_eq!(read(&written), Ok(configuration));
    assert_eq!(written["products"][0]["environments"][0]["env"], "production");
    assert_eq!(written["version"], 1);
}

#[test]
fn a_number_is_the_same_in_another_form() {
    let read = |number: &str| {
        let schema = serde_json::from_str(&format!(
            r#"{{"type": "object", "properties": {{"userId": {{"type": "number", "maximum": {number}}}}}}}"#
        ));
        configuration(&with("/products/0/definitions/0/schema", schema.unwrap()))
    };
    let rows = |a: &str, b: &str| difference(&read(a), &read(b)).len();
    assert_eq!(rows("12345678901234567890.0", "12345678901234567000"), 0);
    assert_eq!(rows("1.0", "1"), 0);
    assert_eq!(rows("9007199254740993", "9007199254740992"), 1);
}

/// Some products with some parts each.
fn any_configuration() -> impl Strategy<Value = Configuration> {
    let names = || prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
    let part = || prop::collection::btree_map(names(), any::<bool>(), 0..3);
    let product = (any::<bool>(), part(), part(), part());
    prop::collection::btree_map(names(), product, 0..3).prop_map(|products| {
        let product =
            |(name, scopes, environments, definitions): (bool, BTreeMap<_, _>, _, BTreeMap<_, _>)| {
                let definitions = definitions.into_iter().map(|(tag, long): (String, bool)| {
                    let value = definition(&tag, if long { 2 } else { 1 });
                    let of = Definition::from_json(&value, &interval);
                    (tag, of.unwrap())
                });
                Product {
                    name: name.to_string(),
                    scopes: scopes
                        .into_iter()
                        .map(|(scope, long): (_, bool)| (scope, long.to_string()))
                        .collect(),
                    environments,
                    definitions: definitions.collect(),
                }
            };
        Configuration(products.into_iter().map(|(name, of)| (name, product(of))).collect())
    })
}

/// Makes the changes, one after the other.
fn make(now: &Configuration, changes: &[Change<'_>]) -> Configuration {
    fn put<T>(of: &mut BTreeMap<String, T>, name: &str, value: Option<T>) {
        match value {
            Some(value) => drop(of.insert(name.to_owned(), value)),
            None => drop(of.remove(name).unwrap()),
        }
    }
    let mut made = now.clone();
    for change in changes {
        match change.to.or(change.from).unwrap() {
            Thing::Product(to) if change.to.is_some() => {
                made.0.entry(change.product.to_owned()).or_default().name = to.name.clone();
            }
            Thing::Product(_) => put(&mut made.0, change.product, None),
            part => {
                // A part of a product that is not there: an order in which it can't be made.
                let product = made.0.get_mut(change.product).unwrap();
                let keep = change.to.is_some();
                match part {
                    Thing::Scope(text) => {
                        put(&mut product.scopes, change.name, keep.then(|| text.to_owned()))
                    }
                    Thing::Environment(live) => {
                        put(&mut product.environments, change.name, keep.then_some(live))
                    }
                    Thing::Definition(of) => {
                        put(&mut product.definitions, change.name, keep.then(|| of.clone()));
                    }
                    Thing::Product(_) => unreachable!(),
                }
            }
        }
    }
    made
}

proptest! {
    #[test]
    fn the_changes_make_one_of_the_other_and_then_there_are_none(
        now in any_configuration(), wanted in any_configuration(),
    ) {
        let made = make(&now, &difference(&now, &wanted));
        prop_assert_eq!(&made, &wanted);
        prop_assert_eq!(difference(&made, &wanted).len(), 0);
        prop_assert_eq!(read(&wanted.to_json()), Ok(wanted));
    }
}
