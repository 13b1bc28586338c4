use super::*;
use proptest::prelude::*;

/// Reads what `to_json` writes, and whole hours as PostgreSQL writes them.
fn interval(text: &str) -> Option<Span> {
    if let Some(hours) = text.strip_suffix(" hours") {
        return hours.parse().ok().map(|h: i32| Span::seconds(h * 3600));
    }
    let (date, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((date, time)) => (date, time),
        None => (text.strip_prefix('P')?, ""),
    };
    let mut span = Span::default();
    for part in date.split_inclusive(char::is_alphabetic) {
        let n: i32 = part[..part.len() - 1].parse().ok()?;
        if part.ends_with('M') { span.months = n } else { span.days = n }
    }
    for part in time.split_inclusive(char::is_alphabetic) {
        let n: f64 = part[..part.len() - 1].parse().ok()?;
        let unit = if part.ends_with('H') {
            3.6e9
        } else if part.ends_with('M') {
            6e7
        } else {
            1e6
        };
        span.micros += (n * unit).round() as i64;
    }
    Some(span)
}

fn minimal() -> Value {
    json!({"tag": "web", "name": "Web", "selector": "$Session{userId}", "expiry": 1,
        "period": "hours", "schema": {"userId": {"type": "string", "required": true}}})
}

fn with(key: &str, value: Value) -> Value {
    let mut v = minimal();
    v[key] = value;
    v
}

fn read(v: &Value) -> Result<Definition, Problem> {
    Definition::from_json(v, SelectorForm::Stored, &interval)
}

fn refused(v: Value) -> Problem {
    read(&v).expect_err(&v.to_string())
}

#[test]
fn a_minimal_definition_gets_the_defaults() {
    let d = read(&minimal()).unwrap();
    assert_eq!(d.description, "");
    assert_eq!((d.refresh_expiry, d.refresh_period), (30, Period::Days));
    assert_eq!((d.idle_timeout, d.max_lifetime, d.max_sessions), (None, None, None));
    assert_eq!(d.on_limit, OnLimit::EvictOldest);
    assert_eq!(d.reuse_interval, Span::seconds(30));
    assert!(!d.log_verify);
}

#[test]
fn a_null_means_the_default() {
    let mut v = minimal();
    for key in [
        "description",
        "refresh_expiry",
        "refresh_period",
        "idle_timeout",
        "max_lifetime",
        "max_sessions",
        "on_limit",
        "reuse_interval",
        "log_verify",
    ] {
        v[key] = Value::Null;
    }
    assert_eq!(read(&v), read(&minimal()));
}

#[test]
fn each_required_key_is_missed_by_name() {
    for key in ["tag", "name", "schema", "selector", "expiry", "period"] {
        let mut v = minimal();
        v.as_object_mut().unwrap().remove(key);
        assert!(refused(v).message.contains(&format!("\"{key}\"")));
        assert!(refused(with(key, Value::Null)).message.contains(&format!("\"{key}\"")));
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_known_ones() {
    for key in ["idleTimeout", &"é".repeat(5000)] {
        assert!(refused(with(key, json!(1))).hint.unwrap().starts_with("The keys are: tag, name, "));
    }
}

#[test]
fn the_product_beside_a_definition_is_ignored() {
    assert_eq!(read(&with("product", json!("shop"))), read(&minimal()));
}

#[test]
fn only_an_object_is_a_definition() {
    for v in [json!(null), json!([]), json!("x")] {
        refused(v);
    }
}

#[test]
fn an_expiry_is_a_positive_integer() {
    for expiry in [json!(0), json!(-1), json!(1.0), json!("1"), json!(true), json!(1u64 << 40)] {
        assert!(refused(with("expiry", expiry)).message.starts_with("expiry "));
    }
}

#[test]
fn a_lifetime_is_at_most_a_hundred_years() {
    let mut v = with("expiry", json!(101));
    v["period"] = json!("years");
    refused(v);
    refused(with("max_lifetime", json!(4e9)));
    refused(with("max_lifetime", json!(1e300)));
}

#[test]
fn texts_have_bounds() {
    read(&with("name", json!("é".repeat(200)))).unwrap();
    for (key, value) in [
        ("tag", json!("a b")),
        ("name", json!("")),
        ("name", json!("x".repeat(201))),
        ("name", json!(1)),
        ("description", json!("x".repeat(2001))),
        ("period", json!("eons")),
        ("on_limit", json!("explode")),
        ("log_verify", json!("true")),
        ("max_sessions", json!(0)),
        ("max_sessions", json!(10_001)),
        ("max_sessions", json!(2.5)),
    ] {
        assert!(refused(with(key, value)).message.contains(key));
    }
}

#[test]
fn the_bare_selector_needs_the_form_that_allows_it() {
    let v = with("selector", json!("userId"));
    assert!(read(&v).is_err());
    let d = Definition::from_json(&v, SelectorForm::Any, &interval).unwrap();
    assert_eq!(d.to_json()["selector"], "$Session{userId}");
}

#[test]
fn intervals_are_texts_or_seconds() {
    let span = |value| read(&with("idle_timeout", value)).unwrap().idle_timeout;
    assert_eq!(span(json!("2 hours")), Some(Span::seconds(7200)));
    assert_eq!(span(json!(7200)), Some(Span::seconds(7200)));
    assert_eq!(span(json!(7200.5)).unwrap().micros, 7_200_500_000);
    for value in [json!("soon"), json!(true), json!([1]), json!(0), json!(-7200)] {
        assert!(refused(with("idle_timeout", value)).message.starts_with("idle_timeout "));
    }
}

#[test]
fn no_lifetime_is_shorter_than_the_access_tokens() {
    for key in ["idle_timeout", "max_lifetime"] {
        read(&with(key, json!(3600))).unwrap();
        assert!(refused(with(key, json!(3599))).message.contains("shorter than expiry"));
    }
    let mut v = with("refresh_expiry", json!(59));
    v["refresh_period"] = json!("mins");
    assert!(refused(v).message.contains("shorter than expiry"));
}

#[test]
fn refresh_expiry_and_period_go_together() {
    refused(with("refresh_expiry", json!(7)));
    refused(with("refresh_period", json!("days")));
    let mut v = with("refresh_expiry", json!(0));
    v["refresh_period"] = json!("days");
    assert!(refused(v.clone()).message.starts_with("refresh_expiry "));
    v["refresh_expiry"] = json!(7);
    v["refresh_period"] = json!("eons");
    assert!(refused(v).message.starts_with("refresh_period "));
}

#[test]
fn without_a_refresh_expiry_a_long_expiry_is_the_refresh_tokens_too() {
    let d = read(&with("period", json!("years"))).unwrap();
    assert_eq!((d.refresh_expiry, d.refresh_period), (1, Period::Years));
}

#[test]
fn the_reuse_interval_is_from_0_to_300_seconds() {
    for seconds in [0, 300] {
        let d = read(&with("reuse_interval", json!(seconds))).unwrap();
        assert_eq!(d.reuse_interval, Span::seconds(seconds));
    }
    for seconds in [json!(-1), json!(300.1), json!("1 hours")] {
        assert!(refused(with("reuse_interval", seconds)).message.starts_with("reuse_interval "));
    }
}

#[test]
fn a_selector_must_select_a_primitive_of_the_schema() {
    let cases = [
        (json!({"userId": {"x": 1}}), false),
        (json!({"userId": ["a"]}), false),
        (json!({"userId": {"type": "null"}}), false),
        (json!({"userId": null}), true),
        (json!({"userId": {"type": ["integer", "null"]}}), true),
        (json!({"other": "x"}), true),
        (json!({"type": "object", "additionalProperties": false}), false),
        (json!({"type": "object", "properties": {"userId": false}}), false),
        (json!({}), true),
    ];
    for (schema, accepted) in cases {
        let result = read(&with("schema", schema.clone()));
        assert_eq!(result.is_ok(), accepted, "{schema}");
    }
}

#[test]
fn a_selector_must_not_look_into_a_primitive() {
    let mut v = with("schema", json!({"userId": "u"}));
    v["selector"] = json!("$Session{userId}{x}");
    assert_eq!(refused(v).message, "selector contradicts the schema");
}

#[test]
fn an_invalid_schema_is_no_definition() {
    refused(with("schema", json!({"type": "object", "properties": {"a": {"type": "text"}}})));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        idle in prop::option::of(3600i32..1_000_000), months in prop::option::of(1i32..1200),
        micros in 0i64..1_000_000, max_sessions in prop::option::of(1i32..=10_000),
        reuse in 0u32..=300, deny: bool, log_verify: bool,
    ) {
        let mut d = read(&minimal()).unwrap();
        d.idle_timeout = idle.map(|s| {
            let whole = Span::seconds(s);
            Span { micros: whole.micros + micros, ..whole }
        });
        d.max_lifetime = months.map(|months| Span { months, days: 3, micros });
        d.max_sessions = max_sessions;
        d.reuse_interval = Span::seconds(reuse as i32);
        d.on_limit = if deny { OnLimit::Deny } else { OnLimit::EvictOldest };
        d.log_verify = log_verify;
        prop_assert_eq!(read(&d.to_json()), Ok(d));
    }
}
