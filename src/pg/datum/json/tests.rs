use super::*;

#[test]
fn only_blanks_between_the_parts_go() {
    for (text, compact) in [
        (r#"{"a": [1, 2.50, "b c"], "d": {}}"#, r#"{"a":[1,2.50,"b c"],"d":{}}"#),
        (r#" {"\" x": "\\", "y z": " "} "#, r#"{"\" x":"\\","y z":" "}"#),
        ("{\n\t\"ä ö\": \"ß\u{a0} \"\r}", "{\"ä ö\":\"ß\u{a0} \"}"),
        (r#"{"a\\": "b", "c": "d\\\" e"}"#, r#"{"a\\":"b","c":"d\\\" e"}"#),
        ("", ""),
    ] {
        assert_eq!(JsonText(text.to_owned()).compact(), compact);
    }
}
