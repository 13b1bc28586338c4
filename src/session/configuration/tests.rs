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

fn refused(document: &Value) -> String {
    read(document).expect_err(&document.to_string()).message
}

fn rows(now: &Configuration, wanted: &Configuration) -> Vec<(&'static str, &'static str, String)> {
    let changes = difference(now, wanted);
    changes.iter().map(|change| (change.action(), change.object(), change.full_name())).collect()
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
fn a_newer_version_is_refused_before_anything_else() {
    let newer = refused(&json!({"version": 2, "tenants": []}));
    assert_eq!(newer, "the document is of version 2, and this library reads version 1");
    for version in [json!(0), json!("1"), json!(1.5), json!(null)] {
        assert_eq!(refused(&with("/version", version)), "version must be 1");
    }
}

#[test]
fn nothing_is_missing_unknown_or_of_another_type() {
    for (pointer, value, message) in [
        ("", json!([]), "the document must be a JSON object"),
        ("", json!({"products": []}), "the document lacks \"version\""),
        ("", json!({"version": 1}), "the document lacks \"products\""),
        ("", json!({"version": 1, "products": [], "keys": []}), "the document has an unknown key \"keys\""),
        ("/products", json!({}), "the document must have an array \"products\""),
        ("/products/0", json!("shop"), "products[0] must be a JSON object"),
        ("/products/0", json!({"product": "shop", "name": "Shop"}), "products[0] lacks \"scopes\""),
        ("/products/0/product", json!("a b"), "products[0]: product is not a valid name"),
        ("/products/0/name", json!(null), "products[0] must have a string \"name\""),
        ("/products/0/name", json!(""), "products[0]: name must not be empty"),
        ("/products/0/scopes", json!([1]), "products[0].scopes[0] must be a JSON object"),
        ("/products/0/scopes/0/scope", json!("é"), "products[0].scopes[0]: scope is not a valid name"),
        (
            "/products/0/scopes/0",
            json!({"scope": "fax", "description": "", "id": 1}),
            "products[0].scopes[0] has an unknown key \"id\"",
        ),
        (
            "/products/0/environments/1/live",
            json!("yes"),
            "products[0].environments[1] must have a boolean \"live\"",
        ),
        (
            "/products/0/definitions/0/expiry",
            json!(0),
            "products[0].definitions[0]: expiry must be at least 1",
        ),
        (
            "/products/0/definitions/0",
            json!({"tag": "web", "product": "shop"}),
            "products[0].definitions[0] has an unknown key \"product\"",
        ),
    ] {
        assert_eq!(refused(&with(pointer, value)), message);
    }
    let mut misspelt = document();
    misspelt["products"][0]["definitions"][0]["idleTimeout"] = json!(1);
    let problem = read(&misspelt).unwrap_err();
    assert_eq!(problem.message, "products[0].definitions[0]: a definition has no key \"idleTimeout\"");
    assert!(problem.hint.unwrap().starts_with("The keys are: "));
}

#[test]
fn no_name_stands_twice() {
    for (pointer, message) in [
        ("/products", "products[1] repeats the product \"shop\""),
        ("/products/0/scopes", "products[0].scopes[1] repeats the scope \"fax\""),
        ("/products/0/environments", "products[0].environments[2] repeats the env \"staging\""),
        ("/products/0/definitions", "products[0].definitions[1] repeats the tag \"web\""),
    ] {
        let mut twice = document();
        let list = twice.pointer_mut(pointer).unwrap().as_array_mut().unwrap();
        list.push(list[0].clone());
        assert_eq!(refused(&twice), message);
    }
}

#[test]
fn a_product_comes_before_its_parts() {
    let wanted = configuration(&document());
    assert_eq!(
        rows(&Configuration::default(), &wanted),
        [
            ("create", "product", "shop".to_owned()),
            ("create", "scope", "shop/fax".to_owned()),
            ("create", "environment", "shop/production".to_owned()),
            ("create", "environment", "shop/staging".to_owned()),
            ("create", "definition", "shop/web".to_owned()),
        ]
    );
}

#[test]
fn a_product_goes_with_its_parts() {
    let now = configuration(&document());
    let nothing = Configuration::default();
    assert_eq!(rows(&now, &nothing), [("delete", "product", "shop".to_owned())]);
    let fields = Value::Object(difference(&now, &nothing)[0].fields());
    let parts = json!({"name": "Shop", "scopes": ["fax"], "environments": ["production", "staging"],
        "definitions": ["web"]});
    assert_eq!(fields, parts);
}

#[test]
fn of_an_update_only_what_differs_is_shown() {
    let now = configuration(&document());
    for (pointer, value, row, fields) in [
        (
            "/name",
            json!("The shop"),
            ("product", "shop"),
            json!({"name": {"from": "Shop", "to": "The shop"}}),
        ),
        (
            "/scopes/0/description",
            json!(""),
            ("scope", "shop/fax"),
            json!({"description": {"from": "faxes", "to": ""}}),
        ),
        (
            "/environments/0/live",
            json!(true),
            ("environment", "shop/staging"),
            json!({"live": {"from": false, "to": true}}),
        ),
        (
            "/definitions/0",
            definition("web", 2),
            ("definition", "shop/web"),
            json!({"expiry": {"from": 1, "to": 2}}),
        ),
    ] {
        let wanted = configuration(&with(&format!("/products/0{pointer}"), value));
        let changes = difference(&now, &wanted);
        let [change] = changes[..] else { panic!("{changes:?}") };
        assert_eq!((change.action(), change.object(), &*change.full_name()), ("update", row.0, row.1));
        assert_eq!(Value::Object(change.fields()), fields);
    }
}

#[test]
fn another_tag_is_another_definition() {
    let now = configuration(&document());
    let wanted = configuration(&with("/products/0/definitions/0/tag", json!("app")));
    let changed =
        [("create", "definition", "shop/app".to_owned()), ("delete", "definition", "shop/web".to_owned())];
    assert_eq!(rows(&now, &wanted), changed);
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
                    let of = Definition::from_json(&value, crate::session::SelectorForm::Stored, &interval);
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
