use super::*;
use serde_json::json;

fn stored(text: &str) -> Selector {
    Selector::parse(text).unwrap()
}

#[test]
fn what_is_copied_stays_where_it_is_in_the_data() {
    let data = json!({"role": "admin", "plan": {"name": "pro", "seats": 5}, "secret": 1});
    let copied = |paths: &[&str]| {
        let mut to = Map::new();
        for path in paths {
            Selector::parse(path).unwrap().copy(&data, &mut to);
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
fn the_bare_path_means_the_same() {
    assert_eq!(Selector::parse("userId").unwrap().to_string(), "$Session{userId}");
    assert_eq!(Selector::parse("a.b").unwrap().to_string(), "$Session{a}{b}");
    assert_eq!(Selector::parse("$Session{a}{b}"), Selector::parse("a.b"));
}

#[test]
fn what_is_not_a_primitive_is_refused_with_the_path() {
    let data = json!({"o": {"x": 1}, "a": ["s"], "z": null, "s": "secret"});
    for path in ["o", "a", "z", "nothing", "s.deeper", "a.0", "o.y"] {
        let problem = Selector::parse(path).unwrap().select(&data).unwrap_err();
        let keys = path.replace('.', "}{");
        assert!(problem.detail.unwrap().contains(&format!("$Session{{{keys}}}")));
    }
}

#[test]
fn an_identifier_keeps_its_bounds_and_is_not_repeated() {
    for value in [String::new(), "s3cret\0".to_owned(), "s3cret".repeat(50)] {
        let problem = stored("$Session{u}").select(&json!({ "u": value })).unwrap_err();
        assert!(!format!("{problem:?}").contains("s3cret"));
    }
}
