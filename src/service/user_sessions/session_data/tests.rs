use super::*;

/// `{"a": "bc"}`, with these words in front, of the byte order of the server.
fn opened(words: [u32; 4]) -> Option<SessionData> {
    let mut plaintext: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    plaintext.extend(b"abc");
    SessionData::of_plaintext(Zeroizing::new(plaintext))
}

#[test]
fn opened_data_is_taken_only_if_it_is_of_this_format_and_an_object() {
    const VERSION: u32 = u32::from_ne_bytes(FORMAT);
    let object = pg_sys::JB_FOBJECT | 1;
    assert!(opened([VERSION, object, 1, 2]).is_some());
    for wrong in [
        [VERSION + 1, object, 1, 2],
        [VERSION.swap_bytes(), object, 1, 2],
        [VERSION, pg_sys::JB_FARRAY | 2, 1, 2],
        [VERSION, object, 1, 3],
        [VERSION, object, 1, pg_sys::JENTRY_ISCONTAINER | 2],
        [VERSION, object, 1, pg_sys::JENTRY_ISNUMERIC | 2],
    ] {
        assert!(opened(wrong).is_none(), "{wrong:x?}");
    }
    assert!(SessionData::of_plaintext(Zeroizing::new(Vec::new())).is_none());
}
