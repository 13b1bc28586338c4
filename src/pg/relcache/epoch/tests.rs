use super::*;

fn state(epochs: &Epochs) -> (u64, u64, u64, u64) {
    let [all, verdicts, configuration, privileges] =
        [Received::Other, Received::Verdict, Received::Configuration, Received::Privileges]
            .map(|about| epochs.of(about));
    (all, verdicts, configuration, privileges)
}

#[test]
fn an_invalidation_of_no_concern_leaves_verdicts_and_configuration() {
    let epochs = Epochs::new();
    epochs.advance(Received::Other);
    assert_eq!(state(&epochs), (2, 1, 1, 1));
}

#[test]
fn a_revocation_leaves_the_configuration() {
    let epochs = Epochs::new();
    epochs.advance(Received::Verdict);
    assert_eq!(state(&epochs), (2, 2, 1, 1));
}

#[test]
fn a_change_of_the_configuration_makes_verdicts_be_read_again() {
    let epochs = Epochs::new();
    epochs.advance(Received::Configuration);
    assert_eq!(state(&epochs), (2, 2, 2, 1));
}

#[test]
fn a_change_of_privileges_leaves_verdicts_and_configuration() {
    let epochs = Epochs::new();
    epochs.advance(Received::Privileges);
    assert_eq!(state(&epochs), (2, 1, 1, 2));
}
