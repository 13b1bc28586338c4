use super::*;

const ANSWER: Validity = Validity { token_changes: 3, epoch: 7, from: 100, until: 200 };

#[test]
fn an_answer_holds_from_its_first_moment_until_the_expiry() {
    for (began, holds) in [(99, false), (100, true), (199, true), (200, false)] {
        assert_eq!(ANSWER.holds(3, 7, began), holds, "{began}");
    }
}

#[test]
fn another_token_or_epoch_ends_it() {
    assert!(!ANSWER.holds(4, 7, 150));
    assert!(!ANSWER.holds(3, 8, 150));
}

#[test]
fn never_holds_at_no_moment() {
    for began in [i64::MIN, 0, i64::MAX] {
        assert!(!Validity::NEVER.holds(0, 0, began));
    }
}
