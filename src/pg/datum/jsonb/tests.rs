//! Values in the server's form, made here by its rules, and what the walk says of them and of anything else.

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::tests::fuzz::{config, mutated};

const WIDE: Bounds = Bounds { what: "value", bytes: 4_000, depth: 16, hint: "" };

fn bytes(halves: &[u16]) -> Vec<u8> {
    halves.iter().flat_map(|half| half.to_ne_bytes()).collect()
}

/// A number in the server's form: sign, weight, digits after the point, digits of base 10,000.
fn numeric(is_negative: bool, weight: i16, scale: u16, of_base: &[u16]) -> Vec<u8> {
    let mut halves = if scale < 64 && (-64..64).contains(&weight) {
        let sign = if is_negative { 0x2000 } else { 0 };
        vec![0x8000 | sign | scale << 7 | (weight.cast_unsigned() & 0x7F)]
    } else {
        vec![if is_negative { 0x4000 } else { 0 } | scale, weight.cast_unsigned()]
    };
    halves.extend(of_base);
    let content = bytes(&halves);
    let length = u32::try_from(content.len() + WORD).expect("short");
    let header = if cfg!(target_endian = "little") { length << 2 } else { length };
    [header.to_ne_bytes().as_slice(), &content].concat()
}

/// The entry of a value and its bytes, padded as what begins at `begin` is.
fn entry(value: &Value, begin: usize) -> (u32, Vec<u8>) {
    let padded = |content: Vec<u8>| {
        let mut bytes = vec![0; begin.next_multiple_of(WORD) - begin];
        bytes.extend(content);
        bytes
    };
    match value {
        Value::Null => (pg_sys::JENTRY_ISNULL, vec![]),
        Value::Bool(true) => (pg_sys::JENTRY_ISBOOL_TRUE, vec![]),
        Value::Bool(false) => (pg_sys::JENTRY_ISBOOL_FALSE, vec![]),
        Value::String(text) => (pg_sys::JENTRY_ISSTRING, text.clone().into_bytes()),
        Value::Number(number) => {
            let number = number.as_i64().expect("a whole number");
            let mut of_base = Vec::new();
            let mut rest = number.unsigned_abs();
            while rest > 0 {
                of_base.insert(0, (rest % 10_000) as u16);
                rest /= 10_000;
            }
            let weight = of_base.len().max(1) as i16 - 1;
            while of_base.last() == Some(&0) {
                of_base.pop();
            }
            (pg_sys::JENTRY_ISNUMERIC, padded(numeric(number < 0, weight, 0, &of_base)))
        }
        Value::Array(_) | Value::Object(_) => (pg_sys::JENTRY_ISCONTAINER, padded(made(value))),
    }
}

fn container(header: u32, values: &[Value]) -> Vec<u8> {
    let (mut entries, mut content) = (header.to_ne_bytes().to_vec(), Vec::new());
    for (n, value) in values.iter().enumerate() {
        let (kind, bytes) = entry(value, content.len());
        content.extend_from_slice(&bytes);
        let number = if n % pg_sys::JB_OFFSET_STRIDE as usize == 0 {
            pg_sys::JENTRY_HAS_OFF | content.len() as u32
        } else {
            bytes.len() as u32
        };
        entries.extend((kind | number).to_ne_bytes());
    }
    entries.extend(content);
    entries
}

/// The content of a `jsonb` value.
fn made(value: &Value) -> Vec<u8> {
    match value {
        Value::Object(fields) => {
            let keys = fields.keys().map(|key| Value::from(key.as_str()));
            let all: Vec<Value> = keys.chain(fields.values().cloned()).collect();
            container(pg_sys::JB_FOBJECT | fields.len() as u32, &all)
        }
        Value::Array(items) => container(pg_sys::JB_FARRAY | items.len() as u32, items),
        scalar => {
            let header = pg_sys::JB_FARRAY | pg_sys::JB_FSCALAR | 1;
            container(header, std::slice::from_ref(scalar))
        }
    }
}

/// An array of one number.
fn array_of(numeric: &[u8]) -> Vec<u8> {
    let words = [pg_sys::JB_FARRAY | 1, pg_sys::JENTRY_ISNUMERIC | numeric.len() as u32];
    let words = words.iter().flat_map(|word| word.to_ne_bytes());
    words.chain(numeric.iter().copied()).collect()
}

fn check_at(content: &[u8], bytes: usize, depth: usize) -> Result<Kind, Unfit> {
    let bounds = Bounds { bytes, depth, ..WIDE };
    check(content, &bounds)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..10_000_i64).prop_map(|n| Value::from(n * 10_000)),
        "[a-zß ]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 80, 40, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..40).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,5}", inner, 0..9)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

#[test]
fn the_kind_is_that_of_the_outermost_value() {
    for (value, kind) in [
        (json!({}), Kind::Object),
        (json!({"a": 1, "b": [null, true, false, "x", {"c": {}}]}), Kind::Object),
        (json!([]), Kind::Array),
        (json!("x"), Kind::Scalar),
        (json!(-70_000), Kind::Scalar),
        (json!(null), Kind::Scalar),
    ] {
        assert_eq!(check(&made(&value), &WIDE), Ok(kind), "{value}");
    }
}

#[test]
fn a_number_counts_by_its_digits_as_text() {
    for (number, text) in [
        (numeric(false, 0, 0, &[]), "0".len()),
        (numeric(false, 0, 3, &[]), "0.000".len()),
        (numeric(true, 0, 0, &[12]), "-12".len()),
        (numeric(false, 1, 2, &[1, 2345, 6700]), "12345.67".len()),
        (numeric(false, -1, 4, &[9]), "0.0009".len()),
        (numeric(false, 32_767, 0, &[1000]), 131_072), // 1e131071
        (numeric(false, -4_096, 16_383, &[10]), 16_385), // 1e-16383
    ] {
        let content = array_of(&number);
        assert_eq!(check_at(&content, text + 2, 1), Ok(Kind::Array));
        assert_eq!(check_at(&content, text + 1, 1), Err(Unfit::TooLarge));
    }
}

#[test]
fn what_is_no_number_of_the_server_is_refused() {
    let mut compressed = numeric(false, 0, 0, &[1]);
    compressed[if cfg!(target_endian = "little") { 0 } else { 3 }] ^= 2;
    for number in [
        numeric(false, 0, 0, &[10_000]),
        numeric(false, 0, 0, &[0, 1]),
        numeric(false, 0, 0, &[1])[..7].to_vec(),
        [8_u32 << 2].iter().flat_map(|w| w.to_ne_bytes()).chain(bytes(&[0xC000, 0])).collect(),
        [6_u32 << 2].iter().flat_map(|w| w.to_ne_bytes()).chain(bytes(&[0])).collect(),
        compressed,
        vec![],
    ] {
        assert_eq!(check(&array_of(&number), &WIDE), Err(Unfit::Malformed), "{number:?}");
    }
}

#[test]
fn the_nesting_is_bounded() {
    let nested = (1..5).fold(json!({}), |inner, _| json!([inner]));
    assert_eq!(check_at(&made(&nested), 100, 5), Ok(Kind::Array));
    assert_eq!(check_at(&made(&nested), 100, 4), Err(Unfit::TooDeep));
    assert_eq!(check_at(&made(&json!(1)), 100, 0), Ok(Kind::Scalar));
}

#[test]
fn a_value_that_refers_beyond_its_end_is_refused() {
    let whole = made(&json!({"a": "bc", "d": [1, {"e": 70_000}]}));
    assert_eq!(check(&whole, &WIDE), Ok(Kind::Object));
    for length in 0..whole.len() {
        assert!(check(&whole[..length], &WIDE).is_err(), "{length}");
    }
    let word = |at: usize, word: u32| {
        let mut bytes = made(&json!({"a": "bc"}));
        bytes[at * WORD..][..WORD].copy_from_slice(&word.to_ne_bytes());
        check(&bytes, &WIDE)
    };
    let (most, has_off) = (pg_sys::JENTRY_OFFLENMASK, pg_sys::JENTRY_HAS_OFF);
    assert_eq!(word(0, pg_sys::JB_FOBJECT | 1), Ok(Kind::Object));
    for (at, wrong) in [
        (0, 1),
        (0, pg_sys::JB_FOBJECT | pg_sys::JB_FARRAY | 1),
        (0, pg_sys::JB_FOBJECT | 100),
        (1, most),
        (1, has_off | most),
        (1, has_off | 1 | pg_sys::JENTRY_ISBOOL_TRUE), // a key that is no string
        (2, has_off),                                  // would end before it begins
        (2, 2 | pg_sys::JENTRY_ISNULL),
        (2, 2 | pg_sys::JENTRY_TYPEMASK),
    ] {
        assert_eq!(word(at, wrong), Err(Unfit::Malformed), "{at} {wrong:x}");
    }
    assert_eq!(word(0, pg_sys::JB_FOBJECT | pg_sys::JB_CMASK), Err(Unfit::TooLarge));
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_the_server_makes_is_accepted_within_its_length_as_text(value in any_json()) {
        let (content, text) = (made(&value), value.to_string().len());
        prop_assume!(check_at(&content, text, 16) != Err(Unfit::TooDeep));
        prop_assert!(check_at(&content, text, 16).is_ok());
        prop_assert_eq!(check_at(&content, text - 1, 16), Err(Unfit::TooLarge));
    }

    #[test]
    fn any_bytes_get_an_answer(value in any_json(), changes in mutated(), noise: Vec<u8>) {
        let _ = check(&noise, &WIDE);
        let _ = check(&changes.apply(&made(&value)), &WIDE);
    }
}
