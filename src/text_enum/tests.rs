text_enum! {
    enum Colour {
        Red = "red",
        DarkBlue = "dark-blue",
    }
}

#[test]
fn each_variant_has_its_text_and_no_other_text_is_read() {
    assert_eq!(Colour::ALL, [Colour::Red, Colour::DarkBlue]);
    assert_eq!(Colour::TEXTS, ["red", "dark-blue"]);
    for (&colour, text) in Colour::ALL.iter().zip(Colour::TEXTS) {
        assert_eq!(colour.as_str(), *text);
        assert_eq!(Colour::parse(text), Some(colour));
    }
    for text in ["", "Red", " red", "blue"] {
        assert_eq!(Colour::parse(text), None, "{text:?}");
    }
}
