use super::*;

#[test]
fn a_network_is_an_address_with_bits_or_without() {
    for network in ["192.0.2.7", "10.0.0.0/8", "::1", "2001:db8::/32", "0.0.0.0/0"] {
        assert_eq!(check_network(network), Ok(()), "{network}");
    }
    for text in
        ["", "10", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "::/129", "a.b", "10.0.0.0/8/8", "10.0.0.1 "]
    {
        assert!(check_network(text).is_err(), "{text}");
    }
}

#[test]
fn a_pattern_has_something_behind_each_backslash() {
    for pattern in ["", "%Firefox%", r"100\%", r"\\"] {
        assert_eq!(check_pattern(pattern), Ok(()), "{pattern}");
    }
    for pattern in [r"\", r"a\\\", &"x".repeat(1_001)] {
        assert!(check_pattern(pattern).is_err(), "{pattern}");
    }
}
