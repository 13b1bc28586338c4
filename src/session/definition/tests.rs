use super::*;
use proptest::prelude::*;

/// Reads what `to_json` writes.
fn interval(text: &str) -> Option<Span> {
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
    Definition::from_json(v, &interval)
}

fn refused(v: Value) -> Problem {
    read(&v).expect_err(&v.to_string())
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
