use super::*;

#[test]
fn a_span_keeps_calendar_parts_apart() {
    assert_eq!(Period::Years.span(2), Ok(Span { months: 24, days: 0, micros: 0 }));
    assert_eq!(Period::Weeks.span(2), Ok(Span { months: 0, days: 14, micros: 0 }));
    assert_eq!(Period::Minutes.span(2), Ok(Span::seconds(120)));
}

#[test]
fn a_span_is_at_least_one_and_at_most_a_hundred_years() {
    for &period in Period::ALL {
        assert!(period.span(0).is_err());
        assert!(period.span(i32::MIN).is_err());
        assert!(period.span(1).is_ok());
    }
    assert!(Period::Years.span(100).is_ok());
    assert!(Period::Years.span(101).is_err());
    assert!(Period::Months.span(1201).is_err());
    assert!(Period::Days.span(36_526).is_err());
    assert!(Period::Hours.span(i32::MAX).is_err());
    // i32::MAX seconds are 68 years.
    assert!(Period::Seconds.span(i32::MAX).is_ok());
}

#[test]
fn the_approximate_length_is_postgresqls_and_saturates() {
    let span = Span { months: 1, days: 1, micros: 1 };
    assert_eq!(span.approx_micros(), 31 * DAY + 1);
    let longest = Span { months: i32::MAX, days: i32::MAX, micros: i64::MAX };
    assert_eq!(longest.approx_micros(), i64::MAX);
    let shortest = Span { months: i32::MIN, days: i32::MIN, micros: i64::MIN };
    assert_eq!(shortest.approx_micros(), i64::MIN);
}

#[test]
fn positive_is_decided_on_the_whole_by_the_shortest_and_longest_months() {
    assert!(Span { months: 1, days: -27, micros: 0 }.is_positive());
    assert!(Span { months: 1, days: -28, micros: 1 }.is_positive());
    assert!(!Span { months: 1, days: -28, micros: 0 }.is_positive());
    assert!(Span { months: -1, days: 31, micros: 1 }.is_positive());
    assert!(!Span { months: -1, days: 31, micros: 0 }.is_positive());
    assert!(Span { months: i32::MAX, days: i32::MAX, micros: i64::MAX }.is_positive());
    assert!(!Span { months: i32::MIN, days: i32::MIN, micros: i64::MIN }.is_positive());
    assert!(!Span::default().is_positive());
}

#[test]
fn spans_are_written_as_iso_8601() {
    let cases = [
        (Span::default(), "PT0S"),
        (Span::seconds(30), "PT30S"),
        (Span::seconds(3_600), "PT1H"),
        (Span { months: 14, days: 3, micros: 3_723_000_500 }, "P14M3DT1H2M3.0005S"),
        (Span { months: 1, days: -1, micros: -1_500_000 }, "P1M-1DT-1.5S"),
        (Span { months: 0, days: 0, micros: -500_000 }, "PT-0.5S"),
        (Span { months: 0, days: 7, micros: 0 }, "P7D"),
    ];
    for (span, text) in cases {
        assert_eq!(span.to_iso8601(), text);
    }
}
