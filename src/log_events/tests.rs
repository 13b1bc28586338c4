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
