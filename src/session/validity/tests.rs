use super::*;

const BASIS: Basis = Basis { token_changes: 3, epoch: 7, role: 11, privileges: 13 };
const ANSWER: Validity = Validity { basis: BASIS, from: 100, until: 200 };

#[test]
fn an_answer_holds_from_its_first_moment_until_the_expiry() {
    for (began, holds) in [(99, false), (100, true), (199, true), (200, false)] {
        assert_eq!(ANSWER.holds(&BASIS, began), holds, "{began}");
    }
}

#[test]
fn another_token_or_epoch_ends_it() {
    assert!(!ANSWER.holds(&Basis { token_changes: 4, ..BASIS }, 150));
    assert!(!ANSWER.holds(&Basis { epoch: 8, ..BASIS }, 150));
}

#[test]
fn another_role_or_a_change_of_privileges_ends_it() {
    assert!(!ANSWER.holds(&Basis { role: 12, ..BASIS }, 150));
    assert!(!ANSWER.holds(&Basis { privileges: 14, ..BASIS }, 150));
}

#[test]
fn never_holds_at_no_moment() {
    for began in [i64::MIN, 0, i64::MAX] {
        assert!(!Validity::NEVER.holds(&Validity::NEVER.basis, began));
    }
}
