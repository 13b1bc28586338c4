use super::*;

#[test]
fn a_problem_displays_its_message_only() {
    let problem = Problem::new("expiry is wrong").with_detail("d").with_hint("h");
    assert_eq!(problem.to_string(), "expiry is wrong");
    assert_eq!(problem.detail.as_deref(), Some("d"));
    assert_eq!(problem.hint.as_deref(), Some("h"));
}

#[test]
fn repeated_text_is_cut_and_stays_on_one_line() {
    assert_eq!(shown("a\nb"), "a\\nb");
    assert_eq!(shown(&"x".repeat(5000)).chars().count(), SHOWN_CHARS + 1);
}
