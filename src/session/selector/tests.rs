use super::*;
use serde_json::json;

fn stored(text: &str) -> Selector {
    Selector::parse_stored(text).unwrap()
}

#[test]
fn what_is_copied_stays_where_it_is_in_the_data() {
    let data = json!({"role": "admin", "plan": {"name": "pro", "seats": 5}, "secret": 1});
    let copied = |paths: &[&str]| {
        let mut to = Map::new();
        for path in paths {
            Selector::parse_any(path).unwrap().copy(&data, &mut to);
        }
        Value::Object(to)
    };
    assert_eq!(copied(&["role"]), json!({"role": "admin"}));
    assert_eq!(
        copied(&["plan.name", "role", "nothing", "role.inner"]),
        json!({"plan": {"name": "pro"}, "role": "admin"})
    );
    for paths in [["plan", "plan.name"], ["plan.name", "plan"]] {
        assert_eq!(copied(&paths), json!({"plan": {"name": "pro", "seats": 5}}));
    }
}

#[test]
fn the_stored_form_is_one_or_more_keys_in_braces() {
    assert_eq!(stored("$Session{userId}").path(), ["userId"]);
    assert_eq!(stored("$Session{details}{user name}").path(), ["details", "user name"]);
    assert_eq!(stored("$Session{a.b}").path(), ["a.b"]);
}

#[test]
fn the_bare_path_is_only_for_those_who_ask_for_it() {
    assert!(Selector::parse_stored("userId").is_err());
    assert_eq!(Selector::parse_any("userId").unwrap().to_string(), "$Session{userId}");
    assert_eq!(Selector::parse_any("a.b").unwrap().to_string(), "$Session{a}{b}");
    assert_eq!(Selector::parse_any("$Session{a}{b}"), Selector::parse_any("a.b"));
}

#[test]
fn malformed_selectors_are_refused_with_the_form() {
    for text in [
        "",
        "$",
        "$Session",
        "$Session{}",
        "$Session{a}{}",
        "$Session{a",
        "$Session{a}b",
        "$Session{a}{b}}",
        "$Session {a}",
        "$session{a}",
        "$Session{{a}}",
        "a..b",
        ".",
        "a{b",
        "$Session{a\nb}",
        " $Session{a}",
    ] {
        let problem = Selector::parse_any(text).unwrap_err();
        assert!(problem.hint.is_some_and(|h| h.contains("$Session{userId}")), "{text:?}");
    }
}

#[test]
fn the_number_and_length_of_keys_are_bounded() {
    assert!(Selector::parse_any(&vec!["a"; 16].join(".")).is_ok());
    assert!(Selector::parse_any(&vec!["a"; 17].join(".")).is_err());
    assert!(Selector::parse_any(&"a".repeat(256)).is_err());
}

#[test]
fn primitives_are_selected() {
    let data = json!({"s": "u1", "n": 42, "big": u64::MAX, "neg": -1, "t": true,
        "in": {"ner": "u2"}});
    for (path, identifier) in [
        ("s", "u1"),
        ("n", "42"),
        ("big", "18446744073709551615"),
        ("neg", "-1"),
        ("t", "true"),
        ("in.ner", "u2"),
    ] {
        let selector = Selector::parse_any(path).unwrap();
        assert_eq!(selector.select(&data).as_deref(), Ok(identifier));
    }
}

#[test]
fn what_is_not_a_primitive_is_refused_with_the_path() {
    let data = json!({"o": {"x": 1}, "a": ["s"], "z": null, "s": "secret"});
    for path in ["o", "a", "z", "nothing", "s.deeper", "a.0", "o.y"] {
        let problem = Selector::parse_any(path).unwrap().select(&data).unwrap_err();
        let keys = path.replace('.', "}{");
        assert!(problem.detail.unwrap().contains(&format!("$Session{{{keys}}}")));
    }
}

#[test]
fn numbers_that_lose_digits_are_no_identifiers() {
    for text in ["1.5", "1.0", "1e3", "123456789012345678901234567890"] {
        let data = json!({"n": serde_json::from_str::<Value>(text).unwrap()});
        assert!(stored("$Session{n}").select(&data).is_err(), "{text}");
    }
}

#[test]
fn an_identifier_keeps_its_bounds_and_is_not_repeated() {
    for value in [String::new(), "s3cret\0".to_owned(), "s3cret".repeat(50)] {
        let problem = stored("$Session{u}").select(&json!({ "u": value })).unwrap_err();
        assert!(!format!("{problem:?}").contains("s3cret"));
    }
}
