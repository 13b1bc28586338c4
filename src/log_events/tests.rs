use super::*;

#[test]
fn a_list_names_events() {
    assert_eq!(Event::parse_list(""), Some(vec![]));
    assert_eq!(Event::parse_list("  "), Some(vec![]));
    assert_eq!(Event::parse_list("revoke,refused_key"), Some(vec![Event::Revoke, Event::RefusedKey]));
    assert_eq!(Event::parse_list(&Event::TEXTS.join(" , ")).as_deref(), Some(Event::ALL));
    assert_eq!(Event::parse_list("reuse, reuse"), Some(vec![Event::Reuse, Event::Reuse]));
}

#[test]
fn anything_else_is_refused() {
    for wrong in ["all", "reuse,", ",", "Reuse", "reuse revoke", "reuse, verify"] {
        assert_eq!(Event::parse_list(wrong), None, "{wrong}");
    }
}

/// How many of so many events, so many microseconds apart, are written.
fn written(limit: &mut Limit, from: i64, events: i64, apart: i64) -> i64 {
    let permits = (0..events).map(|n| limit.take(from + n * apart));
    permits.filter(|permit| matches!(permit, Permit::Write { .. })).count() as i64
}

#[test]
fn a_burst_is_written_and_then_ten_a_second() {
    let mut limit = Limit::NEW;
    assert_eq!(written(&mut limit, 0, 1_000, 0), BURST);
    assert_eq!(written(&mut limit, 1_000_000, 1_000, 0), 10);
    assert_eq!(written(&mut limit, 1_000_000, 10_001, 1_000), 100);
    // Rested, it may burst again, and no more than that.
    assert_eq!(written(&mut limit, 1_000_000_000, 1_000, 0), BURST);
}

#[test]
fn what_comes_slowly_is_all_written() {
    let mut limit = Limit::NEW;
    assert_eq!(written(&mut limit, 5, 10_000, 100_000), 10_000);
}

#[test]
fn what_was_left_out_is_counted() {
    let mut limit = Limit::NEW;
    assert_eq!(limit.take(0), Permit::Write { left_out: 0 });
    assert_eq!(written(&mut limit, 0, BURST - 1, 0), BURST - 1);
    assert_eq!(limit.take(0), Permit::FirstLeftOut);
    assert_eq!(limit.take(1), Permit::LeftOut);
    assert_eq!(limit.take(2), Permit::LeftOut);
    assert_eq!(limit.take(100_000), Permit::Write { left_out: 3 });
    assert_eq!(limit.take(200_000), Permit::Write { left_out: 0 });
}

#[test]
fn a_clock_that_is_set_back_does_not_silence_it_for_long() {
    let mut limit = Limit::NEW;
    assert_eq!(limit.take(1_000_000_000_000), Permit::Write { left_out: 0 });
    assert_eq!(limit.take(0), Permit::FirstLeftOut);
    assert_eq!(limit.take(200_000), Permit::Write { left_out: 1 });
}
