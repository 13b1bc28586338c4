use super::*;

#[test]
fn repeated_text_is_cut_and_stays_on_one_line() {
    assert_eq!(shown("a\nb"), "a\\nb");
    assert_eq!(shown(&"x".repeat(5000)).chars().count(), SHOWN_CHARS + 3);
}
